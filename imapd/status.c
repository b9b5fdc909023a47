/* imapd/status.c - STATUS, and its items for LIST. In the back.
 *
 * RFC 9051 section 6.3.11; RFC 3501 section 6.3.10 (RECENT); RFC 8438 (STATUS=SIZE);
 * RFC 7162 section 3.1.7 (HIGHESTMODSEQ); RFC 7889 section 3.1 (APPENDLIMIT); RFC 9208 section
 * 4.1.4 (DELETED-STORAGE); RFC 8474 section 4.3 (MAILBOXID). The counts are kept in the mailbox's record, so this costs the same for
 * any mailbox; only for DELETED-STORAGE, where anything is \Deleted, are its entries read. */
#include "imapd/access_priv.h"
#include "imapd/grammar_priv.h"
#include "imapd/list_priv.h"
#include "imapd/object_id_priv.h"
#include "imapd/respond_priv.h"
#include "storage/message.h"

static const struct {
	const char *name;
	enum status_item item;
} status_items[] = {
	{ "MESSAGES", STATUS_MESSAGES },
	{ "RECENT", STATUS_RECENT },
	{ "UIDNEXT", STATUS_UIDNEXT },
	{ "UIDVALIDITY", STATUS_UIDVALIDITY },
	{ "UNSEEN", STATUS_UNSEEN },
	{ "DELETED", STATUS_DELETED },
	{ "SIZE", STATUS_SIZE },
	{ "HIGHESTMODSEQ", STATUS_HIGHESTMODSEQ },
	{ "APPENDLIMIT", STATUS_APPENDLIMIT },
	{ "DELETED-STORAGE", STATUS_DELETED_STORAGE },
	{ "MAILBOXID", STATUS_MAILBOXID },
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

/* In octets (RFC 9208 section 4.1.4). */
static uint64_t deleted_octets(struct read *read, const struct mailbox *mailbox)
{
	struct message_entry entry;
	uint64_t octets = 0;
	uint32_t left = mailbox->deleted;
	if (left == 0)
		return 0;
	struct message_cursor *cursor = message_cursor_open(read, mailbox->mailbox_id, 1);
	while (left > 0 && message_cursor_next(cursor, &entry)) {
		if (!(entry.flags & FLAG_DELETED))
			continue;
		octets += entry.size_octets;
		left--;
	}
	message_cursor_close(&cursor);
	return octets;
}

static uint64_t item_value(const struct imap_session *s, struct read *read,
			   const struct mailbox *mailbox, enum status_item item)
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
	case STATUS_APPENDLIMIT: return s->back->config->message_size_octets;
	case STATUS_DELETED_STORAGE: return deleted_octets(read, mailbox);
	case STATUS_MAILBOXID: return mailbox->mailbox_id;
	}
	return 0;
}

void respond_status(struct imap_session *s, struct read *read, const struct mailbox *mailbox,
		    unsigned items)
{
	struct buffer *out = &s->session.out;
	const char *before = " (";
	buffer_add_cstr(out, "* STATUS ");
	respond_mailbox(out, mailbox->name, imap_speaks_utf8(s));
	for (size_t i = 0; i < ARRAY_LEN(status_items); i++) {
		if (!(items & status_items[i].item))
			continue;
		buffer_add_cstr(out, before);
		buffer_add_cstr(out, status_items[i].name);
		buffer_add_byte(out, ' ');
		uint64_t value = item_value(s, read, mailbox, status_items[i].item);
		if (status_items[i].item == STATUS_MAILBOXID)
			respond_object_id_list(out, 'F', value);
		else
			buffer_add_u64(out, value);
		before = " ";
	}
	buffer_add_cstr(out, ")\r\n");
}

enum step imap_status(struct imap_session *s, struct cursor *args, bool uid)
{
	struct slice name;
	unsigned items;
	if (!take_mailbox(args, &s->command_arena, imap_speaks_utf8(s), &name) ||
	    !take_space(args) || !take_status_items(args, &items) || !at_end(args))
		return imap_bad(s, "A mailbox name and a list of known items, please");
	if (items & STATUS_HIGHESTMODSEQ)
		imap_enable_condstore(s);
	struct mailbox *mailbox = arena_alloc(&s->command_arena, sizeof(*mailbox));
	struct read *read = read_begin(s->back->store);
	enum err err = access_find(read, s->account_id, name, RIGHT_READ, &s->command_arena,
				   mailbox, NULL);
	if (err == ERR_OK)
		respond_status(s, read, mailbox, items);
	read_end(&read);
	return err == ERR_OK ? imap_ok(s, "STATUS completed") : imap_refuse(s, err);
}
