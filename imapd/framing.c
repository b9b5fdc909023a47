/* imapd/framing.c - where a command ends. In the front and in the back.
 *
 * RFC 9051 section 2.2.1 (lines and literals), 4.3 (literals), RFC 7888 (LITERAL+): what a
 * refused non-synchronizing literal holds is skipped, however long, so that its octets are
 * never taken for commands. A refused command keeps only its tag and the end of the line
 * being received, so it costs no memory. */
#include "imapd/framing_priv.h"

#include <assert.h>

#include "imapd/grammar_priv.h"

enum {
	TAG_KEPT_OCTETS = 256,	 /* of a refused command: enough for its tag */
	HEADER_KEPT_OCTETS = 32, /* of its current line: "~{9223372036854775807+}" CRLF */
};

bool take_literal_header(struct cursor *line, struct literal *literal_out)
{
	struct cursor c = *line;
	uint64_t size;
	bool is_literal8 = take_byte(&c, '~');
	if (!take_byte(&c, '{') || !take_number(&c, INT64_MAX, &size))
		return false;
	bool client_waits = !take_byte(&c, '+');
	if (!take_byte(&c, '}'))
		return false;
	*literal_out = (struct literal){ size, client_waits, is_literal8 };
	*line = c;
	return true;
}

/* The header at the end of a line without its CRLF. */
static bool line_announces_literal(struct slice line, struct literal *literal_out)
{
	if (line.len < 3 || line.ptr[line.len - 1] != '}')
		return false;
	size_t at = line.len - 1;
	while (at > 0 && line.ptr[at] != '{' && line.len - at < HEADER_KEPT_OCTETS)
		at--;
	if (at > 0 && line.ptr[at - 1] == '~')
		at--;
	struct cursor c = cursor_of(slice_sub(line, at, line.len));
	return take_literal_header(&c, literal_out) && at_end(&c);
}

static void start_skipping(struct framing *f, enum framing_refusal why)
{
	f->is_skipping = true;
	f->why = (uint8_t)why;
	if (f->text.len > TAG_KEPT_OCTETS)
		f->text.len = TAG_KEPT_OCTETS;
	f->line_start = f->text.len;
	f->tag_within = f->text.len;
}

static void add_to_line(struct framing *f, struct slice piece, size_t limit_octets)
{
	if (!f->is_skipping && piece.len > limit_octets - f->text.len) {
		if (f->text.len < TAG_KEPT_OCTETS)
			buffer_add(&f->text, slice_sub(piece, 0, TAG_KEPT_OCTETS - f->text.len));
		start_skipping(f, FRAMING_TOO_LONG);
	}
	if (!f->is_skipping) {
		buffer_add(&f->text, piece);
		return;
	}
	if (piece.len > HEADER_KEPT_OCTETS)
		piece = slice_sub(piece, piece.len - HEADER_KEPT_OCTETS, piece.len);
	buffer_add(&f->text, piece);
	size_t line_len = f->text.len - f->line_start;
	if (line_len > HEADER_KEPT_OCTETS) {
		size_t drop = line_len - HEADER_KEPT_OCTETS;
		memmove(f->text.data + f->line_start, f->text.data + f->line_start + drop,
			HEADER_KEPT_OCTETS);
		f->text.len -= drop;
	}
}

static enum framed refused(struct framing *f)
{
	f->is_whole = true;
	f->is_skipping = false;
	return FRAMED_REFUSED;
}

static void begin_literal(struct framing *f, uint64_t size_octets)
{
	f->literal_left = size_octets;
	if (f->is_skipping) {
		f->text.len = f->line_start;
		f->skipped_octets += size_octets;
		if (f->skipped_octets < size_octets)
			f->skipped_octets = UINT64_MAX;
	}
	f->line_start = f->text.len;
}

/* A whole line has come, its LF included. FRAMED_NOTHING: the command goes on. */
static enum framed end_line(struct framing *f)
{
	struct slice line = slice_sub(framing_command(f), f->line_start, f->text.len);
	struct literal literal;

	assert(line.ptr);
	if (line.len < 2 || line.ptr[line.len - 2] != '\r') {
		if (!f->is_skipping)
			f->why = FRAMING_BARE_LINE_FEED;
		return refused(f);
	}
	line.len -= 2;
	if (!line_announces_literal(line, &literal)) {
		if (f->is_skipping)
			return refused(f);
		f->text.len -= 2;
		f->is_whole = true;
		return FRAMED_COMMAND;
	}
	if (!f->is_skipping) {
		f->literal = literal;
		return FRAMED_LITERAL;
	}
	if (literal.client_waits) /* for a "+" that does not come */
		return refused(f);
	begin_literal(f, literal.size_octets);
	return FRAMED_NOTHING;
}

static void take_from_literal(struct framing *f, struct cursor *in)
{
	size_t len = cursor_left(in);
	struct slice octets;
	if (len > f->literal_left)
		len = (size_t)f->literal_left;
	if (!take_octets(in, len, &octets))
		return;
	if (!f->is_skipping)
		buffer_add(&f->text, octets);
	f->literal_left -= len;
	if (f->literal_left == 0)
		f->line_start = f->text.len;
}

enum framed framing_next(struct framing *f, struct cursor *in, size_t limit_octets)
{
	if (f->is_whole) {
		buffer_clear(&f->text);
		f->is_whole = false;
		f->is_skipping = false;
		f->skipped_octets = 0;
		f->why = FRAMING_FINE;
		f->line_start = 0;
		f->tag_within = 0;
	}
	while (!at_end(in)) {
		if (f->literal_left > 0) {
			take_from_literal(f, in);
			continue;
		}
		struct slice rest = cursor_rest(in), piece;
		size_t line_feed = slice_find_byte(rest, 0, '\n');
		bool line_ends = line_feed < rest.len;
		if (!take_octets(in, line_ends ? line_feed + 1 : rest.len, &piece))
			break;
		add_to_line(f, piece, limit_octets);
		if (!line_ends)
			break;
		enum framed framed = end_line(f);
		if (framed != FRAMED_NOTHING)
			return framed;
	}
	return FRAMED_NOTHING;
}

bool framing_literal_fits(const struct framing *f, size_t limit_octets)
{
	return f->text.len <= limit_octets && f->literal.size_octets <= limit_octets - f->text.len;
}

void framing_accept(struct framing *f)
{
	begin_literal(f, f->literal.size_octets);
}

bool framing_refuse(struct framing *f)
{
	if (f->literal.client_waits) {
		f->is_whole = true;
		return true;
	}
	start_skipping(f, FRAMING_REFUSED_BY_CALLER);
	begin_literal(f, f->literal.size_octets);
	return false;
}

void framing_skip_literal(struct framing *f, size_t from)
{
	/* Only the beginning, with the tag, is needed any more. */
	if (from > 0)
		f->text.len = from;
	f->line_start = f->text.len;
}

struct slice framing_tag(const struct framing *f)
{
	struct slice text = framing_command(f), tag;
	if (f->tag_within > 0)
		text = slice_sub(text, 0, f->tag_within);
	struct cursor c = cursor_of(text);
	/* What is cut off is no tag. */
	if (!take_tag(&c, &tag) || tag.len >= TAG_KEPT_OCTETS || at_end(&c))
		return SLICE("*");
	return tag;
}

void framing_reset(struct framing *f)
{
	buffer_free(&f->text);
	*f = (struct framing){ 0 };
}
