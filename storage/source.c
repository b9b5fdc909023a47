/* storage/source.c - what an import has brought into a mailbox. Runs in the admin's process; the
 * rows are removed with their mailbox's, in the back. */
#include "storage/source.h"

#include <stdlib.h>

#include "base/heap.h"
#include "storage/store_priv.h"

enum { RECORD_OCTETS = 1 + 4 + 1 };

static bool record_decode(struct slice value, struct source_record *record_out)
{
	if (value.len != RECORD_OCTETS || value.ptr[0] != RECORD_VERSION ||
	    value.ptr[5] < SOURCE_CRLF || value.ptr[5] > SOURCE_ADOPTED)
		return false;
	record_out->uid = get_be32(value.ptr + 1);
	record_out->form = (enum source_form)value.ptr[5];
	return true;
}

enum err source_find(struct read *read, uint64_t mailbox_id, const struct source_name *name,
		     struct source_record *record_out)
{
	struct key key;
	struct slice value;
	key_source(&key, mailbox_id, name);
	enum err err = db_get(read, DB_MAILBOX, key_slice(&key), &value);
	if (err == ERR_OK && !record_decode(value, record_out)) {
		log_error(NULL, EVENT("store-damaged"), WORD("where", "source"),
			  HEX("mailbox", mailbox_id));
		err = ERR_DAMAGED;
	}
	return err;
}

enum err source_add(struct write *write, uint64_t mailbox_id, const struct source_name *name,
		    const struct source_record *record)
{
	struct key key;
	uint8_t value[RECORD_OCTETS] = { RECORD_VERSION };
	key_source(&key, mailbox_id, name);
	put_be32(value + 1, record->uid);
	value[5] = (uint8_t)record->form;
	return db_put(write, DB_MAILBOX, key_slice(&key), slice_of(value, sizeof(value)), PUT_ANY);
}

static int compare_uids(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return x < y ? -1 : x > y;
}

void source_uids(struct read *read, uint64_t mailbox_id, enum source_form form,
		 struct ranges *uids_out)
{
	struct row row;
	struct key key;
	struct slice name;
	struct source_record record;
	uint32_t *uids = NULL;
	size_t count = 0, cap = 0;
	row_open(&row, read, DB_MAILBOX);
	key_mailbox_row(&key, mailbox_id, ROW_SOURCE);
	bool more = row_seek(&row, key_slice(&key));
	while (more && key_is_row(row.key, mailbox_id, ROW_SOURCE, &name)) {
		if (record_decode(row.value, &record) && record.form == form && record.uid != 0) {
			if (count == cap) {
				cap = cap ? cap * 2 : 256;
				uids = heap_resize(uids, cap * sizeof(*uids));
			}
			uids[count++] = record.uid;
		}
		more = row_next(&row);
	}
	row_close(&row);
	/* The rows are in the order of their names; a set wants ascending UIDs. */
	if (count > 0)
		qsort(uids, count, sizeof(*uids), compare_uids);
	for (size_t i = 0; i < count; i++)
		ranges_add(uids_out, uids[i], uids[i]);
	free(uids);
}
