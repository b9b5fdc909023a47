/* storage/base64_runs.c - runs of base64 lines in a chunk: found, undone and made again.
 *
 * Two thirds of what comes by mail is attachments in base64, whose octets are mostly compressed
 * already. zstd can do no more with the text than find that it has 64 letters, which takes it far
 * longer than decoding base64 does, on the way in and each time on the way out. Decoded they are a
 * quarter smaller at once, what of them can be compressed further shows as it is, and what cannot is
 * copied.
 *
 * The search takes time by the chunk's length, whatever is in it: each line is decoded at most
 * twice. Runs in the back, and in the admin's process. */
#include "storage/base64_runs_priv.h"

#include "base/base64.h"
#include "base/octets.h"

static uint32_t line_decoded(const struct base64_run *run)
{
	return (uint32_t)run->line_octets / 4 * 3;
}

static uint32_t run_octets(const struct base64_run *run)
{
	return (uint32_t)run->lines * (run->line_octets + RUN_CRLF_OCTETS);
}

/* ---- found ---- */

static bool may_be_line(size_t octets)
{
	return octets >= RUN_LINE_MIN_OCTETS && octets <= RUN_LINE_MAX_OCTETS && octets % 4 == 0;
}

/* A line with just so many octets stands at `at`, all of them letters. */
static bool take_line(struct slice raw, size_t at, size_t line_octets, struct buffer *octets)
{
	struct slice line = slice_sub(raw, at, line_octets);
	struct slice end = slice_sub(raw, at + line_octets, RUN_CRLF_OCTETS);
	size_t before = octets->len;
	if (!slice_eq(end, SLICE("\r\n")) || !base64_decode(line, octets))
		return false;
	if (octets->len - before == line_octets / 4 * 3)
		return true;
	octets->len = before; /* padded */
	return false;
}

/* Lines of few different letters are seldom base64, but a dump in hexadecimal or a gene: zstd makes
 * less of them as they are than decoded, where no octet is rarer than another. A sample tells. */
static bool has_many_letters(struct slice lines, const struct base64_run *run)
{
	enum { SAMPLES = 16, FEW_LETTERS = 32 };
	size_t step = run->lines < SAMPLES ? 1 : run->lines / SAMPLES;
	uint64_t seen[2] = { 0 };
	for (size_t line = 0; line < run->lines; line += step) {
		const uint8_t *at = lines.ptr + line * (run->line_octets + RUN_CRLF_OCTETS);
		for (size_t i = 0; i < run->line_octets; i++)
			seen[at[i] >> 6 & 1] |= (uint64_t)1 << (at[i] & 63);
	}
	return __builtin_popcountll(seen[0]) + __builtin_popcountll(seen[1]) > FEW_LETTERS;
}

/* The run whose first line is at `at`, its octets appended. False: *behind_out is where to go on. */
static bool find_run(struct slice raw, size_t at, struct base64_run *run, struct buffer *octets,
		     size_t *behind_out)
{
	size_t line_end = slice_find_byte(raw, at, '\n');
	size_t line_octets = line_end - at - 1; /* one that is too short comes out large */
	size_t before = octets->len;
	*behind_out = line_end + 1;
	if (line_end == raw.len || line_end == at || !may_be_line(line_octets))
		return false;
	*run = (struct base64_run){ .line_octets = (uint16_t)line_octets };
	for (size_t line = at; take_line(raw, line, line_octets, octets);
	     line += line_octets + RUN_CRLF_OCTETS)
		run->lines++;
	if (run->lines == 0)
		return false;
	*behind_out = at + run_octets(run);
	if (run->lines >= RUN_LINES_MIN &&
	    has_many_letters(slice_sub(raw, at, run_octets(run)), run))
		return true;
	octets->len = before;
	return false;
}

void base64_runs_split(struct slice raw, struct base64_runs *runs, struct buffer *text,
		       struct buffer *octets)
{
	struct base64_run run;
	size_t text_before = text->len, octets_before = octets->len;
	size_t behind_run = 0, behind;
	runs->count = 0;
	for (size_t at = 0; at < raw.len; at = behind) {
		if (!find_run(raw, at, &run, octets, &behind))
			continue;
		run.text_octets = (uint16_t)(at - behind_run);
		buffer_add(text, slice_sub(raw, behind_run, run.text_octets));
		runs->list[runs->count++] = run;
		behind_run = behind;
	}
	if (runs->count > 0)
		buffer_add(text, slice_sub(raw, behind_run, raw.len));
	runs->text_octets = (uint32_t)(text->len - text_before);
	runs->octets = (uint32_t)(octets->len - octets_before);
}

/* ---- made again ---- */

void base64_runs_join(const struct base64_runs *runs, struct slice text, struct slice octets,
		      uint32_t need_octets, struct buffer *raw)
{
	size_t start = raw->len, text_at = 0, octets_at = 0;
	for (size_t i = 0; i < runs->count; i++) {
		const struct base64_run *run = &runs->list[i];
		buffer_add(raw, slice_sub(text, text_at, run->text_octets));
		text_at += run->text_octets;
		if (raw->len - start >= need_octets)
			return;
		size_t len = (size_t)run->lines * line_decoded(run);
		base64_encode_lines(slice_sub(octets, octets_at, len), run->line_octets, raw);
		octets_at += len;
	}
	buffer_add(raw, slice_sub(text, text_at, text.len));
}

/* ---- the list ---- */

void base64_runs_encode(const struct base64_runs *runs, struct buffer *record)
{
	buffer_add_be16(record, (uint16_t)runs->count);
	for (size_t i = 0; i < runs->count; i++) {
		buffer_add_be16(record, runs->list[i].text_octets);
		buffer_add_be16(record, runs->list[i].line_octets);
		buffer_add_be16(record, runs->list[i].lines);
	}
}

bool take_base64_runs(struct cursor *cursor, uint32_t raw_octets, struct base64_runs *runs)
{
	struct cursor c = *cursor;
	uint16_t count;
	uint32_t left = raw_octets; /* that no run and no text before one has taken */
	if (!take_be16(&c, &count) || count == 0 || count > RUNS_MAX)
		return false;
	runs->count = count;
	runs->text_octets = runs->octets = 0;
	for (size_t i = 0; i < count; i++) {
		struct base64_run *run = &runs->list[i];
		if (!take_be16(&c, &run->text_octets) || !take_be16(&c, &run->line_octets) ||
		    !take_be16(&c, &run->lines) || run->text_octets > left)
			return false;
		left -= run->text_octets;
		if (!may_be_line(run->line_octets) || run->lines == 0 || run_octets(run) > left)
			return false;
		left -= run_octets(run);
		runs->text_octets += run->text_octets;
		runs->octets += run->lines * line_decoded(run);
	}
	runs->text_octets += left;
	*cursor = c;
	return true;
}
