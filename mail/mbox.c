/* mail/mbox.c - mbox (RFC 4155, and the four dialects that its appendix A only mentions).
 *
 * Left out: what MMDF writes, and UIDs (X-UID, X-IMAPbase), which few programs believe.
 * Runs in the admin's process. */
#include "mail/mbox.h"

#include <stdlib.h>

#include "base/heap.h"
#include "base/hex.h"
#include "mail/date.h"
#include "mail/header.h"
#include "mail/maildir.h"

enum {
	WINDOW_OCTETS = 256 * 1024,
	LINE_HEAD_OCTETS = 1024, /* of a line, what is looked at */
	HEADER_MAX_OCTETS = 256 * 1024,
};

struct mbox_reader {
	mbox_read_fn *read;
	void *user;
	enum mbox_quoting quoting;
	uint64_t window_at; /* offset of the window in the file */
	size_t window_len;
	bool is_filled, is_broken;
	uint8_t window[WINDOW_OCTETS];
};

struct mbox_reader *mbox_reader_new(mbox_read_fn *read, void *user, enum mbox_quoting quoting)
{
	struct mbox_reader *reader = heap_alloc(sizeof(*reader));
	reader->read = read;
	reader->user = user;
	reader->quoting = quoting;
	return reader;
}

void mbox_reader_free(struct mbox_reader **reader)
{
	free(*reader);
	*reader = NULL;
}

/* What the file holds from `at` on: at least `want` octets unless it ends before. */
static struct slice window(struct mbox_reader *reader, uint64_t at, size_t want)
{
	bool inside = reader->is_filled && at >= reader->window_at &&
		      at - reader->window_at <= reader->window_len;
	size_t skip = inside ? (size_t)(at - reader->window_at) : 0;
	bool is_last = reader->window_len < WINDOW_OCTETS; /* the file ends in it */
	if (!inside || (reader->window_len - skip < want && !is_last)) {
		int64_t got = reader->read(reader->user, at, reader->window, WINDOW_OCTETS);
		if (got < 0)
			reader->is_broken = true;
		reader->window_at = at;
		reader->is_filled = true;
		reader->window_len = got < 0 ? 0 : (size_t)got;
		skip = 0;
	}
	return slice_of(reader->window + skip, reader->window_len - skip);
}

/* The line at `at`: its head, without line end, and where the next begins. False: the end. */
static bool line_at(struct mbox_reader *reader, uint64_t at, struct slice *head_out,
		    uint64_t *next_at_out)
{
	struct slice octets = window(reader, at, LINE_HEAD_OCTETS);
	if (octets.len == 0)
		return false;
	size_t end = slice_find_byte(octets, 0, '\n');
	*head_out = slice_sub(octets, 0, end < LINE_HEAD_OCTETS ? end : LINE_HEAD_OCTETS);
	if (head_out->len > 0 && head_out->len == end && head_out->ptr[end - 1] == '\r')
		head_out->len--;
	*next_at_out = at + end + 1;
	if (end < octets.len)
		return true;
	/* A line longer than what the window holds of it; its head is kept at the side. */
	static _Thread_local uint8_t head[LINE_HEAD_OCTETS];
	if (head_out->len > 0)
		memcpy(head, head_out->ptr, head_out->len);
	*head_out = slice_of(head, head_out->len);
	uint64_t from = at + octets.len;
	for (;;) {
		octets = window(reader, from, 1);
		end = slice_find_byte(octets, 0, '\n');
		*next_at_out = from + end + (end < octets.len);
		if (octets.len == 0 || end < octets.len)
			return true;
		from += octets.len;
	}
}

/* ---- From_ lines ---- */

static bool is_word_octet(uint8_t c)
{
	return c != ' ' && c != '\t';
}

static bool take_word(struct cursor *c, struct slice *word_out)
{
	skip_blanks(c);
	return take_while(c, is_word_octet, word_out);
}

static bool is_one_of(struct slice word, const char *names)
{
	for (size_t i = 0; word.len == 3 && names[i]; i += 3)
		if (slice_eq_nocase(word, slice_of(names + i, 3)))
			return true;
	return false;
}

/* asctime's order (Sat Jan  3 01:05:34 1996), with a zone before or behind the year where some
 * programs have one. */
static bool take_asctime(struct cursor c, int64_t *unix_out)
{
	struct slice word, month, day, time, year, zone = SLICE_NONE;
	uint64_t number;
	struct buffer text = { 0 };
	if (!take_word(&c, &word) || !is_one_of(word, "MonTueWedThuFriSatSun") ||
	    !take_word(&c, &month) || !is_one_of(month, "JanFebMarAprMayJunJulAugSepOctNovDec") ||
	    !take_word(&c, &day) || !take_word(&c, &time) ||
	    slice_find_byte(time, 0, ':') == time.len || !take_word(&c, &year))
		return false;
	if (!slice_to_u64(year, 9999, &number) || year.len != 4) {
		zone = year;
		if (!take_word(&c, &year) || year.len != 4 || !slice_to_u64(year, 9999, &number))
			return false;
	} else if (take_word(&c, &word) && (word.ptr[0] == '+' || word.ptr[0] == '-')) {
		zone = word;
	}
	buffer_add_format(&text, "%.*s %.*s %.*s %.*s %.*s", SLICE_ARG(day), SLICE_ARG(month),
			  SLICE_ARG(year), SLICE_ARG(time),
			  SLICE_ARG(zone.len ? zone : SLICE("+0000")));
	bool good = date_parse(buffer_slice(&text), unix_out);
	buffer_free(&text);
	return good;
}

bool mbox_from_line_parse(struct slice line, int64_t *date_out)
{
	struct cursor c = cursor_of(line);
	struct slice word;
	if (line.len < 5 || memcmp(line.ptr, "From ", 5) != 0)
		return false;
	c.at += 5;
	/* The sender may hold blanks: the date begins where one can be read. */
	if (take_asctime(c, date_out))
		return true;
	while (take_word(&c, &word))
		if (take_asctime(c, date_out))
			return true;
	return false;
}

void mbox_from_line_format(struct slice sender, int64_t date_unix, struct buffer *out)
{
	char date[DATE_TEXT_OCTETS];
	date_format(date_unix, date); /* "Fri, 21 Nov 1997 09:55:06 +0000" */
	struct cursor c = cursor_of(slice_cstr(date));
	struct slice weekday = SLICE_NONE, day = SLICE_NONE, month = SLICE_NONE, year = SLICE_NONE,
		     time = SLICE_NONE;
	if (!take_word(&c, &weekday) || !take_word(&c, &day) || !take_word(&c, &month) ||
	    !take_word(&c, &year) || !take_word(&c, &time))
		return;
	if (day.len == 2 && day.ptr[0] == '0') /* asctime has a blank there */
		day = slice_sub(day, 1, 1);
	buffer_add_cstr(out, "From ");
	for (size_t i = 0; i < sender.len; i++)
		buffer_add_byte(out, sender.ptr[i] <= ' ' ? '_' : sender.ptr[i]);
	if (sender.len == 0)
		buffer_add_cstr(out, "MAILER-DAEMON");
	buffer_add_format(out, " %.3s %.*s %2.*s %.*s %.*s\n", (const char *)weekday.ptr,
			  SLICE_ARG(month), SLICE_ARG(day), SLICE_ARG(time), SLICE_ARG(year));
}

/* ---- where messages begin and end ---- */

static bool is_from_line(struct slice line)
{
	return line.len >= 5 && memcmp(line.ptr, "From ", 5) == 0;
}

/* Does a message begin at `at`? Some programs leave the empty line out, and at the start of a
 * file the date; then the next line has to be a header field. */
static bool begins_at(struct mbox_reader *reader, uint64_t at, bool after_blank, int64_t *date_out,
		      uint64_t *next_at_out)
{
	struct slice line;
	uint64_t after;
	*date_out = 0;
	if (!line_at(reader, at, &line, next_at_out) || !is_from_line(line))
		return false;
	bool has_date = mbox_from_line_parse(line, date_out);
	if (has_date && after_blank)
		return true;
	return (has_date || at == 0) && line_at(reader, *next_at_out, &line, &after) &&
	       header_line_kind(line) == HEADER_LINE_FIELD;
}

/* Is this an end that Content-Length may have meant: the file's, or another message, perhaps
 * behind an empty line? */
static bool ends_at(struct mbox_reader *reader, uint64_t at, uint64_t *next_at_out)
{
	struct slice line;
	int64_t date;
	uint64_t after;
	*next_at_out = at;
	for (int blanks = 0; blanks < 3; blanks++) {
		if (!line_at(reader, *next_at_out, &line, &after))
			return true;
		if (line.len > 0)
			break;
		*next_at_out = after;
	}
	return begins_at(reader, *next_at_out, true, &date, &after);
}

/* Content-Length of the header that starts at `at`, and where the body starts. */
static bool content_length(struct mbox_reader *reader, uint64_t at, uint64_t *body_at_out,
			   uint64_t *length_out)
{
	struct slice line, name = SLICE("Content-Length:");
	uint64_t next_at, start_at = at;
	bool found = false;
	while (at - start_at < HEADER_MAX_OCTETS && line_at(reader, at, &line, &next_at)) {
		if (is_from_line(line))
			return false;
		if (line.len == 0) {
			*body_at_out = next_at;
			return found;
		}
		if (slice_starts_nocase(line, name))
			found = slice_to_u64(slice_trim(slice_sub(line, name.len, line.len)),
					     INT64_MAX / 2, length_out);
		at = next_at;
	}
	return false;
}

/* Is there a line that every dialect but mboxcl2 would have quoted? */
static bool has_unquoted(struct mbox_reader *reader, uint64_t at, uint64_t end_at)
{
	struct slice line;
	uint64_t next_at;
	for (; at < end_at && line_at(reader, at, &line, &next_at); at = next_at)
		if (is_from_line(line))
			return true;
	return false;
}

static void find_end(struct mbox_reader *reader, struct mbox_message *message)
{
	struct slice line;
	uint64_t at = message->start_at, next_at, body_at, length, after;
	int64_t date;
	bool after_blank = false;
	if (content_length(reader, at, &body_at, &length) &&
	    window(reader, body_at + length - (length > 0), 1).len >= (length > 0) &&
	    ends_at(reader, body_at + length, &message->next_at)) {
		message->end_at = body_at + length;
		if (message->quoting == MBOX_QUOTING_AUTO &&
		    has_unquoted(reader, body_at, message->end_at))
			message->quoting = MBOX_QUOTING_NONE;
		return;
	}
	uint64_t blank_at = at;
	while (line_at(reader, at, &line, &next_at)) {
		bool is_blank = line.len == 0;
		if (is_from_line(line) && begins_at(reader, at, after_blank, &date, &after))
			break;
		if (is_blank)
			blank_at = at;
		after_blank = is_blank;
		at = next_at;
	}
	message->next_at = at;
	message->end_at = after_blank && blank_at > message->start_at ? blank_at : at;
}

enum mbox_result mbox_next(struct mbox_reader *reader, uint64_t *at,
			   struct mbox_message *message_out)
{
	struct slice line;
	uint64_t next_at;
	*message_out = (struct mbox_message){ .quoting = reader->quoting };
	reader->is_broken = false;
	/* Empty lines between messages say nothing. */
	while (line_at(reader, *at, &line, &next_at) && line.len == 0)
		*at = next_at;
	if (window(reader, *at, 1).len == 0)
		return reader->is_broken ? MBOX_UNREADABLE : MBOX_END;
	message_out->from_at = *at;
	if (!begins_at(reader, *at, true, &message_out->date_unix, &message_out->start_at)) {
		/* Noise, up to where a message begins. */
		message_out->start_at = *at;
		find_end(reader, message_out);
		*at = message_out->next_at > *at ? message_out->next_at : *at + 1;
		return reader->is_broken ? MBOX_UNREADABLE : MBOX_NO_MBOX;
	}
	find_end(reader, message_out);
	*at = message_out->next_at;
	return reader->is_broken ? MBOX_UNREADABLE : MBOX_MESSAGE;
}

/* ---- content ---- */

/* Whether a '>' at the start of a line is one that a writer has put there. */
static bool is_quoted(enum mbox_quoting quoting, struct slice line)
{
	size_t marks = 0;
	if (quoting == MBOX_QUOTING_NONE || line.len == 0 || line.ptr[0] != '>')
		return false;
	while (marks < line.len && line.ptr[marks] == '>')
		marks++;
	if (quoting == MBOX_QUOTING_O && marks > 1)
		return false;
	struct slice rest = slice_sub(line, marks, 5);
	return rest.len == 5 && memcmp(rest.ptr, "From ", 5) == 0;
}

bool mbox_content(struct mbox_reader *reader, const struct mbox_message *message,
		  bool (*give)(void *user, struct slice octets), void *user)
{
	uint64_t at = message->start_at;
	bool at_line_start = true;
	reader->is_broken = false;
	while (at < message->end_at) {
		struct slice octets = window(reader, at, LINE_HEAD_OCTETS);
		octets = slice_sub(octets, 0, message->end_at - at);
		if (octets.len == 0)
			return false;
		if (at_line_start && is_quoted(message->quoting, octets)) {
			octets = slice_sub(octets, 1, octets.len);
			at++;
		}
		/* Up to the next line that begins with '>': the window has to hold its head. */
		size_t stop = 0;
		do
			stop = slice_find_byte(octets, stop, '\n') + 1;
		while (stop < octets.len && octets.ptr[stop] != '>');
		if (stop > octets.len)
			stop = octets.len;
		if (!give(user, slice_sub(octets, 0, stop)))
			return false;
		at_line_start = octets.ptr[stop - 1] == '\n';
		at += stop;
	}
	return !reader->is_broken;
}

/* ---- marks ---- */

static void add_keywords(struct mbox_marks *marks, struct slice value)
{
	struct cursor c = cursor_of(value);
	struct slice word;
	while (take_word(&c, &word)) {
		word = slice_trim(word);
		if (!maildir_keyword_is_usable(word) || marks->keywords.len > 64 * 1024)
			continue;
		buffer_add(&marks->keywords, word);
		buffer_add_byte(&marks->keywords, ' ');
	}
}

static void note_mozilla(struct mbox_marks *marks, struct slice value)
{
	uint32_t bits = 0;
	for (size_t i = 0; i < value.len && i < 8; i++) {
		int digit = hex_value(value.ptr[i]);
		if (digit < 0)
			return;
		bits = bits << 4 | (uint32_t)digit;
	}
	marks->flags |=
		(bits & 0x0001 ? MAILDIR_SEEN : 0) | (bits & 0x0002 ? MAILDIR_ANSWERED : 0) |
		(bits & 0x0004 ? MAILDIR_FLAGGED : 0) | (bits & 0x0008 ? MAILDIR_DELETED : 0);
	if (bits & 0x1000)
		add_keywords(marks, SLICE("$Forwarded"));
}

bool mbox_marks_note(struct mbox_marks *marks, struct slice name, struct slice value)
{
	static const struct {
		char letter;
		uint8_t flag;
	} letters[] = { { 'R', MAILDIR_SEEN },
			{ 'A', MAILDIR_ANSWERED },
			{ 'F', MAILDIR_FLAGGED },
			{ 'D', MAILDIR_DELETED },
			{ 'T', MAILDIR_DRAFT } };
	value = slice_trim(value);
	if (slice_eq_nocase(name, SLICE("Status")) || slice_eq_nocase(name, SLICE("X-Status"))) {
		for (size_t i = 0; i < value.len; i++)
			for (size_t k = 0; k < sizeof(letters) / sizeof(letters[0]); k++)
				if (value.ptr[i] == (uint8_t)letters[k].letter)
					marks->flags |= letters[k].flag;
		return true;
	}
	if (slice_eq_nocase(name, SLICE("X-Keywords")) ||
	    slice_eq_nocase(name, SLICE("X-Mozilla-Keys"))) {
		add_keywords(marks, value);
		return true;
	}
	if (slice_eq_nocase(name, SLICE("X-Mozilla-Status"))) {
		note_mozilla(marks, value);
		return true;
	}
	if (slice_eq_nocase(name, SLICE("X-IMAP"))) {
		marks->is_internal = true;
		return true;
	}
	return slice_eq_nocase(name, SLICE("X-Mozilla-Status2")) ||
	       slice_eq_nocase(name, SLICE("X-IMAPbase")) ||
	       slice_eq_nocase(name, SLICE("X-UID")) ||
	       slice_eq_nocase(name, SLICE("Content-Length"));
}
