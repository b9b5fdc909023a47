/* storage/annotation.c - what clients note about mailboxes and accounts (RFC 5464): a row each, of
 * the account and mailbox it belongs to, so that all of either lie side by side. Runs in the
 * back. */
#include "storage/annotation_priv.h"

enum { OWNER_OCTETS = 4 + 8 };

static bool key_annotation(struct key *key, uint32_t account_id, uint64_t mailbox_id,
			   struct slice name)
{
	key_be32(key, account_id);
	uint8_t *at = key->octets + key->len;
	put_be64(at, mailbox_id);
	key->len += 8;
	if (name.len > ANNOTATION_NAME_MAX_OCTETS)
		return false;
	if (name.len > 0)
		memcpy(key->octets + key->len, name.ptr, name.len);
	key->len += name.len;
	return true;
}

bool annotation_row_is_good(struct slice key, struct slice value, uint32_t *account_id_out,
			    uint64_t *mailbox_id_out)
{
	if (key.len <= OWNER_OCTETS || key.len > OWNER_OCTETS + ANNOTATION_NAME_MAX_OCTETS ||
	    value.len < 1 || value.len > 1 + ANNOTATION_VALUE_MAX_OCTETS ||
	    value.ptr[0] != RECORD_VERSION)
		return false;
	*account_id_out = get_be32(key.ptr);
	*mailbox_id_out = get_be64(key.ptr + 4);
	return true;
}

/* ---- reading ---- */

bool annotation_next(struct read *read, uint32_t account_id, uint64_t mailbox_id,
		     struct slice after, struct annotation *annotation_out)
{
	struct key key;
	struct row row;
	uint32_t account;
	uint64_t mailbox;
	if (!key_annotation(&key, account_id, mailbox_id, after))
		return false;
	row_open(&row, read, DB_ANNOTATION);
	bool found = row_seek_behind(&row, key_slice(&key));
	found = found && annotation_row_is_good(row.key, row.value, &account, &mailbox) &&
		account == account_id && mailbox == mailbox_id;
	if (found)
		*annotation_out = (struct annotation){
			.name = slice_sub(row.key, OWNER_OCTETS, row.key.len),
			.value = slice_sub(row.value, 1, row.value.len),
		};
	row_close(&row);
	return found;
}

enum err annotation_get(struct read *read, uint32_t account_id, uint64_t mailbox_id,
			struct slice name, struct slice *value_out)
{
	struct key key;
	struct slice value;
	uint32_t account;
	uint64_t mailbox;
	if (!key_annotation(&key, account_id, mailbox_id, name))
		return ERR_NOT_FOUND;
	enum err err = db_get(read, DB_ANNOTATION, key_slice(&key), &value);
	if (err == ERR_OK && !annotation_row_is_good(key_slice(&key), value, &account, &mailbox)) {
		log_error(NULL, EVENT("store-damaged"), WORD("where", "annotation"));
		err = ERR_DAMAGED;
	}
	if (err == ERR_OK)
		*value_out = slice_sub(value, 1, value.len);
	return err;
}

/* ---- writing ---- */

static enum err owner_check(struct write *write, uint32_t account_id, uint64_t mailbox_id,
			    struct account_slot **account_out)
{
	struct mailbox_slot *mailbox;
	enum err err = account_slot_get(write, account_id, account_out);
	if (err == ERR_OK && mailbox_id != 0)
		err = mailbox_slot_get(write, mailbox_id, &mailbox);
	if (err == ERR_OK && mailbox_id != 0 && mailbox->record.mailbox.account_id != account_id)
		err = ERR_GONE;
	return err == ERR_NOT_FOUND ? ERR_GONE : err;
}

static uint64_t count_octets(struct read *read, uint32_t account_id)
{
	struct key key;
	struct row row;
	uint32_t account;
	uint64_t mailbox, octets = 0;
	row_open(&row, read, DB_ANNOTATION);
	key_be32(&key, account_id);
	bool more = row_seek(&row, key_slice(&key));
	while (more && annotation_row_is_good(row.key, row.value, &account, &mailbox) &&
	       account == account_id) {
		octets += row.key.len + row.value.len;
		more = row_next(&row);
	}
	row_close(&row);
	return octets;
}

/* At most ANNOTATIONS_MAX, as long as nothing is damaged. */
static size_t count_rows(struct read *read, uint32_t account_id, uint64_t mailbox_id)
{
	struct key key;
	struct row row;
	size_t count = 0;
	(void)key_annotation(&key, account_id, mailbox_id, SLICE_NONE);
	row_open(&row, read, DB_ANNOTATION);
	bool more = row_seek(&row, key_slice(&key));
	while (more && count < ANNOTATIONS_MAX && row.key.len >= key.len &&
	       memcmp(row.key.ptr, key.octets, key.len) == 0) {
		count++;
		more = row_next(&row);
	}
	row_close(&row);
	return count;
}

/* All of an account is walked once a batch, not for each of a hundred values. */
static void know_octets(struct write *write, struct account_slot *account, uint32_t account_id)
{
	if (account->knows_annotations)
		return;
	account->annotation_octets = count_octets(write_read(write), account_id);
	account->knows_annotations = true;
}

/* Whether one more of that size has room. */
static enum err room_check(struct write *write, struct account_slot *account, uint32_t account_id,
			   uint64_t mailbox_id, size_t octets)
{
	know_octets(write, account, account_id);
	if (account->annotation_octets + octets > ANNOTATIONS_MAX_OCTETS ||
	    count_rows(write_read(write), account_id, mailbox_id) >= ANNOTATIONS_MAX)
		return ERR_LIMIT;
	return ERR_OK;
}

static enum err remove_row(struct write *write, struct account_slot *account, const struct key *key)
{
	struct slice value;
	enum err err = db_get(write_read(write), DB_ANNOTATION, key_slice(key), &value);
	if (err == ERR_NOT_FOUND)
		return ERR_OK;
	uint64_t octets = key->len + value.len;
	if (err == ERR_OK)
		err = db_del(write, DB_ANNOTATION, key_slice(key));
	if (err == ERR_OK && account->knows_annotations)
		account->annotation_octets -= octets;
	return err;
}

enum err annotation_set(struct write *write, uint32_t account_id, uint64_t mailbox_id,
			struct slice name, struct slice value)
{
	struct key key;
	struct account_slot *account;
	struct buffer record = { 0 };
	if (name.len == 0 || value.len > ANNOTATION_VALUE_MAX_OCTETS ||
	    !key_annotation(&key, account_id, mailbox_id, name))
		return ERR_BAD_INPUT;
	enum err err = owner_check(write, account_id, mailbox_id, &account);
	if (err != ERR_OK)
		return err;
	write_note_news(write, account_id,
			&(struct watch_news){ .kinds = WATCH_ANNOTATION,
					      .mailbox_id = mailbox_id,
					      .name = name });
	if (mailbox_id != 0)
		err = mailbox_raise_modseq(write, mailbox_id);
	if (err == ERR_OK)
		err = remove_row(write, account, &key);
	if (err != ERR_OK || !value.ptr)
		return err;
	err = write_may_grow(write);
	if (err == ERR_OK)
		err = room_check(write, account, account_id, mailbox_id, key.len + value.len);
	if (err != ERR_OK)
		return err;
	buffer_add_byte(&record, RECORD_VERSION);
	buffer_add(&record, value);
	err = db_put(write, DB_ANNOTATION, key_slice(&key), buffer_slice(&record), PUT_ANY);
	account->annotation_octets += key.len + record.len;
	buffer_free(&record);
	return err;
}

enum err annotations_remove(struct write *write, uint32_t account_id, uint64_t mailbox_id)
{
	struct key key;
	struct row row;
	struct account_slot *account;
	enum err err = account_slot_get(write, account_id, &account);
	if (err == ERR_OK)
		account->knows_annotations = false;
	else if (err == ERR_NOT_FOUND) /* it is going itself */
		err = ERR_OK;
	if (mailbox_id == 0)
		key_be32(&key, account_id);
	else
		(void)key_annotation(&key, account_id, mailbox_id, SLICE_NONE);
	row_open(&row, write_read(write), DB_ANNOTATION);
	bool more = row_seek(&row, key_slice(&key));
	while (err == ERR_OK && more && row.key.len >= key.len &&
	       memcmp(row.key.ptr, key.octets, key.len) == 0) {
		err = row_delete(&row);
		more = row_next(&row);
	}
	row_close(&row);
	return err;
}

enum err annotations_copy(struct write *write, uint32_t account_id, uint64_t from_mailbox_id,
			  uint64_t to_mailbox_id)
{
	enum err err = ERR_OK;
	struct annotation annotation;
	struct buffer name = { 0 }, value = { 0 };
	while (err == ERR_OK && annotation_next(write_read(write), account_id, from_mailbox_id,
						buffer_slice(&name), &annotation)) {
		/* What the map holds moves under the write. */
		buffer_clear(&name);
		buffer_clear(&value);
		buffer_add(&name, annotation.name);
		buffer_add(&value, annotation.value);
		buffer_add_byte(&value, 0); /* an empty value is one, too */
		err = annotation_set(write, account_id, to_mailbox_id, buffer_slice(&name),
				     slice_sub(buffer_slice(&value), 0, value.len - 1));
		if (err == ERR_LIMIT)
			err = ERR_OK; /* the mailbox is worth more than what is noted of it */
	}
	buffer_free(&name);
	buffer_free(&value);
	return err;
}
