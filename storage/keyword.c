/* storage/keyword.c - the keywords of a mailbox: each is a bit of its messages' entries, given at
 * its first use. When all bits are given, those that no message has any more are taken back, also
 * none that was expunged and may return. Case does not matter; the first spelling stays (RFC 9051
 * section 2.3.2). Runs in the back. */
#include "storage/expunged.h"
#include "storage/store_priv.h"

enum {
	/* More are not looked at to find a free bit: the writer has others to serve. */
	LOOK_ENTRIES_MAX = 200 * 1000,
	/* What was seen holds while the mailbox stays as it is; but what was expunged goes for good
	 * without a trace in the mailbox. */
	LOOK_AGAIN_SECONDS = 60,
	/* So few may be looked at again whenever the mailbox has changed. */
	LOOK_CHEAP_ROWS = 5000,
};

/* -1: none. */
static int keyword_find(const struct slice *keywords, size_t count, struct slice name)
{
	for (size_t i = 0; i < count; i++)
		if (keywords[i].ptr && slice_eq_nocase(keywords[i], name))
			return (int)i;
	return -1;
}

/* All bits, where the messages are too many to be asked. */
static uint64_t bits_in_use(struct read *read, const struct mailbox *mailbox, unsigned *rows_out)
{
	struct message_entry entry;
	uint64_t bits = 0;
	unsigned left = LOOK_ENTRIES_MAX;
	struct message_cursor *cursor = message_cursor_open(read, mailbox->mailbox_id, 1);
	while (left > 0 && ~bits != 0 && message_cursor_next(cursor, &entry)) {
		bits |= entry.keywords;
		left--;
	}
	message_cursor_close(&cursor);
	if (~bits != 0)
		bits |= expunged_keywords(read, mailbox->account_id, mailbox->mailbox_id, &left);
	*rows_out = LOOK_ENTRIES_MAX - left;
	return left > 0 ? bits : UINT64_MAX;
}

/* Looks, unless it has seen the mailbox just as it is now: a client may ask again and again. One that
 * changes it in between waits a minute where looking is work, with those that share its place. */
static uint64_t bits_seen(struct write *write, const struct mailbox *mailbox)
{
	struct keyword_look *look =
		&write->store->keyword_looks[mailbox->mailbox_id % KEYWORD_LOOKS];
	bool is_recent = write->now_unix >= look->looked_unix &&
			 write->now_unix < look->looked_unix + LOOK_AGAIN_SECONDS;
	bool is_seen = is_recent && look->mailbox_id == mailbox->mailbox_id &&
		       look->modseq == mailbox->highest_modseq;
	if (!is_seen && is_recent && look->last_rows > LOOK_CHEAP_ROWS)
		return UINT64_MAX;
	if (!is_seen) {
		unsigned rows;
		uint64_t in_use = bits_in_use(write_read(write), mailbox, &rows);
		write->has_looked = true;
		*look = (struct keyword_look){ .mailbox_id = mailbox->mailbox_id,
					       .modseq = mailbox->highest_modseq,
					       .in_use = in_use,
					       .looked_unix = write->now_unix,
					       .last_rows = rows,
					       .rows = look->rows + rows };
	}
	return look->in_use;
}

void keyword_looks_forget(struct store *store)
{
	memset(store->keyword_looks, 0, sizeof(store->keyword_looks));
}

/* The first bit without a name; MAILBOX_KEYWORDS_MAX: there is none. */
static int first_free(const struct slice *keywords)
{
	int bit = 0;
	while (bit < MAILBOX_KEYWORDS_MAX && keywords[bit].ptr)
		bit++;
	return bit;
}

enum err keyword_bits(struct write *write, struct mailbox_slot *slot, const struct slice *names,
		      size_t count, bool add, uint64_t *bits_out)
{
	struct mailbox *mailbox = &slot->record.mailbox;
	struct slice keywords[MAILBOX_KEYWORDS_MAX];
	size_t keyword_count = mailbox->keyword_count;
	bool is_changed = false, has_looked = false;
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
			bit = first_free(keywords);
			if (bit == MAILBOX_KEYWORDS_MAX && !has_looked) {
				uint64_t in_use = bits_seen(write, mailbox) | *bits_out;
				for (bit = 0; bit < MAILBOX_KEYWORDS_MAX; bit++)
					if (!(in_use >> bit & 1))
						keywords[bit] = SLICE_NONE;
				has_looked = true;
				bit = first_free(keywords);
			}
			if (bit == MAILBOX_KEYWORDS_MAX)
				return ERR_LIMIT;
			keywords[bit] = arena_copy(&write->arena, names[i]);
			if ((size_t)bit >= keyword_count)
				keyword_count = (size_t)bit + 1;
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
