/* mail/xtext.c - xtext = *( xchar / hexchar ) (RFC 3461 section 4). Runs in both. */
#include "mail/xtext.h"

#include "base/hex.h"

bool xtext_decode(struct slice xtext, struct arena *arena, struct slice *text_out)
{
	uint8_t *text = arena_alloc(arena, xtext.len + 1);
	size_t len = 0;

	for (size_t i = 0; i < xtext.len; i++) {
		uint8_t c = xtext.ptr[i];
		if (c < 33 || c > 126 || c == '=')
			return false;
		text[len++] = c;
		if (c != '+')
			continue;
		int high = i + 2 < xtext.len ? hex_value_upper(xtext.ptr[i + 1]) : -1;
		int low = high >= 0 ? hex_value_upper(xtext.ptr[i + 2]) : -1;
		if (low < 0)
			return false;
		text[len - 1] = (uint8_t)(high * 16 + low);
		i += 2;
	}
	*text_out = slice_of(text, len);
	return true;
}
