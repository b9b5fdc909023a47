/* tests/fuzz/maildir.c - what a Maildir says in names and small files; names come back from
 * their own encoding. */
#include <assert.h>

#include "mail/maildir.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_folder(struct slice text)
{
	struct buffer mailbox = { 0 }, folder = { 0 }, again = { 0 };
	if (maildir_folder_decode(text, &mailbox) &&
	    maildir_folder_encode(buffer_slice(&mailbox), &folder)) {
		assert(maildir_folder_decode(buffer_slice(&folder), &again));
		assert(slice_eq(buffer_slice(&mailbox), buffer_slice(&again)));
	}
	buffer_clear(&mailbox);
	buffer_clear(&again);
	buffer_clear(&folder);
	if (subscription_decode(true, text, &mailbox) &&
	    subscription_encode(buffer_slice(&mailbox), &folder)) {
		struct slice line = slice_sub(buffer_slice(&folder), 0, folder.len - 1);
		if (slice_find_byte(buffer_slice(&mailbox), 0, '\n') == mailbox.len) {
			assert(subscription_decode(true, line, &again));
			assert(slice_eq(buffer_slice(&mailbox), buffer_slice(&again)));
		}
	}
	buffer_clear(&mailbox);
	if (!subscription_decode(false, text, &mailbox))
		assert(mailbox.len == 0);
	buffer_free(&mailbox);
	buffer_free(&folder);
	buffer_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = slice_of(data, size), line, keyword;
	struct cursor c = cursor_of(text);
	struct maildir_name name, again;
	struct uidlist_header header = { 0 };
	struct uidlist_entry entry;
	unsigned index;
	bool has_header = false;

	check_folder(text);
	if (maildir_name_parse(text, &name)) {
		struct buffer out = { 0 };
		buffer_add(&out, name.base);
		maildir_info_format(&name, &out);
		assert(maildir_name_parse(buffer_slice(&out), &again));
		assert(slice_eq(name.base, again.base) && name.flags == again.flags &&
		       name.keywords == again.keywords && name.passed == again.passed);
		buffer_free(&out);
		maildir_name_time(name.base);
	}
	while (take_until_byte(&c, '\n', &line)) {
		take_byte(&c, '\n');
		if (!has_header)
			has_header = uidlist_header_parse(line, &header);
		else if (uidlist_entry_parse(&header, line, &entry))
			assert(entry.uid != 0 && entry.base.len > 0);
		if (maildir_keyword_parse(line, &index, &keyword))
			assert(index < MAILDIR_KEYWORDS && keyword.len > 0);
	}
	return 0;
}
