/* tests/fuzz/imap_url.c - IMAP URLs: what is understood lies within its bounds. */
#include "imapd/url_priv.h"

#include <assert.h>

#include "mail/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena = { 0 };
	struct imap_url url;
	struct slice selected = size % 3 == 0 ? SLICE("a/b/c") : SLICE_NONE;

	if (imap_url_parse(slice_of(data, size), selected, &arena, &url)) {
		assert(url.uid > 0 && url.mailbox.len > 0);
		assert(text_is_utf8(url.mailbox));
		assert(slice_find_byte(url.mailbox, 0, 0) == url.mailbox.len);
		assert(!url.has_partial || url.partial.count > 0);
	}
	arena_fini(&arena);
	return 0;
}
