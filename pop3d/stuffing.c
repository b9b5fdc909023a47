/* pop3d/stuffing.c - multi-line responses: RFC 1939 section 3, and TOP's limit, section 7.
 * Runs in the back.
 *
 * A line ends in LF here, with or without a CR before it. Stored mail ends its lines in CRLF; in
 * the odd message that holds a lone LF, a dot behind it is stuffed too: some clients end their
 * lines there, and must not take the rest of a message for our next reply. */
#include "pop3d/stuffing_priv.h"

void stuffing_begin(struct stuffing *stuffing, uint64_t body_lines)
{
	*stuffing = (struct stuffing){ .lines_left = body_lines, .line_is_blank = true };
}

/* A line's end was sent. False: it was the last that is wanted. */
static bool line_ended(struct stuffing *stuffing)
{
	bool was_blank = stuffing->line_is_blank;
	stuffing->line_is_open = false;
	stuffing->line_is_blank = true;
	if (stuffing->in_body) {
		if (stuffing->lines_left != UINT64_MAX)
			stuffing->lines_left--;
	} else if (was_blank) {
		stuffing->in_body = true; /* the line between header and body */
	}
	return !stuffing->in_body || stuffing->lines_left > 0;
}

bool stuffing_add(struct stuffing *stuffing, struct slice octets, struct buffer *out)
{
	size_t at = 0;
	while (at < octets.len && !stuffing->is_complete) {
		if (!stuffing->line_is_open && octets.ptr[at] == '.')
			buffer_add_byte(out, '.');
		size_t lf = slice_find_byte(octets, at, '\n');
		size_t len = lf - at;
		/* Blank: "\r" alone, seen whole or in two pieces. */
		if (len > 1 || (len == 1 && (octets.ptr[at] != '\r' || stuffing->line_is_open)))
			stuffing->line_is_blank = false;
		stuffing->line_is_open |= len > 0;
		if (lf < octets.len)
			len++;
		buffer_add(out, slice_sub(octets, at, len));
		at += len;
		if (lf < octets.len && !line_ended(stuffing))
			stuffing->is_complete = true;
	}
	return !stuffing->is_complete;
}

void stuffing_end(struct stuffing *stuffing, struct buffer *out)
{
	if (stuffing->line_is_open)
		buffer_add_cstr(out, "\r\n");
	buffer_add_cstr(out, ".\r\n");
	stuffing->is_complete = true;
}
