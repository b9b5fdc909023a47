/* smtpd/line.c - command lines end in CRLF and in nothing else (RFC 5321 section 2.3.8). Runs
 * in the front.
 *
 * A lone CR or LF is never an end of line and never mended: where two servers disagree about
 * line ends, one of them can be made to see a message that the other did not (smuggling). The
 * line is read to its real end and refused. */
#include "smtpd/line_priv.h"

/* The first CRLF at or after `at`, or NULL. */
static const uint8_t *find_crlf(const uint8_t *at, const uint8_t *end)
{
	const uint8_t *start = at;
	while (at < end) {
		const uint8_t *lf = memchr(at, '\n', (size_t)(end - at));
		if (!lf)
			return NULL;
		if (lf > start && lf[-1] == '\r')
			return lf - 1;
		at = lf + 1;
	}
	return NULL;
}

enum smtp_line_result smtp_line_take(struct smtp_line *line, struct cursor *in, size_t max_octets,
				     struct slice *line_out)
{
	const uint8_t *crlf = find_crlf(in->at, in->end);

	if (!crlf) {
		if (cursor_left(in) > max_octets + 1) /* not even with this octet as its CR */
			line->is_skipping = true;
		if (line->is_skipping && !at_end(in)) /* a CR at the end may be half of CRLF */
			in->at = in->end[-1] == '\r' ? in->end - 1 : in->end;
		return LINE_PARTIAL;
	}
	struct slice taken = slice_of(in->at, (size_t)(crlf - in->at));
	bool is_too_long = line->is_skipping || taken.len > max_octets;
	line->is_skipping = false;
	in->at = crlf + 2;
	if (is_too_long)
		return LINE_TOO_LONG;
	if (slice_find_byte(taken, 0, '\r') < taken.len ||
	    slice_find_byte(taken, 0, '\n') < taken.len)
		return LINE_BARE;
	*line_out = taken;
	return LINE_TAKEN;
}
