/* storage/name.c - names of mailboxes: which may be, and the rows of those that are.
 *
 * A name's row says which mailbox has it and whether it is subscribed; a subscription may outlive
 * its mailbox (RFC 9051 section 6.3.7). Runs in the back, and in the admin's process. */
#include "storage/name_priv.h"

#include "mail/text.h"

/* ---- which may be ---- */

enum err name_check(struct slice name)
{
	if (name.len > MAILBOX_NAME_MAX_OCTETS)
		return ERR_LIMIT;
	if (name.len == 0 || !text_is_utf8(name))
		return ERR_BAD_INPUT;
	/* INBOX has one spelling (RFC 9051 section 5.1). */
	if (slice_eq_nocase(name, SLICE("INBOX")) && !slice_eq(name, SLICE("INBOX")))
		return ERR_BAD_INPUT;
	bool level_is_empty = true;
	for (size_t i = 0; i < name.len; i++) {
		uint8_t c = name.ptr[i];
		if (c < ' ' || c == 0x7f || (c == MAILBOX_SEPARATOR && level_is_empty))
			return ERR_BAD_INPUT;
		level_is_empty = c == MAILBOX_SEPARATOR;
	}
	return level_is_empty ? ERR_BAD_INPUT : ERR_OK;
}

/* U+0080 to U+009F, and the separators of lines and paragraphs, U+2028 and U+2029. `utf8` begins
 * with a character or inside one. */
static bool is_unicode_control(struct slice utf8)
{
	if (utf8.len >= 2 && utf8.ptr[0] == 0xc2)
		return utf8.ptr[1] < 0xa0;
	return utf8.len >= 3 && utf8.ptr[0] == 0xe2 && utf8.ptr[1] == 0x80 &&
	       (utf8.ptr[2] == 0xa8 || utf8.ptr[2] == 0xa9);
}

enum err name_check_new(struct slice name)
{
	enum err err = name_check(name);
	if (err == ERR_OK && !text_is_composed(name))
		err = ERR_BAD_INPUT;
	for (size_t i = 0; i < name.len && err == ERR_OK; i++)
		if (is_unicode_control(slice_sub(name, i, 3)))
			err = ERR_BAD_INPUT;
	return err;
}

bool mailbox_name_is_others(struct slice name)
{
	size_t top = slice_find_byte(name, 0, MAILBOX_SEPARATOR);
	struct slice first = slice_sub(name, 0, top);
	if (top == name.len || (!slice_eq(first, SLICE(NAMESPACE_OTHERS)) &&
				!slice_eq(first, SLICE(NAMESPACE_SHARED))))
		return false;
	size_t end = slice_find_byte(name, top + 1, MAILBOX_SEPARATOR);
	return slice_find_byte(slice_sub(name, 0, end), top + 1, '@') < end;
}

struct slice name_as_kept(struct read *read, uint32_t account_id, struct slice name,
			  struct arena *arena)
{
	struct name_row row;
	struct slice composed = text_compose(name, arena);
	return slice_eq(composed, name) || name_get(read, account_id, name, &row) != ERR_NOT_FOUND
		       ? name
		       : composed;
}

bool name_superior(struct slice name, size_t *end)
{
	size_t at = slice_find_byte(name, *end ? *end + 1 : 0, MAILBOX_SEPARATOR);
	*end = at;
	return at < name.len;
}

/* ---- rows ---- */

enum err name_get(struct read *read, uint32_t account_id, struct slice name,
		  struct name_row *row_out)
{
	struct key key;
	struct slice value;
	*row_out = (struct name_row){ 0 };
	if (name.len == 0 || !key_mailbox_name(&key, account_id, name))
		return ERR_NOT_FOUND;
	enum err err = db_get(read, DB_MAILBOX_NAME, key_slice(&key), &value);
	if (err == ERR_OK && !name_decode(value, row_out)) {
		log_error(NULL, EVENT("store-damaged"), WORD("where", "mailbox-name"));
		err = ERR_DAMAGED;
	}
	return err;
}

enum err name_put(struct write *write, struct account_slot *account, struct slice name,
		  const struct name_row *row)
{
	struct key key;
	struct buffer value = { 0 };
	enum err err;
	if (!key_mailbox_name(&key, account->row.account.account_id, name))
		return ERR_LIMIT;
	bool is_there = db_has(write_read(write), DB_MAILBOX_NAME, key_slice(&key));
	bool is_wanted = row->mailbox_id != 0 || row->subscribed;
	if (!is_there && !is_wanted)
		return ERR_OK;
	if (is_wanted) {
		name_encode(row, &value);
		err = db_put(write, DB_MAILBOX_NAME, key_slice(&key), buffer_slice(&value),
			     PUT_ANY);
		buffer_free(&value);
	} else {
		err = db_del(write, DB_MAILBOX_NAME, key_slice(&key));
	}
	if (err == ERR_OK && is_there != is_wanted) {
		account->row.mailboxes += is_wanted ? 1 : (uint32_t)-1;
		account_slot_dirty(write, account);
	}
	return err;
}

/* ---- whether one more may be made ---- */

enum err names_may_add(const struct account_slot *account, size_t count)
{
	return count > ACCOUNT_MAILBOXES_MAX ||
			       account->row.mailboxes > ACCOUNT_MAILBOXES_MAX - count
		       ? ERR_LIMIT
		       : ERR_OK;
}

/* The levels above `name` that are no mailboxes. */
static size_t superiors_missing(struct read *read, uint32_t account_id, struct slice name)
{
	size_t missing = 0;
	struct name_row row;
	for (size_t end = 0; name_superior(name, &end);)
		if (name_get(read, account_id, slice_sub(name, 0, end), &row) != ERR_OK ||
		    row.mailbox_id == 0)
			missing++;
	return missing;
}

enum err name_may_make(struct write *write, struct account_slot *account, struct slice name,
		       size_t count)
{
	struct name_row row;
	uint32_t account_id = account->row.account.account_id;
	enum err err = mailbox_name_is_others(name) ? ERR_BAD_INPUT : name_check_new(name);
	if (err != ERR_OK)
		return err;
	err = name_get(write_read(write), account_id, name, &row);
	if (err == ERR_OK && row.mailbox_id != 0)
		return ERR_EXISTS;
	if (err != ERR_OK && err != ERR_NOT_FOUND)
		return err;
	/* The inbox's superior would have to be there first: a small "inbox/x" may have none. */
	for (size_t end = 0; name_superior(name, &end);)
		if ((err = name_check_new(slice_sub(name, 0, end))) != ERR_OK)
			return err;
	count += superiors_missing(write_read(write), account_id, name);
	if ((err = names_may_add(account, count)) != ERR_OK)
		return err;
	if (write->head.last_uidvalidity > UINT32_MAX - count - 1)
		return ERR_LIMIT;
	return write_may_grow(write);
}
