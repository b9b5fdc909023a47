/* base/line.c - lines that end in CRLF. */
#include "base/line.h"

/* The first CRLF, or NULL. */
static const uint8_t *find_crlf(const struct cursor *in)
{
	const uint8_t *at = in->at;
	while (at < in->end) {
		const uint8_t *lf = memchr(at, '\n', (size_t)(in->end - at));
		if (!lf)
			return NULL;
		if (lf > in->at && lf[-1] == '\r')
			return lf - 1;
		at = lf + 1;
	}
	return NULL;
}

enum line_result line_take(struct line_reader *reader, struct cursor *in, size_t max_octets,
			   struct slice *line_out)
{
	const uint8_t *crlf = find_crlf(in);

	if (!crlf) {
		if (cursor_left(in) > max_octets + 1) /* not even with this octet as its CR */
			reader->is_skipping = true;
		if (reader->is_skipping && !at_end(in)) /* a CR at the end may be half of CRLF */
			in->at = in->end[-1] == '\r' ? in->end - 1 : in->end;
		return LINE_PARTIAL;
	}
	struct slice taken = slice_of(in->at, (size_t)(crlf - in->at));
	bool is_too_long = reader->is_skipping || taken.len > max_octets;
	reader->is_skipping = false;
	in->at = crlf + 2;
	if (is_too_long)
		return LINE_TOO_LONG;
	if (slice_find_byte(taken, 0, '\r') < taken.len ||
	    slice_find_byte(taken, 0, '\n') < taken.len)
		return LINE_BARE;
	*line_out = taken;
	return LINE_TAKEN;
}
