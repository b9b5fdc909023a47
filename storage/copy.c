/* storage/copy.c - copying and moving messages between mailboxes (RFC 9051 section 6.4.7, RFC
 * 6851). Bodies are shared: a copy is an entry and a count. All copies of one command have one
 * MODSEQ. Runs in the back. */
#include "storage/blob_priv.h"
#include "storage/message_priv.h"

struct copying {
	struct write *write;
	bool move;
	struct flags_withheld withheld;
	struct mailbox_slot *from, *to;
	struct account_slot *from_account, *to_account;
	const struct ranges *uids;
	uint32_t end_uid; /* what the source held at the start: it may be the target as well */
	/* found in the first pass */
	uint64_t messages, octets, keywords;
	uint8_t bit_to[MAILBOX_KEYWORDS_MAX]; /* the target's bit of each keyword of the source */
	uint64_t modseq;
};

/* Calls `visit` for each message to copy, in ascending UID. */
static enum err each(struct copying *c, struct ranges *from_out, struct ranges *to_out,
		     enum err (*visit)(struct copying *c, struct row *row,
				       struct message_entry *entry, struct ranges *from_out,
				       struct ranges *to_out))
{
	enum err err = ERR_OK;
	struct row row;
	struct message_entry entry;
	uint64_t mailbox_id = c->from->record.mailbox.mailbox_id;
	row_open(&row, write_read(c->write), DB_MAILBOX);
	for (uint32_t i = 0; i < c->uids->count && err == ERR_OK; i++) {
		struct range run = c->uids->runs[i];
		bool more = entry_seek(&row, mailbox_id, run.first);
		while (err == ERR_OK && more && entry_uid(&row) <= run.last &&
		       entry_uid(&row) < c->end_uid) {
			if (entry_decode(row.value, entry_uid(&row), &entry))
				err = visit(c, &row, &entry, from_out, to_out);
			more = entry_next(&row, mailbox_id);
		}
	}
	row_close(&row);
	return err;
}

static enum err visit_count(struct copying *c, struct row *row, struct message_entry *entry,
			    struct ranges *from_out, struct ranges *to_out)
{
	c->messages++;
	c->octets += entry->size_octets;
	if (!c->withheld.keywords)
		c->keywords |= entry->keywords;
	return ERR_OK;
}

static uint64_t keywords_translate(const struct copying *c, uint64_t bits)
{
	uint64_t to = 0;
	for (bits &= c->keywords; bits; bits &= bits - 1)
		to |= (uint64_t)1 << c->bit_to[__builtin_ctzll(bits)];
	return to;
}

static enum err visit_copy(struct copying *c, struct row *row, struct message_entry *entry,
			   struct ranges *from_out, struct ranges *to_out)
{
	struct mailbox *to = &c->to->record.mailbox;
	struct message_entry copy = *entry;
	uint8_t value[ENTRY_OCTETS];
	struct key key;
	copy.uid = to->uidnext++;
	copy.modseq = c->modseq;
	copy.saved_unix = c->write->now_unix;
	copy.flags &= (uint8_t)~c->withheld.flags;
	copy.keywords = keywords_translate(c, entry->keywords);
	entry_encode(&copy, value);
	key_entry(&key, to->mailbox_id, copy.uid);
	mailbox_count(to, &copy, 1);
	ranges_add(from_out, entry->uid, entry->uid);
	ranges_add(to_out, copy.uid, copy.uid);
	enum err err = db_put(c->write, DB_MAILBOX, key_slice(&key), slice_of(value, sizeof(value)),
			      PUT_ANY);
	return err == ERR_OK && !c->move ? blob_reference(c->write, copy.blob_id) : err;
}

/* Moving: the original goes; how many refer to its body stays the same. */
static enum err visit_delete(struct copying *c, struct row *row, struct message_entry *entry,
			     struct ranges *from_out, struct ranges *to_out)
{
	mailbox_count(&c->from->record.mailbox, entry, -1);
	return row_delete(row);
}

/* Bits of the target for the keywords that are in use among what is copied. */
static enum err keywords_map(struct copying *c)
{
	const struct mailbox *from = &c->from->record.mailbox;
	struct slice names[MAILBOX_KEYWORDS_MAX];
	size_t count = 0;
	uint64_t bits;
	for (size_t i = 0; i < from->keyword_count; i++)
		if ((c->keywords >> i & 1) && from->keywords[i].ptr)
			names[count++] = from->keywords[i];
	enum err err = keyword_bits(c->write, c->to, names, count, true, &bits);
	for (size_t i = 0; i < from->keyword_count && err == ERR_OK; i++) {
		if (!(c->keywords >> i & 1))
			continue;
		err = keyword_bits(c->write, c->to, &from->keywords[i], 1, false, &bits);
		if (bits == 0)
			c->keywords &= ~((uint64_t)1 << i); /* a bit without a name */
		else
			c->bit_to[i] = (uint8_t)__builtin_ctzll(bits);
	}
	return err;
}

/* Decides everything that may be refused, before the first write. */
static enum err copying_check(struct copying *c)
{
	enum err err = each(c, NULL, NULL, visit_count);
	if (err != ERR_OK || c->messages == 0)
		return err;
	if (c->messages > UINT32_MAX - c->to->record.mailbox.uidnext)
		return ERR_LIMIT;
	if (!c->move || c->from_account != c->to_account)
		err = quota_check(&c->to_account->row.account, c->messages, c->octets);
	/* A move frees as much as it takes: it must work on a full disk. */
	if (err == ERR_OK && !c->move)
		err = write_may_grow(c->write);
	return err == ERR_OK ? keywords_map(c) : err;
}

enum err message_copy(struct write *write, uint64_t from_mailbox_id, const struct ranges *uids,
		      uint64_t to_mailbox_id, bool move, struct ranges *from_out,
		      struct ranges *to_out)
{
	return message_copy_without(write, from_mailbox_id, uids, to_mailbox_id, move,
				    (struct flags_withheld){ 0 }, from_out, to_out);
}

enum err message_copy_without(struct write *write, uint64_t from_mailbox_id,
			      const struct ranges *uids, uint64_t to_mailbox_id, bool move,
			      struct flags_withheld withheld, struct ranges *from_out,
			      struct ranges *to_out)
{
	struct copying c = { .write = write, .move = move, .withheld = withheld, .uids = uids };
	ranges_clear(from_out);
	ranges_clear(to_out);
	enum err err = message_slots(write, from_mailbox_id, &c.from, &c.from_account);
	if (err == ERR_OK)
		err = message_slots(write, to_mailbox_id, &c.to, &c.to_account);
	if (err != ERR_OK)
		return err;
	c.end_uid = c.from->record.mailbox.uidnext;
	err = copying_check(&c);
	if (err != ERR_OK || c.messages == 0)
		return err;

	c.modseq = account_next_modseq(write, c.to_account);
	err = each(&c, from_out, to_out, visit_copy);
	if (err == ERR_OK)
		err = change_add(write, c.to, c.modseq, &(struct change){ .kind = CHANGE_TOUCHED },
				 to_out);
	c.to_account->row.account.used_messages += c.messages;
	c.to_account->row.account.used_octets += c.octets;
	if (move && err == ERR_OK) {
		err = each(&c, NULL, NULL, visit_delete);
		c.from_account->row.account.used_messages -= c.messages;
		c.from_account->row.account.used_octets -= c.octets;
		if (err == ERR_OK)
			err = gaps_add(write, from_mailbox_id, from_out);
		if (err == ERR_OK)
			err = change_add(write, c.from, account_next_modseq(write, c.from_account),
					 &(struct change){ .kind = CHANGE_VANISHED }, from_out);
	}
	return err;
}
