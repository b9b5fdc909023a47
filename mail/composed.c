/* mail/composed.c - Unicode's normalisation form C, by utf8proc: the form that names have on the wire (RFC 5198
 * section 2, RFC 9051 section 5.1). Runs in both. */
#include <stdlib.h>

#include <utf8proc.h>

#include "mail/text.h"

struct slice text_compose(struct slice utf8, struct arena *arena)
{
	const utf8proc_option_t options = UTF8PROC_STABLE | UTF8PROC_COMPOSE;
	utf8proc_uint8_t *composed = NULL;
	if (text_is_ascii(utf8))
		return utf8;
	utf8proc_ssize_t len =
		utf8proc_map(utf8.ptr, (utf8proc_ssize_t)utf8.len, &composed, options);
	struct slice copy = len < 0 ? utf8 : arena_copy(arena, slice_of(composed, (size_t)len));
	free(composed);
	return copy;
}

bool text_is_composed(struct slice utf8)
{
	struct arena arena = { 0 };
	bool is_composed = slice_eq(text_compose(utf8, &arena), utf8);
	arena_fini(&arena);
	return is_composed;
}
