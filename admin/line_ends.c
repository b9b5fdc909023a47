/* admin/line_ends.c - line feeds counted, with and without a carriage return before them. */
#include "admin/line_ends.h"

void line_ends_look(struct line_ends *ends, struct slice octets)
{
	for (size_t at = 0; at < octets.len;) {
		size_t end = slice_find_byte(octets, at, '\n');
		bool after_cr = end > at ? octets.ptr[end - 1] == '\r' : ends->after_cr && at == 0;
		if (end < octets.len) {
			ends->lf++;
			ends->crlf += after_cr;
		}
		ends->after_cr = end == octets.len && after_cr;
		at = end + 1;
	}
}

enum source_form line_ends_form(const struct line_ends *ends)
{
	if (ends->crlf == 0)
		return SOURCE_LF;
	return ends->crlf == ends->lf ? SOURCE_CRLF : SOURCE_MIXED;
}
