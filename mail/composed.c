/* mail/composed.c - Unicode's normalisation form C, by utf8proc: the form that names have on the wire (RFC 5198
 * section 2, RFC 9051 section 5.1). Runs in both. */
#include <stdlib.h>

#include <utf8proc.h>

#include "mail/text.h"

/* As in the Stream-Safe Text Format of Unicode's annex 15: no script needs more. utf8proc puts them in order in a time
 * that grows with the square of their number. */
enum { MARKS_MAX = 30 };

static bool has_few_marks(struct slice utf8)
{
	utf8proc_int32_t character;
	unsigned marks = 0;
	utf8proc_ssize_t len;
	for (size_t at = 0; at < utf8.len && marks <= MARKS_MAX; at += (size_t)len) {
		len = utf8proc_iterate(utf8.ptr + at, (utf8proc_ssize_t)(utf8.len - at),
				       &character);
		if (len <= 0)
			return false;
		marks = utf8proc_get_property(character)->combining_class ? marks + 1 : 0;
	}
	return marks <= MARKS_MAX;
}

/* False: it has no composed form. */
static bool compose(struct slice utf8, struct arena *arena, struct slice *composed_out)
{
	const utf8proc_option_t options = UTF8PROC_STABLE | UTF8PROC_COMPOSE;
	utf8proc_uint8_t *composed = NULL;
	*composed_out = utf8;
	if (text_is_ascii(utf8))
		return true;
	if (!has_few_marks(utf8))
		return false;
	utf8proc_ssize_t len =
		utf8proc_map(utf8.ptr, (utf8proc_ssize_t)utf8.len, &composed, options);
	if (len >= 0)
		*composed_out = arena_copy(arena, slice_of(composed, (size_t)len));
	free(composed);
	return len >= 0;
}

struct slice text_compose(struct slice utf8, struct arena *arena)
{
	struct slice composed;
	(void)compose(utf8, arena, &composed);
	return composed;
}

bool text_is_composed(struct slice utf8)
{
	struct arena arena = { 0 };
	struct slice composed;
	bool is_composed = compose(utf8, &arena, &composed) && slice_eq(composed, utf8);
	arena_fini(&arena);
	return is_composed;
}
