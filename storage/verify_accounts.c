/* storage/verify_accounts.c - what an account uses against what its mailboxes hold. All of one
 * account in one read: it has at most ten thousand names. Runs in the admin's process. */
#include <inttypes.h>

#include "storage/verify_priv.h"

static enum err fix_account(struct write *write, struct fix *fix)
{
	return repair_account(write, fix->place.account_id);
}

struct usage {
	uint64_t messages, octets;
	uint32_t names;
};

static void usage_count(struct read *read, uint32_t account_id, struct usage *usage)
{
	struct row row;
	struct key key, record_key;
	struct name_row name;
	struct slice value;
	struct mailbox_record record;
	row_open(&row, read, DB_MAILBOX_NAME);
	key_be32(&key, account_id);
	for (bool more = row_seek(&row, key_slice(&key));
	     more && row.key.len > 4 && get_be32(row.key.ptr) == account_id;
	     more = row_next(&row)) {
		usage->names++;
		if (!name_decode(row.value, &name) || name.mailbox_id == 0)
			continue;
		key_mailbox_row(&record_key, name.mailbox_id, ROW_RECORD);
		if (db_get(read, DB_MAILBOX, key_slice(&record_key), &value) == ERR_OK &&
		    mailbox_decode(value, name.mailbox_id, &record)) {
			usage->messages += record.mailbox.messages;
			usage->octets += record.mailbox.size_octets;
		}
	}
	row_close(&row);
}

void verify_accounts(struct verify *v)
{
	struct verify_walk walk;
	struct account_row account;
	verify_walk_begin(&walk, v, DB_ACCOUNT);
	while (verify_walk_next(&walk, VERIFY_ROW_COST)) {
		struct usage usage = { 0 };
		if (walk.row.key.len != 4)
			continue;
		struct verify_place place = { .account_id = get_be32(walk.row.key.ptr) };
		verify_advance(v, 1);
		if (!account_decode(walk.row.value, place.account_id, &account))
			continue; /* told among the names */
		v->counts->accounts++;
		usage_count(walk.row.read, place.account_id, &usage);
		verify_spend(v, (uint64_t)usage.names * VERIFY_ROW_COST);
		uint64_t messages = account.account.used_messages;
		uint64_t octets = account.account.used_octets;
		struct fix fix = { .run = fix_account };
		if (messages != usage.messages || octets != usage.octets) {
			verify_walk_pause(&walk);
			verify_tell(v, WRONG_USAGE, &place, &fix,
				    "its record says %" PRIu64 " messages of %" PRIu64
				    " octets in all; its mailboxes have %" PRIu64 " of %" PRIu64,
				    messages, octets, usage.messages, usage.octets);
		} else if (account.mailboxes != usage.names) {
			uint32_t names = account.mailboxes;
			verify_walk_pause(&walk);
			verify_tell(v, WRONG_USAGE, &place, &fix,
				    "its record says %" PRIu32 " mailbox names, there are %" PRIu32,
				    names, usage.names);
		}
	}
	verify_walk_end(&walk);
	verify_submission(v);
	verify_annotations(v);
	verify_acls(v);
	verify_remote(v);
	verify_journal(v);
}
