/* admin/shown.c - what strangers have said, so that no control character of theirs reaches the
 * terminal. Runs in the admin's process. */
#include "admin/shown.h"

#include "mail/text.h"

void add_shown(struct buffer *out, struct slice text)
{
	while (text.len > 0) {
		size_t len = text_utf8_len(text);
		bool is_c1 = len == 2 && text.ptr[0] == 0xc2 && text.ptr[1] < 0xa0;
		if (len == 0 || text.ptr[0] < 0x20 || text.ptr[0] == 0x7f || is_c1) {
			buffer_add_byte(out, '?');
			len = len == 0 ? 1 : len;
		} else {
			buffer_add(out, slice_sub(text, 0, len));
		}
		text = slice_sub(text, len, text.len);
	}
}

void print_shown(FILE *out, struct slice text)
{
	struct buffer shown = { 0 };
	add_shown(&shown, text);
	if (shown.len > 0)
		fwrite(shown.data, 1, shown.len, out);
	buffer_free(&shown);
}
