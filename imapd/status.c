/* imapd/status.c - STATUS, and its items for LIST. In the back.
 *
 * RFC 9051 section 6.3.11; RFC 3501 section 6.3.10 (RECENT); RFC 8438 (STATUS=SIZE);
 * RFC 7162 section 3.1.7 (HIGHESTMODSEQ). The
 * counts are kept in the mailbox's record, so this costs the same for any mailbox. */
#include "imapd/grammar_priv.h"
#include "imapd/list_priv.h"
#include "imapd/respond_priv.h"
#include "storage/message.h"

static const struct {
	const char *name;
	enum status_item item;
} status_items[] = {
	{ "MESSAGES", STATUS_MESSAGES }, { "RECENT", STATUS_RECENT },
	{ "UIDNEXT", STATUS_UIDNEXT },	 { "UIDVALIDITY", STATUS_UIDVALIDITY },
	{ "UNSEEN", STATUS_UNSEEN },	 { "DELETED", STATUS_DELETED },
	{ "SIZE", STATUS_SIZE },	 { "HIGHESTMODSEQ", STATUS_HIGHESTMODSEQ },
};

static bool take_status_item(struct cursor *c, unsigned *items)
{
	for (size_t i = 0; i < ARRAY_LEN(status_items); i++) {
		if (!take_keyword(c, status_items[i].name))
			continue;
		*items |= status_items[i].item;
		return true;
	}
	return false;
}

bool take_status_items(struct cursor *at, unsigned *items_out)
{
	struct cursor c = *at;
	unsigned items = 0;
	if (!take_byte(&c, '('))
		return false;
	do {
		if (!take_status_item(&c, &items))
			return false;
	} while (take_space(&c));
	if (!take_byte(&c, ')'))
		return false;
	*items_out = items;
	*at = c;
	return true;
}

static uint64_t count_recent(struct read *read, const struct mailbox *mailbox)
{
	struct ranges recent = { 0 };
	if (mailbox->recent_from_uid >= mailbox->uidnext)
		return 0;
	message_uids(read, mailbox->mailbox_id, mailbox->recent_from_uid, &recent);
	uint64_t count = ranges_total(&recent);
	ranges_free(&recent);
	return count;
}

static uint64_t item_value(struct read *read, const struct mailbox *mailbox, enum status_item item)
{
	switch (item) {
	case STATUS_MESSAGES: return mailbox->messages;
	case STATUS_UIDNEXT: return mailbox->uidnext;
	case STATUS_UIDVALIDITY: return mailbox->uidvalidity;
	case STATUS_UNSEEN: return mailbox->unseen;
	case STATUS_DELETED: return mailbox->deleted;
	case STATUS_SIZE: return mailbox->size_octets;
	case STATUS_RECENT: return count_recent(read, mailbox);
	case STATUS_HIGHESTMODSEQ: return mailbox->highest_modseq;
	}
	return 0;
}

void respond_status(struct buffer *out, struct read *read, const struct mailbox *mailbox,
		    unsigned items, bool utf8)
{
	const char *before = " (";
	buffer_add_cstr(out, "* STATUS ");
	respond_mailbox(out, mailbox->name, utf8);
	for (size_t i = 0; i < ARRAY_LEN(status_items); i++) {
		if (!(items & status_items[i].item))
			continue;
		buffer_add_cstr(out, before);
		buffer_add_cstr(out, status_items[i].name);
		buffer_add_byte(out, ' ');
		buffer_add_u64(out, item_value(read, mailbox, status_items[i].item));
		before = " ";
	}
	buffer_add_cstr(out, ")\r\n");
}

enum step imap_status(struct imap_session *s, struct cursor *args, bool uid)
{
	struct slice name;
	unsigned items;
	if (!take_mailbox(args, &s->command_arena, imap_is_rev2(s), &name) || !take_space(args) ||
	    !take_status_items(args, &items) || !at_end(args))
		return imap_bad(s, "A mailbox name and a list of known items, please");
	if (items & STATUS_HIGHESTMODSEQ)
		imap_enable_condstore(s);
	struct mailbox *mailbox = arena_alloc(&s->command_arena, sizeof(*mailbox));
	struct read *read = read_begin(s->back->store);
	enum err err = mailbox_find(read, s->account_id, name, &s->command_arena, mailbox);
	if (err == ERR_OK)
		respond_status(&s->session.out, read, mailbox, items, imap_is_rev2(s));
	read_end(&read);
	return err == ERR_OK ? imap_ok(s, "STATUS completed") : imap_refuse(s, err);
}
