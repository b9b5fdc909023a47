/* storage/verify_annotation.c - annotations: rows that can be read, of mailboxes and accounts that
 * are there. Runs in the admin's process. */
#include "storage/annotation_priv.h"
#include "storage/verify_priv.h"

static const char *row_wrong(struct verify *v, const struct row *row, struct fix *fix)
{
	uint32_t account_id;
	uint64_t mailbox_id;
	struct key account;
	struct mailbox_record mailbox;
	if (!annotation_row_is_good(row->key, row->value, &account_id, &mailbox_id))
		return "an annotation cannot be read";
	key_be32(&account, account_id);
	if (!db_has(row->read, DB_ACCOUNT, key_slice(&account)))
		return "an annotation is of an account that is not there";
	if (mailbox_id == 0)
		return NULL;
	enum err err = mailbox_load(row->read, mailbox_id, &v->arena, &mailbox);
	if (err == ERR_NOT_FOUND || (err == ERR_OK && mailbox.mailbox.account_id != account_id))
		return "an annotation is of a mailbox that is not there";
	return NULL;
}

void verify_annotations(struct verify *v)
{
	verify_rows(v, DB_ANNOTATION, 2 * VERIFY_ROW_COST, WRONG_ANNOTATION, row_wrong);
}
