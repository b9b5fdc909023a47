/* tests/fuzz/imap_fetch_items.c - what stands behind FETCH; what is understood can be echoed
 * and is understood again in the same way. */
#include "imapd/fetch_items_priv.h"
#include "imapd/section_range_priv.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena = { 0 };
	struct cursor c = cursor_of(slice_of(data, size));
	struct fetch_items items;

	if (take_fetch_items(&c, &arena, size & 1, &items)) {
		struct buffer echo = { 0 }, second = { 0 };
		assert(at_end(&c) && items.count > 0);
		for (size_t i = 0; i < items.count; i++) {
			struct section section;
			if (!items.items[i].names_section)
				continue;
			buffer_clear(&echo);
			section_render(&echo, &items.items[i].section, true);
			if (slice_find_byte(buffer_slice(&echo), 0, 0x80) < echo.len)
				continue; /* perhaps a NUL that no string can hold */
			struct cursor again = cursor_of(buffer_slice(&echo));
			bool understood = take_section(&again, &arena, &section);
			assert(understood && at_end(&again));
			buffer_clear(&second);
			section_render(&second, &section, true);
			assert(slice_eq(buffer_slice(&echo), buffer_slice(&second)));
		}
		buffer_free(&echo);
		buffer_free(&second);
	}
	arena_fini(&arena);
	return 0;
}
