/* storage/base64_runs_priv.h - runs of base64 lines (RFC 2045 section 6.8) in a chunk: found, undone,
 * and made again octet by octet.
 *
 * A run is some lines of the same length, each with CRLF behind it, whole quartets of the alphabet's
 * 64 letters and nothing else. Only one text decodes to what such a line decodes to, so the lines can
 * be had back from the octets, their length and their number. What is no run is the text: other lines,
 * what the chunk's borders have cut, the last line of a body with its padding. */
#pragma once

#include "base/buffer.h"
#include "base/cursor.h"
#include "storage/blob.h"

enum {
	RUN_LINES_MIN = 8,
	RUN_LINE_MIN_OCTETS = 16,
	RUN_LINE_MAX_OCTETS = 996, /* RFC 5322 section 2.1.1 */
	RUN_CRLF_OCTETS = 2,
	/* More do not fit into a chunk. */
	RUNS_MAX = BLOB_CHUNK_OCTETS / (RUN_LINES_MIN * (RUN_LINE_MIN_OCTETS + RUN_CRLF_OCTETS)),
};

struct base64_run {
	uint16_t text_octets; /* that stand before it, since the last run */
	uint16_t line_octets; /* without the CRLF */
	uint16_t lines;
};
/* Only the first `count` of the list are set. */
struct base64_runs {
	size_t count;
	uint32_t text_octets,
		octets; /* in all: text behind the last run too; of the runs, decoded */
	struct base64_run list[RUNS_MAX];
};

/* Appends to `text` and `octets` what a chunk is made of; where there is no run, neither. */
void base64_runs_split(struct slice raw, struct base64_runs *runs_out, struct buffer *text,
		       struct buffer *octets);
/* Appends what was split: at least the first `need_octets` of it, up to the first run that begins
 * there or later. `octets` is not looked at where no run begins before. */
void base64_runs_join(const struct base64_runs *runs, struct slice text, struct slice octets,
		      uint32_t need_octets, struct buffer *raw);

/* The list: be16 number of runs, then of each be16 text before it, be16 length of its lines, be16
 * number of them. At least one. */
void base64_runs_encode(const struct base64_runs *runs, struct buffer *record);
/* False where it is none of a chunk of `raw_octets`. */
bool take_base64_runs(struct cursor *c, uint32_t raw_octets, struct base64_runs *runs_out);
