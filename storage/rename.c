/* storage/rename.c - renaming a mailbox with its inferiors, and INBOX, which stays
 * (RFC 9051 section 6.3.6). Subscriptions stay with the names. Runs in the back. */
#include "storage/annotation_priv.h"
#include "storage/message.h"
#include "storage/name_priv.h"

/* A name that gets another. */
struct renaming {
	struct slice from, to;
	struct name_row row;
};

static bool is_inferior(struct slice name, struct slice of)
{
	return name.len > of.len && name.ptr[of.len] == MAILBOX_SEPARATOR &&
	       memcmp(name.ptr, of.ptr, of.len) == 0;
}

/* `from`, if there is such a mailbox, and all below it. Inferiors do not follow it at once in
 * the order of names: "a b" and "a-b" lie between "a" and "a/b". */
static size_t renamings_collect(struct write *write, uint32_t account_id, struct slice from,
				struct slice to, struct renaming **list_out)
{
	struct read *read = write_read(write);
	size_t count = 0, cap = 16;
	struct renaming *list = arena_alloc_array(&write->arena, cap, sizeof(*list));
	struct name_row own;
	if (name_get(read, account_id, from, &own) == ERR_OK && own.mailbox_id != 0)
		list[count++] = (struct renaming){ from, to, own };
	char *prefix = arena_format(&write->arena, "%.*s%c", SLICE_ARG(from), MAILBOX_SEPARATOR);
	struct slice after = slice_cstr(prefix);
	struct mailbox_row row;
	while (mailbox_next(read, account_id, after, &row) && is_inferior(row.name, from)) {
		after = arena_copy(&write->arena, row.name);
		if (row.mailbox_id == 0)
			continue; /* only subscribed */
		if (count == cap) {
			struct renaming *more =
				arena_alloc_array(&write->arena, cap * 2, sizeof(*list));
			memcpy(more, list, cap * sizeof(*list));
			list = more;
			cap *= 2;
		}
		list[count++] = (struct renaming){
			.from = after,
			.to = slice_cstr(arena_format(
				&write->arena, "%.*s%.*s", SLICE_ARG(to),
				SLICE_ARG(slice_sub(after, from.len, after.len - from.len)))),
			.row = { row.mailbox_id, row.subscribed, row.special_use },
		};
	}
	*list_out = list;
	return count;
}

static enum err renaming_check(struct write *write, uint32_t account_id,
			       const struct renaming *list, size_t count)
{
	struct name_row row;
	struct mailbox_slot *slot;
	for (size_t i = 0; i < count; i++) {
		if (list[i].to.len > MAILBOX_NAME_MAX_OCTETS)
			return ERR_LIMIT;
		if (mailbox_name_is_others(list[i].to))
			return ERR_BAD_INPUT;
		enum err err = name_get(write_read(write), account_id, list[i].to, &row);
		if (err == ERR_OK && row.mailbox_id != 0)
			return ERR_EXISTS;
		if (err != ERR_OK && err != ERR_NOT_FOUND)
			return err;
		if ((err = mailbox_slot_get(write, list[i].row.mailbox_id, &slot)) != ERR_OK)
			return err;
	}
	return ERR_OK;
}

/* How many names more there will be: a subscription stays with the old one, and may have waited for the
 * new one. */
static size_t names_added(struct write *write, uint32_t account_id, const struct renaming *list,
			  size_t count)
{
	struct name_row row;
	size_t staying = 0, waiting = 0;
	for (size_t i = 0; i < count; i++) {
		staying += list[i].row.subscribed;
		waiting += name_get(write_read(write), account_id, list[i].to, &row) == ERR_OK;
	}
	return staying > waiting ? staying - waiting : 0;
}

static enum err rename_one(struct write *write, struct account_slot *account,
			   const struct renaming *item)
{
	struct mailbox_slot *slot;
	struct name_row from = { .subscribed = item->row.subscribed }, to;
	enum err err = name_get(write_read(write), account->row.account.account_id, item->to, &to);
	if (err == ERR_OK || err == ERR_NOT_FOUND)
		err = name_put(write, account, item->from, &from);
	to.mailbox_id = item->row.mailbox_id;
	to.special_use = item->row.special_use;
	if (err == ERR_OK)
		err = name_put(write, account, item->to, &to);
	if (err == ERR_OK)
		err = mailbox_slot_get(write, item->row.mailbox_id, &slot);
	if (err == ERR_OK) {
		slot->record.mailbox.name = arena_copy(&write->arena, item->to);
		mailbox_slot_dirty(write, slot);
	}
	return err;
}

/* The messages move, the mailbox stays (RFC 9051 section 6.3.6); what is noted of it is copied
 * (RFC 5464 section 4.1). */
static enum err rename_inbox(struct write *write, uint32_t account_id, struct slice to)
{
	struct name_row inbox;
	uint64_t mailbox_id;
	struct ranges all = { 0 }, from = { 0 }, moved = { 0 };
	enum err err = name_get(write_read(write), account_id, SLICE("INBOX"), &inbox);
	if (err == ERR_OK)
		err = mailbox_create(write, account_id, to, USE_NONE, &mailbox_id);
	if (err == ERR_OK) {
		ranges_add(&all, 1, UINT32_MAX);
		err = message_copy(write, inbox.mailbox_id, &all, mailbox_id, true, &from, &moved);
	}
	if (err == ERR_OK)
		err = annotations_copy(write, account_id, inbox.mailbox_id, mailbox_id);
	ranges_free(&all);
	ranges_free(&from);
	ranges_free(&moved);
	return err;
}

static enum err rename_mailbox(struct write *write, uint32_t account_id, struct slice from,
			       struct slice to, bool for_other)
{
	struct account_slot *account;
	struct renaming *list;
	enum err err = account_slot_get(write, account_id, &account);
	from = name_as_kept(write_read(write), account_id, from, &write->arena);
	to = name_as_kept(write_read(write), account_id, to, &write->arena);
	if (err == ERR_OK)
		err = name_check_new(to);
	if (err != ERR_OK)
		return err;
	if (slice_eq(from, SLICE("INBOX")))
		return rename_inbox(write, account_id, to);
	if (slice_eq(from, to))
		return ERR_EXISTS;
	if (is_inferior(to, from))
		return ERR_BAD_INPUT; /* it would be its own superior */
	size_t count = renamings_collect(write, account_id, from, to, &list);
	if (count == 0)
		return ERR_NOT_FOUND;
	err = renaming_check(write, account_id, list, count);
	if (err == ERR_OK)
		err = name_may_make(write, account, to,
				    names_added(write, account_id, list, count));
	if (err == ERR_OK)
		err = superiors_make(write, account, to, for_other);
	for (size_t i = 0; i < count && err == ERR_OK; i++)
		err = rename_one(write, account, &list[i]);
	if (err == ERR_OK)
		account_next_modseq(write, account);
	write_note_news(
		write, account_id,
		&(struct watch_news){ .kinds = WATCH_RENAMED, .name = to, .old_name = from });
	/* Under those names there may have been others. */
	for (size_t i = 0; i < count; i++)
		write_note(write, account_id, list[i].row.mailbox_id, WATCH_UIDVALIDITY);
	return err;
}

enum err mailbox_rename(struct write *write, uint32_t account_id, struct slice from,
			struct slice to)
{
	return rename_mailbox(write, account_id, from, to, false);
}

enum err mailbox_rename_for_other(struct write *write, uint32_t account_id, struct slice from,
				  struct slice to)
{
	return rename_mailbox(write, account_id, from, to, true);
}
