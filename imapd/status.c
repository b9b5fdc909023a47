/* imapd/status.c - STATUS, and its items for LIST. In the back.
 *
 * RFC 9051 section 6.3.11; RFC 3501 section 6.3.10 (RECENT); RFC 8438 (STATUS=SIZE);
 * RFC 7162 section 3.1.7 (HIGHESTMODSEQ); RFC 7889 section 3.1 (APPENDLIMIT); RFC 9208 section
 * 4.1.4 (DELETED-STORAGE); RFC 8474 section 4.3 (MAILBOXID). The counts are kept in the mailbox's record,
 * so this costs the same for any mailbox; only for DELETED-STORAGE, where anything is \Deleted, are its
 * entries read. */
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

bool count_deleted(struct deleted_count *count, struct read *read, const struct mailbox *mailbox)
{
	enum { ENTRIES_AT_A_TIME = 16 * 1024 };
	struct message_entry entry;
	bool more = true;
	if (count->mailbox_id != mailbox->mailbox_id)
		*count = (struct deleted_count){ .mailbox_id = mailbox->mailbox_id,
						 .next_uid = 1,
						 .left = mailbox->deleted };
	if (count->left == 0)
		return true;
	struct message_cursor *cursor =
		message_cursor_open(read, mailbox->mailbox_id, count->next_uid);
	for (unsigned i = 0; more && count->left > 0 && i < ENTRIES_AT_A_TIME; i++) {
		more = message_cursor_next(cursor, &entry) && entry.uid < UINT32_MAX;
		if (!more)
			break;
		count->next_uid = entry.uid + 1;
		if (!(entry.flags & FLAG_DELETED))
			continue;
		count->octets += entry.size_octets;
		count->left--;
	}
	message_cursor_close(&cursor);
	if (!more)
		count->left = 0; /* somebody has taken the flag off again meanwhile */
	return count->left == 0;
}

static uint64_t item_value(const struct imap_session *s, struct read *read,
			   const struct mailbox *mailbox, enum status_item item,
			   const struct deleted_count *deleted)
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
	case STATUS_DELETED_STORAGE: return deleted->octets;
	case STATUS_MAILBOXID: return mailbox->mailbox_id;
	}
	return 0;
}

void respond_status(struct imap_session *s, struct read *read, const struct mailbox *mailbox,
		    unsigned items, const struct deleted_count *deleted)
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
		uint64_t value = item_value(s, read, mailbox, status_items[i].item, deleted);
		if (status_items[i].item == STATUS_MAILBOXID)
			respond_object_id_list(out, 'F', value);
		else
			buffer_add_u64(out, value);
		before = " ";
	}
	buffer_add_cstr(out, ")\r\n");
}

struct status_work {
	struct slice name;
	unsigned items;
	struct deleted_count deleted;
};

static enum step status_go_on(struct imap_session *s, struct cursor *in)
{
	struct status_work *work = s->work;
	struct arena arena = { 0 };
	struct mailbox *mailbox = arena_alloc(&arena, sizeof(*mailbox));
	struct read *read = read_begin(s->back->store);
	bool is_counted = true;
	enum err err =
		access_find(read, s->account_id, work->name, RIGHT_READ, &arena, mailbox, NULL);
	if (err == ERR_OK && (work->items & STATUS_DELETED_STORAGE))
		is_counted = count_deleted(&work->deleted, read, mailbox);
	if (err == ERR_OK)
		err = read_failure(read);
	if (err == ERR_OK && is_counted)
		respond_status(s, read, mailbox, work->items, &work->deleted);
	read_end(&read);
	arena_fini(&arena);
	if (err != ERR_OK)
		return imap_refuse(s, err);
	return is_counted ? imap_ok(s, "STATUS completed") : STEP_WAIT;
}

enum step imap_status(struct imap_session *s, struct cursor *args, bool uid)
{
	struct status_work *work = arena_alloc(&s->command_arena, sizeof(*work));
	if (!take_mailbox(args, &s->command_arena, imap_speaks_utf8(s), &work->name) ||
	    !take_space(args) || !take_status_items(args, &work->items) || !at_end(args))
		return imap_bad(s, "A mailbox name and a list of known items, please");
	if (work->items & STATUS_HIGHESTMODSEQ)
		imap_enable_condstore(s);
	s->work = work;
	s->running = status_go_on;
	return STEP_AGAIN;
}
