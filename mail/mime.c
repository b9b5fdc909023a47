/* mail/mime.c - the structure of a message, line by line as it arrives.
 *
 * RFC 2046 section 5 (multipart, digest, message/rfc822), RFC 5322 section 2.1, RFC 6532
 * section 3.7 (message/global). Leaves out message/partial and message/external-body, which are
 * leaves here as for IMAP, and whatever an encoded message/rfc822 may hold. Runs in both.
 *
 * The open parts stand on a stack. Of a body only the line ends are looked at, and what starts
 * with "-" while a multipart is open; only a header and a line that may be a delimiter are
 * copied. */
#include "mail/mime.h"

#include <assert.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "base/heap.h"
#include "mail/header.h"
#include "mail/mime_priv.h"

/* A place in the message where a line starts, and how many CRLF come before it. */
struct position {
	uint64_t offset, lines;
};

struct open_part {
	struct mime_part *part;
	struct mime_part *last_child;
	uint64_t lines_at_body;
	bool is_digest;	   /* its children are messages by default */
	bool is_delimited; /* its boundary is still looked for */
};

struct mime_parser {
	struct arena *arena;
	struct mime_part *root;
	struct open_part open[MIME_MAX_DEPTH];
	uint8_t depth; /* of `open` in use */
	struct mime_boundaries boundaries;
	uint32_t part_count; /* those that an open multipart without a part will need included */
	struct mime_budget budget;

	struct position line; /* the start of the current line */
	uint64_t line_octets; /* of it so far, without its LF */
	uint8_t last_octet;   /* of these */
	uint8_t previous_end; /* octets of the line end before it: 0, 1, 2 */

	bool may_delimit;	 /* the line may be a delimiter, as far as it came */
	struct buffer delimiter; /* that line, but for blanks beyond the longest boundary */

	bool in_header; /* of the innermost open part */
	struct buffer header;
	size_t header_line;	  /* where in `header` the current line starts */
	bool header_cut;	  /* what follows is beyond the bound */
	bool field_seen;	  /* in this header */
	bool other_seen;	  /* since the last field a line came that can be none, at: */
	struct position other_at; /* see header_end() */
};

static bool has_room(const struct mime_parser *p)
{
	return p->depth < MIME_MAX_DEPTH && p->part_count < MIME_MAX_PARTS;
}

/* Adds an empty part at `at` to the innermost open one. */
static struct mime_part *add_child(struct mime_parser *p, uint64_t at)
{
	struct mime_part *child = arena_alloc(p->arena, sizeof(*child));
	child->header_start = child->body_start = child->body_end = at;
	if (p->depth == 0) {
		p->root = child;
		return child;
	}
	struct open_part *parent = &p->open[p->depth - 1];
	if (parent->last_child)
		parent->last_child->next_sibling = child;
	else
		parent->part->first_child = child;
	parent->last_child = child;
	return child;
}

/* Adds a part whose header starts at `at`, and reads on in that header. */
static void open_child(struct mime_parser *p, uint64_t at, bool is_message)
{
	assert(p->depth < MIME_MAX_DEPTH);
	struct mime_part *child = add_child(p, at);
	if (is_message)
		child->envelope = arena_alloc(p->arena, sizeof(*child->envelope));
	p->open[p->depth++] = (struct open_part){ .part = child };
	p->in_header = true;
	buffer_clear(&p->header);
	p->header_line = 0;
	p->header_cut = p->field_seen = p->other_seen = false;
}

struct slice mime_boundary_of(const struct mime_part *part)
{
	struct slice boundary = SLICE_NONE;
	mime_parameter_find(part, SLICE("boundary"), &boundary);
	while (boundary.len &&
	       (boundary.ptr[boundary.len - 1] == ' ' || boundary.ptr[boundary.len - 1] == '\t'))
		boundary.len--;
	return boundary;
}

static void make_octets(struct mime_part *part)
{
	part->type = SLICE("application");
	part->subtype = SLICE("octet-stream");
}

static void enter_multipart(struct mime_parser *p, struct open_part *open)
{
	struct slice boundary = mime_boundary_of(open->part);
	if (boundary.len == 0) {
		open->part->type = SLICE("text");
		open->part->subtype = SLICE("plain");
	} else if (!has_room(p)) {
		make_octets(open->part);
	} else {
		mime_boundaries_push(&p->boundaries, boundary, p->depth);
		open->is_delimited = true;
		open->is_digest = slice_eq(open->part->subtype, SLICE("digest"));
		p->part_count++; /* one child at least */
	}
}

/* RFC 2046 section 5.2.1: a message may not be encoded. */
static bool is_encoded(const struct mime_part *part)
{
	return !slice_eq(part->encoding, SLICE("7bit")) &&
	       !slice_eq(part->encoding, SLICE("8bit")) &&
	       !slice_eq(part->encoding, SLICE("binary"));
}

static void enter_message(struct mime_parser *p, struct open_part *open)
{
	if (is_encoded(open->part) || !has_room(p)) {
		make_octets(open->part);
		return;
	}
	p->part_count++;
	open_child(p, open->part->body_start, true);
}

/* The header of the innermost part is all there; its body starts at `body`. */
static void end_header(struct mime_parser *p, struct position body)
{
	struct open_part *open = &p->open[p->depth - 1];
	struct mime_part *part = open->part;
	bool in_digest = p->depth > 1 && p->open[p->depth - 2].is_digest;
	p->in_header = false;
	mime_header_read(buffer_slice(&p->header), in_digest, part, p->arena, &p->budget);
	if (p->header_cut && part->envelope)
		part->envelope->more = MIME_MORE_ANY;
	part->body_start = part->body_end = body.offset;
	open->lines_at_body = body.lines;
	if (slice_eq(part->type, SLICE("multipart")))
		enter_multipart(p, open);
	else if (slice_eq(part->type, SLICE("message")) &&
		 (slice_eq(part->subtype, SLICE("rfc822")) ||
		  slice_eq(part->subtype, SLICE("global"))))
		enter_message(p, open);
}

/* The current line is no more of the header that it stands in, nor is an empty one before it. */
static void break_header(struct mime_parser *p, struct position at)
{
	if (!p->header_cut)
		p->header.len = p->header_line;
	if (p->in_header && p->other_seen)
		at = p->other_at;
	while (p->in_header)
		end_header(p, at);
}

static void add_empty_child(struct mime_parser *p, uint64_t at)
{
	struct mime_part *child = add_child(p, at);
	mime_header_read(SLICE_NONE, false, child, p->arena, &p->budget);
}

/* Closes open parts until `depth` are left. What a part holds ends at `end`, but never before
 * what it begins with: the CRLF before a delimiter may end the header already. */
static void close_parts(struct mime_parser *p, uint8_t depth, struct position end)
{
	while (p->depth > depth) {
		struct open_part *open = &p->open[p->depth - 1];
		struct mime_part *part = open->part;
		if (end.offset < part->body_start)
			end = (struct position){ part->body_start, open->lines_at_body };
		part->body_end = end.offset;
		part->lines = end.lines - open->lines_at_body;
		if (slice_eq(part->type, SLICE("multipart")) && !part->first_child)
			add_empty_child(p, end.offset);
		if (open->is_delimited)
			mime_boundaries_pop(&p->boundaries);
		p->depth--;
	}
}

/* The current line is a delimiter of the multipart at `depth`. */
static void take_delimiter(struct mime_parser *p, uint8_t depth, bool is_close,
			   struct position next)
{
	/* The line end before it is its own (RFC 2046 section 5.1.1). */
	struct position end = { p->line.offset - p->previous_end,
				p->line.lines - (p->previous_end == 2) };
	break_header(p, p->line);
	close_parts(p, depth, end);
	struct open_part *open = &p->open[depth - 1];
	if (is_close) {
		mime_boundaries_pop(&p->boundaries);
		open->is_delimited = false;
	} else if (!open->part->first_child) {
		open_child(p, next.offset, false); /* counted when the multipart was entered */
	} else if (has_room(p)) {
		p->part_count++;
		open_child(p, next.offset, false);
	}
}

static void take_header_line(struct mime_parser *p, struct position next)
{
	enum header_line kind = HEADER_LINE_FIELD;
	if (!p->header_cut)
		kind = header_line_kind(
			slice_of(p->header.data + p->header_line, p->header.len - p->header_line));
	else if (p->line_octets == 0 || (p->line_octets == 1 && p->last_octet == '\r'))
		kind = HEADER_LINE_EMPTY;
	p->header_line = p->header.len;
	if (kind == HEADER_LINE_EMPTY) {
		end_header(p, next);
	} else if (kind == HEADER_LINE_FIELD) {
		p->field_seen = true;
		p->other_seen = false;
	} else if (!p->other_seen && (kind == HEADER_LINE_OTHER || !p->field_seen)) {
		p->other_seen = true;
		p->other_at = p->line;
	}
}

static bool is_padding(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static bool line_is_delimiter(struct mime_parser *p, uint8_t *depth_out, bool *is_close_out)
{
	struct slice line = buffer_slice(&p->delimiter);
	if (!p->may_delimit || line.len < 2 || line.ptr[1] != '-')
		return false;
	while (line.len > 2 && is_padding(line.ptr[line.len - 1]))
		line.len--;
	return mime_boundaries_find(&p->boundaries, slice_sub(line, 2, line.len), depth_out,
				    is_close_out);
}

/* The current line is complete; `end_octets` of 0 is the end of the message. */
static void end_line(struct mime_parser *p, uint8_t end_octets)
{
	/* line_octets holds the CR. */
	struct position next = { p->line.offset + p->line_octets + (end_octets > 0),
				 p->line.lines + (end_octets == 2) };
	uint8_t depth;
	bool is_close;
	if (line_is_delimiter(p, &depth, &is_close))
		take_delimiter(p, depth, is_close, next);
	else if (p->in_header)
		take_header_line(p, next);
	p->line = next;
	p->line_octets = 0;
	p->previous_end = end_octets;
}

/* A piece of a line that began with "-". Only padding may come where no boundary reaches. */
static void add_to_delimiter(struct mime_parser *p, struct slice piece)
{
	size_t most = mime_boundaries_longest(&p->boundaries) + 4;
	size_t room = most - p->delimiter.len;
	buffer_add(&p->delimiter, slice_sub(piece, 0, room));
	for (size_t i = room; i < piece.len && p->may_delimit; i++)
		p->may_delimit = is_padding(piece.ptr[i]);
	if (p->delimiter.len >= 2 && p->delimiter.data[1] != '-')
		p->may_delimit = false;
}

static void add_to_header(struct mime_parser *p, struct slice piece)
{
	if (p->header_cut)
		return;
	if (piece.len > MIME_MAX_HEADER_OCTETS - p->header.len) {
		p->header_cut = true;
		p->header.len = p->header_line;
		return;
	}
	buffer_add(&p->header, piece);
}

void mime_parser_feed(struct mime_parser *p, struct slice octets)
{
	const uint8_t *at = octets.ptr, *end = at + octets.len;
	while (at != end) {
		const uint8_t *newline = memchr(at, '\n', (size_t)(end - at));
		struct slice piece = slice_of(at, (size_t)((newline ? newline : end) - at));
		if (p->line_octets == 0) {
			p->may_delimit = *at == '-' && p->boundaries.count > 0;
			p->delimiter.len = 0;
		}
		if (p->may_delimit)
			add_to_delimiter(p, piece);
		if (p->in_header)
			add_to_header(p, slice_of(at, piece.len + (newline != NULL)));
		p->line_octets += piece.len;
		if (piece.len)
			p->last_octet = piece.ptr[piece.len - 1];
		at += piece.len;
		if (newline) {
			at++;
			end_line(p, p->line_octets && p->last_octet == '\r' ? 2 : 1);
		}
	}
}

struct mime_parser *mime_parser_new(struct arena *arena)
{
	struct mime_parser *p = heap_alloc(sizeof(*p));
	p->arena = arena;
	p->part_count = 1;
	open_child(p, 0, true);
	return p;
}

struct mime_part *mime_parser_finish(struct mime_parser **parser)
{
	struct mime_parser *p = *parser;
	if (p->line_octets)
		end_line(p, 0);
	p->header_line = p->header.len;
	break_header(p, p->line);
	close_parts(p, 0, p->line);
	struct mime_part *root = p->root;
	mime_parser_free(parser);
	return root;
}

void mime_parser_free(struct mime_parser **parser)
{
	struct mime_parser *p = *parser;
	if (!p)
		return;
	buffer_free(&p->delimiter);
	buffer_free(&p->header);
	free(p);
	*parser = NULL;
}
