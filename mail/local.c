/* mail/local.c - the one form of a local part, for our own lookups and comparisons.
 *
 * ASCII is lower-cased. What goes beyond (RFC 6531) is put into normalisation form C with its case
 * folded, by utf8proc, so that two ways of typing one name lead to one mailbox; RFC 6532 section
 * 3.1 asks for that form, RFC 5321 section 2.4 leaves the case to the receiving host. Compatibility
 * forms stay what they are: a superscript two is no two. Runs in both. */
#include <stdlib.h>

#include <utf8proc.h>

#include "mail/address.h"
#include "mail/text.h"

struct slice local_normalise(struct slice local, struct arena *arena)
{
	const utf8proc_option_t options = UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_CASEFOLD;
	utf8proc_uint8_t *folded = NULL;

	if (text_is_ascii(local) || !text_is_utf8(local))
		return arena_lower(arena, local);
	utf8proc_ssize_t len =
		utf8proc_map(local.ptr, (utf8proc_ssize_t)local.len, &folded, options);
	struct slice normal = len >= 0 ? arena_copy(arena, slice_of(folded, (size_t)len))
				       : arena_lower(arena, local);
	free(folded);
	return normal;
}
