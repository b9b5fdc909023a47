/* storage/keyword.c - the keywords of a mailbox: each is a bit of its messages' entries, given
 * for ever at its first use. Case does not matter; the first spelling stays (RFC 9051
 * section 2.3.2). Runs in the back. */
#include "storage/store_priv.h"

/* -1: none. */
static int keyword_find(const struct slice *keywords, size_t count, struct slice name)
{
	for (size_t i = 0; i < count; i++)
		if (keywords[i].ptr && slice_eq_nocase(keywords[i], name))
			return (int)i;
	return -1;
}

enum err keyword_bits(struct write *write, struct mailbox_slot *slot, const struct slice *names,
		      size_t count, bool add, uint64_t *bits_out)
{
	struct mailbox *mailbox = &slot->record.mailbox;
	struct slice keywords[MAILBOX_KEYWORDS_MAX];
	size_t keyword_count = mailbox->keyword_count;
	bool is_changed = false;
	memcpy(keywords, mailbox->keywords, sizeof(keywords));
	*bits_out = 0;
	for (size_t i = 0; i < count; i++) {
		int bit = keyword_find(keywords, keyword_count, names[i]);
		if (bit < 0 && !add)
			continue;
		if (bit < 0) {
			if (names[i].len == 0)
				return ERR_BAD_INPUT;
			if (names[i].len > KEYWORD_MAX_OCTETS)
				return ERR_LIMIT;
			for (bit = 0; bit < (int)keyword_count && keywords[bit].ptr; bit++)
				;
			if (bit == MAILBOX_KEYWORDS_MAX)
				return ERR_LIMIT;
			keywords[bit] = arena_copy(&write->arena, names[i]);
			if ((size_t)bit == keyword_count)
				keyword_count++;
			is_changed = true;
		}
		*bits_out |= (uint64_t)1 << bit;
	}
	if (is_changed) {
		memcpy(mailbox->keywords, keywords, sizeof(keywords));
		mailbox->keyword_count = keyword_count;
		mailbox_slot_dirty(write, slot);
	}
	return ERR_OK;
}
