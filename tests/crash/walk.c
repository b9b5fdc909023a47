/* tests/crash/walk.c - the walk over the whole store. It reads the rows themselves, and uses of
 * storage/ only how records are decoded and bodies read: what writes and counts is on trial. */
#include "tests/crash/walk.h"

#include <assert.h>
#include <stdlib.h>

#include "base/heap.h"
#include "storage/acl_priv.h"
#include "storage/annotation_priv.h"
#include "storage/journal_index_priv.h"
#include "storage/lmdb_file_priv.h"
#include "storage/message_priv.h"
#include "storage/queue_priv.h"
#include "storage/remote_priv.h"
#include "storage/submission_priv.h"

struct seen_account {
	struct account account;
	uint32_t names, row_names;
	uint64_t messages, octets;
	bool has_inbox;
};

struct seen_mailbox {
	uint64_t mailbox_id;
	struct mailbox_record record;
	bool has_record, is_named, is_garbage, is_kept;
	uint32_t messages, unseen, deleted, last_uid;
	uint64_t octets, newest_modseq;
	uint32_t log_rows;
	uint64_t log_octets, newest_change;
	struct ranges touched; /* named by the change log */
};

struct seen_blob {
	uint32_t references; /* of entries */
	uint64_t entry_octets;
	bool has_digest, has_rows, is_garbage, is_pending;
	uint32_t chunks, pending_chunks;
};

struct walk {
	struct store *store;
	struct read *read;
	struct buffer *problems;
	struct walk_totals *totals;
	struct arena arena;
	struct head head;
	struct seen_account *accounts; /* by id */
	struct seen_mailbox *mailboxes;
	struct seen_blob *blobs;
};

#define WRONG(walk, ...)                                          \
	do {                                                      \
		buffer_add_format((walk)->problems, __VA_ARGS__); \
		buffer_add_cstr((walk)->problems, "\n");          \
	} while (0)

#define NUMBER(n) ((unsigned long long)(n))

/* All rows of a database, one by one. */
static void each_row(struct walk *walk, enum database db,
		     void (*visit)(struct walk *walk, struct slice key, struct slice value))
{
	struct row row;
	struct key first = { .len = 1 };
	row_open(&row, walk->read, db);
	for (bool more = row_seek(&row, key_slice(&first)); more; more = row_next(&row))
		visit(walk, row.key, row.value);
	row_close(&row);
}

/* ---- the head ---- */

static bool head_get(struct walk *walk)
{
	struct slice value;
	if (db_get(walk->read, DB_MAIN, SLICE("!head"), &value) == ERR_OK &&
	    head_decode(value, &walk->head))
		return true;
	WRONG(walk, "the head cannot be read");
	return false;
}

static struct seen_account *account_of(struct walk *walk, uint32_t id)
{
	return id > 0 && id < walk->head.next_account_id ? &walk->accounts[id] : NULL;
}

static struct seen_mailbox *mailbox_of(struct walk *walk, uint64_t id)
{
	return id > 0 && id < walk->head.next_mailbox_id ? &walk->mailboxes[id] : NULL;
}

static struct seen_blob *blob_of(struct walk *walk, uint64_t id)
{
	return id > 0 && id < walk->head.next_blob_id ? &walk->blobs[id] : NULL;
}

/* ---- accounts, addresses, names ---- */

static void visit_account(struct walk *walk, struct slice key, struct slice value)
{
	struct account_row row;
	struct seen_account *seen = key.len == 4 ? account_of(walk, get_be32(key.ptr)) : NULL;
	if (!seen || !account_decode(value, get_be32(key.ptr), &row)) {
		WRONG(walk, "an account's record is damaged, or its number was never given");
		return;
	}
	seen->account = row.account;
	seen->row_names = row.mailboxes;
	walk->totals->accounts++;
	/* Its login is an address that leads to it. */
	struct address_record address;
	const uint8_t *at = memrchr(row.account.login.ptr, '@', row.account.login.len);
	size_t local = at ? (size_t)(at - row.account.login.ptr) : 0;
	if (!at ||
	    address_find(walk->read, slice_sub(row.account.login, 0, local),
			 slice_sub(row.account.login, local + 1, row.account.login.len - local - 1),
			 &walk->arena, &address) != ERR_OK ||
	    address.account_id != row.account.account_id)
		WRONG(walk, "account %u has no address", row.account.account_id);
}

static void visit_name(struct walk *walk, struct slice key, struct slice value)
{
	struct name_row row;
	struct seen_account *account = key.len > 4 ? account_of(walk, get_be32(key.ptr)) : NULL;
	if (!account || account->account.account_id == 0 || !name_decode(value, &row)) {
		WRONG(walk, "a name is damaged, or of an account that is not there");
		return;
	}
	struct slice name = slice_sub(key, 4, key.len - 4);
	account->names++;
	account->has_inbox |= row.mailbox_id != 0 && slice_eq(name, SLICE("INBOX"));
	if (row.mailbox_id == 0) {
		if (!row.subscribed)
			WRONG(walk, "the name %.*s stands for nothing", SLICE_ARG(name));
		return;
	}
	struct seen_mailbox *mailbox = mailbox_of(walk, row.mailbox_id);
	if (!mailbox || !mailbox->has_record) {
		WRONG(walk, "the name %.*s leads to no mailbox", SLICE_ARG(name));
		return;
	}
	if (mailbox->is_named)
		WRONG(walk, "mailbox %llu has two names", NUMBER(row.mailbox_id));
	mailbox->is_named = true;
	if (!slice_eq(mailbox->record.mailbox.name, name) ||
	    mailbox->record.mailbox.account_id != get_be32(key.ptr) ||
	    mailbox->record.mailbox.special_use != row.special_use)
		WRONG(walk, "mailbox %llu and its name disagree", NUMBER(row.mailbox_id));
}

/* ---- mailboxes and their rows ---- */

static void visit_change(struct walk *walk, struct seen_mailbox *seen, uint64_t modseq,
			 struct slice value)
{
	struct change change = { 0 };
	uint32_t first, last;
	bool fine = change_decode(value, &change) && change.runs.len > 0;
	struct cursor c = cursor_of(change.runs);
	while (fine && !at_end(&c)) {
		fine = take_be32(&c, &first) && take_be32(&c, &last) && first > 0 && first <= last;
		if (fine && seen->has_record && last >= seen->record.mailbox.uidnext)
			WRONG(walk, "mailbox %llu: a change of UID %u, which is to come",
			      NUMBER(seen->mailbox_id), last);
		if (fine && change.kind != CHANGE_VANISHED)
			ranges_add(&seen->touched, first, last);
	}
	if (!fine)
		WRONG(walk, "mailbox %llu: change %llu is damaged", NUMBER(seen->mailbox_id),
		      NUMBER(modseq));
	seen->log_rows++;
	seen->log_octets += value.len + 17;
	seen->newest_change = modseq;
}

/* Rows of a mailbox come in this order: its record, the log, the entries. */
static void visit_entry(struct walk *walk, struct seen_mailbox *seen, uint32_t uid,
			struct slice value)
{
	struct message_entry entry;
	const struct mailbox *mailbox = &seen->record.mailbox;
	if (!entry_decode(value, uid, &entry)) {
		WRONG(walk, "mailbox %llu: UID %u is damaged", NUMBER(seen->mailbox_id), uid);
		return;
	}
	struct seen_blob *blob = blob_of(walk, entry.blob_id);
	if (blob) {
		if (blob->references++ > 0 && blob->entry_octets != entry.size_octets)
			WRONG(walk, "blob %llu has two sizes", NUMBER(entry.blob_id));
		blob->entry_octets = entry.size_octets;
	} else {
		WRONG(walk, "mailbox %llu: UID %u has no body", NUMBER(seen->mailbox_id), uid);
	}
	if (!seen->has_record)
		return; /* deleted, and not yet swept away */
	seen->messages++;
	seen->unseen += !(entry.flags & FLAG_SEEN);
	seen->deleted += (entry.flags & FLAG_DELETED) != 0;
	seen->octets += entry.size_octets;
	seen->last_uid = uid;
	if (entry.modseq > seen->newest_modseq)
		seen->newest_modseq = entry.modseq;
	for (uint64_t bits = entry.keywords; bits; bits &= bits - 1) {
		size_t bit = (size_t)__builtin_ctzll(bits);
		if (bit >= mailbox->keyword_count || !mailbox->keywords[bit].ptr)
			WRONG(walk, "mailbox %llu: UID %u has a keyword without a name",
			      NUMBER(seen->mailbox_id), uid);
	}
	if (entry.modseq > mailbox->pruned_modseq && !ranges_contains(&seen->touched, uid))
		WRONG(walk, "mailbox %llu: UID %u is younger than the log, and not in it",
		      NUMBER(seen->mailbox_id), uid);
}

static void visit_mailbox(struct walk *walk, struct slice key, struct slice value)
{
	struct slice rest;
	struct seen_mailbox *seen = key.len >= 9 ? mailbox_of(walk, get_be64(key.ptr)) : NULL;
	if (!seen) {
		WRONG(walk, "a row of a mailbox whose number was never given");
		return;
	}
	seen->mailbox_id = get_be64(key.ptr);
	if (key_is_row(key, seen->mailbox_id, ROW_RECORD, &rest)) {
		seen->has_record = mailbox_decode(value, seen->mailbox_id, &seen->record);
		if (!seen->has_record)
			WRONG(walk, "mailbox %llu: its record is damaged",
			      NUMBER(seen->mailbox_id));
		walk->totals->mailboxes += seen->has_record;
	} else if (key_is_row(key, seen->mailbox_id, ROW_CHANGE, &rest)) {
		visit_change(walk, seen, get_be64(rest.ptr), value);
	} else if (key_is_row(key, seen->mailbox_id, ROW_ENTRY, &rest)) {
		visit_entry(walk, seen, get_be32(rest.ptr), value);
	} else if (!key_is_row(key, seen->mailbox_id, ROW_GAPS, &rest) &&
		   !key_is_row(key, seen->mailbox_id, ROW_SOURCE, &rest)) {
		WRONG(walk, "mailbox %llu: a row of no kind", NUMBER(seen->mailbox_id));
	}
}

static void check_mailbox(struct walk *walk, struct seen_mailbox *seen)
{
	const struct mailbox_record *record = &seen->record;
	const struct mailbox *mailbox = &record->mailbox;
	unsigned long long id = seen->mailbox_id;
	if (!seen->has_record) {
		if (seen->mailbox_id != 0 && !seen->is_garbage && !seen->is_kept)
			WRONG(walk, "mailbox %llu: rows of a mailbox that is not there", id);
		return;
	}
	struct seen_account *account = account_of(walk, mailbox->account_id);
	if (!account || account->account.account_id == 0) {
		WRONG(walk, "mailbox %llu is nobody's", id);
		return;
	}
	account->messages += seen->messages;
	account->octets += seen->octets;
	if (!seen->is_named)
		WRONG(walk, "mailbox %llu has no name", id);
	if (seen->is_garbage)
		WRONG(walk, "mailbox %llu is garbage, and there", id);
	if (mailbox->messages != seen->messages || mailbox->unseen != seen->unseen ||
	    mailbox->deleted != seen->deleted || mailbox->size_octets != seen->octets)
		WRONG(walk,
		      "mailbox %llu counts %u messages, %u unseen, %u deleted, %llu octets and has "
		      "%u, %u, %u, %llu",
		      id, mailbox->messages, mailbox->unseen, mailbox->deleted,
		      NUMBER(mailbox->size_octets), seen->messages, seen->unseen, seen->deleted,
		      NUMBER(seen->octets));
	if (seen->last_uid >= mailbox->uidnext || mailbox->recent_from_uid > mailbox->uidnext)
		WRONG(walk, "mailbox %llu: UIDNEXT %u, but %u is there, recent from %u", id,
		      mailbox->uidnext, seen->last_uid, mailbox->recent_from_uid);
	struct ranges uids = { 0 };
	if (!gaps_uids(walk->read, seen->mailbox_id, &uids) || ranges_last(&uids) != seen->last_uid)
		WRONG(walk, "mailbox %llu: what is noted of its gaps is not what is there", id);
	ranges_free(&uids);
	if (seen->newest_modseq > mailbox->highest_modseq ||
	    mailbox->highest_modseq > account->account.modseq ||
	    mailbox->pruned_modseq > mailbox->highest_modseq)
		WRONG(walk, "mailbox %llu: MODSEQ: %llu of a message, %llu highest, %llu account's",
		      id, NUMBER(seen->newest_modseq), NUMBER(mailbox->highest_modseq),
		      NUMBER(account->account.modseq));
	if (record->log_rows != seen->log_rows || record->log_octets != seen->log_octets ||
	    (seen->log_rows > 0 && seen->newest_change != mailbox->highest_modseq))
		WRONG(walk, "mailbox %llu: its log has %u rows, %llu octets, and says %u, %llu", id,
		      seen->log_rows, NUMBER(seen->log_octets), record->log_rows,
		      NUMBER(record->log_octets));
	if (mailbox->uidvalidity == 0 || mailbox->uidvalidity > walk->head.last_uidvalidity)
		WRONG(walk, "mailbox %llu: its UIDVALIDITY may be given again", id);
	for (struct seen_mailbox *other = walk->mailboxes; other < seen; other++)
		if (other->has_record && other->record.mailbox.uidvalidity == mailbox->uidvalidity)
			WRONG(walk, "mailboxes %llu and %llu have one UIDVALIDITY",
			      NUMBER(other->mailbox_id), id);
}

static void check_account(struct walk *walk, const struct seen_account *seen)
{
	const struct account *account = &seen->account;
	if (account->account_id == 0)
		return;
	if (!seen->has_inbox)
		WRONG(walk, "account %u has no INBOX", account->account_id);
	if (seen->names != seen->row_names)
		WRONG(walk, "account %u counts %u names and has %u", account->account_id,
		      seen->row_names, seen->names);
	if (seen->messages != account->used_messages || seen->octets != account->used_octets)
		WRONG(walk, "account %u counts %llu messages, %llu octets and has %llu, %llu",
		      account->account_id, NUMBER(account->used_messages),
		      NUMBER(account->used_octets), NUMBER(seen->messages), NUMBER(seen->octets));
}

/* ---- bodies ---- */

static void visit_piece(struct walk *walk, struct slice key, struct slice value)
{
	struct seen_blob *blob = key.len == 12 ? blob_of(walk, get_be64(key.ptr)) : NULL;
	if (!blob) {
		WRONG(walk, "a chunk of a blob whose number was never given");
		return;
	}
	blob->has_rows = true;
	if ((get_be32(key.ptr + 8) & 0xff) == 0)
		blob->chunks++;
}

static void visit_digest(struct walk *walk, struct slice key, struct slice value)
{
	struct seen_blob *blob = key.len == 8 ? blob_of(walk, get_be64(key.ptr)) : NULL;
	if (blob)
		blob->has_digest = true;
	else
		WRONG(walk, "a digest of a blob whose number was never given");
}

static void visit_garbage(struct walk *walk, struct slice key, struct slice value)
{
	struct garbage_row row;
	bool fine = key.len == 9 && garbage_decode(value, &row);
	struct seen_mailbox *mailbox = NULL;
	struct seen_blob *blob = NULL;
	if (fine && key.ptr[0] == GARBAGE_MAILBOX &&
	    (mailbox = mailbox_of(walk, get_be64(key.ptr + 1))))
		mailbox->is_garbage = true;
	if (fine && key.ptr[0] == GARBAGE_BLOB && (blob = blob_of(walk, get_be64(key.ptr + 1))))
		blob->is_garbage = true;
	if (!mailbox && !blob && !(fine && key.ptr[0] == GARBAGE_EXPUNGED))
		WRONG(walk, "a row of the garbage is damaged");
	walk->totals->garbage++;
}

static void visit_submission(struct walk *walk, struct slice key, struct slice value)
{
	if (!submission_row_is_good(key, value))
		WRONG(walk, "a row of what an account may submit is damaged");
}

static void visit_annotation(struct walk *walk, struct slice key, struct slice value)
{
	uint32_t account_id;
	uint64_t mailbox_id;
	if (!annotation_row_is_good(key, value, &account_id, &mailbox_id)) {
		WRONG(walk, "an annotation is damaged");
		return;
	}
	const struct seen_account *account = account_of(walk, account_id);
	const struct seen_mailbox *mailbox = mailbox_of(walk, mailbox_id);
	if (!account || account->account.account_id == 0)
		WRONG(walk, "an annotation is of account %u", account_id);
	if (mailbox_id != 0 && (!mailbox || !mailbox->has_record))
		WRONG(walk, "an annotation is of mailbox %llu", NUMBER(mailbox_id));
}

static void visit_remote(struct walk *walk, struct slice key, struct slice value)
{
	if (!remote_row_is_good(key, value))
		WRONG(walk, "a row of what is known of a domain elsewhere is damaged");
}

static void visit_acl(struct walk *walk, struct slice key, struct slice value)
{
	struct acl_row row;
	if (!acl_row_decode(key, value, &row)) {
		WRONG(walk, "a row of a list of rights is damaged");
		return;
	}
	uint32_t account_id = row.entry.account_id;
	const struct seen_account *account = account_of(walk, account_id);
	const struct seen_mailbox *mailbox = mailbox_of(walk, row.mailbox_id);
	if (account_id != ACL_ANYONE && (!account || account->account.account_id == 0))
		WRONG(walk, "rights are granted to account %u", account_id);
	if (!mailbox || !mailbox->has_record)
		WRONG(walk, "rights are granted on mailbox %llu", NUMBER(row.mailbox_id));
	else if (row.kind == ACL_ROW_SHARED && mailbox->record.mailbox.account_id != row.owner_id)
		WRONG(walk, "mailbox %llu is shared by account %u", NUMBER(row.mailbox_id),
		      row.owner_id);
}

static void visit_expunged(struct walk *walk, struct slice key, struct slice value)
{
	struct expunged_mailbox row;
	struct expunged_key expunged;
	struct message_entry entry;
	struct seen_mailbox *mailbox = NULL;
	struct seen_blob *blob = NULL;
	uint32_t account_id;
	uint64_t mailbox_id;
	if (key_take_expunged_mailbox(key, &account_id, &mailbox_id) &&
	    expunged_mailbox_decode(value, &row) && (mailbox = mailbox_of(walk, mailbox_id))) {
		mailbox->is_kept = row.is_deleted;
		if (row.is_deleted && mailbox->has_record)
			WRONG(walk, "mailbox %llu is deleted, and there",
			      NUMBER(mailbox->mailbox_id));
	}
	if (key_take_expunged(key, &expunged) && entry_decode(value, expunged.uid, &entry) &&
	    (blob = blob_of(walk, entry.blob_id))) {
		blob->references++;
		blob->entry_octets = entry.size_octets;
	}
	if (!mailbox && !blob)
		WRONG(walk, "a row of what was expunged is damaged");
}

/* What says that a message was filed came with it, so its number is below the next. */
static void visit_journal(struct walk *walk, struct slice key, struct slice value)
{
	struct slice rest = value;
	struct journal_event event;
	int64_t unix_ms;
	bool is_good = key.len == 8 && journal_row_begin(&rest, &unix_ms) && rest.len > 0;
	while (is_good && rest.len > 0) {
		is_good = journal_row_next(&rest, &event);
		if (is_good && event.blob_id >= walk->head.next_blob_id)
			WRONG(walk, "the journal tells of message %llu, which is none",
			      NUMBER(event.blob_id));
	}
	if (!is_good)
		WRONG(walk, "a row of the journal is damaged");
}

static void visit_journal_index(struct walk *walk, struct slice key, struct slice value)
{
	struct segment segment;
	if (key.len != SEGMENT_KEY_OCTETS || key.ptr[8] > PART_IPV6 ||
	    (key.ptr[8] == PART_HEADER &&
	     (!segment_decode(key, value, &segment) || segment.last > journal_newest(walk->read))))
		WRONG(walk, "a row of the journal's index is damaged");
}

static void visit_queue(struct walk *walk, struct slice key, struct slice value)
{
	struct queue_entry entry;
	struct queue_place place;
	struct slice destination;
	struct key due;
	struct seen_blob *blob;
	arena_reset(&walk->arena);
	if (key.len == 9 && key.ptr[0] == QUEUE_ROW_ENTRY) {
		uint64_t queue_id = get_be64(key.ptr + 1);
		if (!queue_entry_decode(value, queue_id, &walk->arena, &entry) ||
		    !(blob = blob_of(walk, entry.blob_id)) || !key_queue_due(&due, &entry)) {
			WRONG(walk, "entry %llu of the queue is damaged", NUMBER(queue_id));
			return;
		}
		blob->references++;
		blob->entry_octets = entry.size_octets;
		if (!entry.is_held && !db_has(walk->read, DB_QUEUE, key_slice(&due)))
			WRONG(walk, "entry %llu of the queue is not in its place",
			      NUMBER(queue_id));
	} else if (key.ptr[0] == QUEUE_ROW_DUE) {
		if (!key_take_queue_due(key, &destination, &place) ||
		    queue_get(walk->read, place.queue_id, &walk->arena, &entry) != ERR_OK ||
		    !key_queue_due(&due, &entry) || !slice_eq(key, key_slice(&due)))
			WRONG(walk, "a place in the queue leads nowhere");
	}
}

static void visit_pending(struct walk *walk, struct slice key, struct slice value)
{
	struct pending_row row;
	struct seen_blob *blob = key.len == 8 ? blob_of(walk, get_be64(key.ptr)) : NULL;
	if (!blob || !pending_decode(value, &row)) {
		WRONG(walk, "a message on its way in is damaged");
		return;
	}
	blob->is_pending = true;
	blob->pending_chunks = row.chunks;
	walk->totals->pending++;
}

static void visit_reference(struct walk *walk, struct slice key, struct slice value)
{
	uint64_t count;
	struct seen_blob *blob = key.len == 8 ? blob_of(walk, get_be64(key.ptr)) : NULL;
	if (!blob || !number_decode(value, &count) || count < 2 || count != blob->references)
		WRONG(walk, "a count of references is wrong (%u are there)",
		      blob ? blob->references : 0);
}

/* Every body that a message refers to, whole. */
static void check_blob(struct walk *walk, uint64_t blob_id, const struct seen_blob *blob,
		       struct buffer *text)
{
	unsigned long long id = blob_id;
	struct key key;
	struct slice digest;
	uint64_t size;
	key_be64(&key, blob_id);
	bool is_counted = db_has(walk->read, DB_REFERENCE, key_slice(&key));
	if (blob->references > 1 && !is_counted)
		WRONG(walk, "blob %llu: %u references, and no count", id, blob->references);
	if (blob->references > 0 && (blob->is_garbage || blob->is_pending))
		WRONG(walk, "blob %llu has a message and is %s", id,
		      blob->is_garbage ? "garbage" : "not complete");
	if (blob->is_pending && (blob->has_digest || blob->chunks != blob->pending_chunks))
		WRONG(walk, "blob %llu on its way in has %u chunks, and says %u", id, blob->chunks,
		      blob->pending_chunks);
	if (blob->references == 0) {
		if ((blob->has_rows || blob->has_digest) && !blob->is_garbage && !blob->is_pending)
			WRONG(walk, "blob %llu is an orphan", id);
		return;
	}
	walk->totals->blobs++;
	buffer_clear(text);
	arena_reset(&walk->arena);
	if (blob_size(walk->read, blob_id, &size) != ERR_OK || size != blob->entry_octets ||
	    blob_read(walk->read, blob_id, 0, UINT64_MAX, text) != ERR_OK || text->len != size ||
	    blob_digest(walk->read, blob_id, &walk->arena, &digest) != ERR_OK)
		WRONG(walk, "blob %llu is damaged", id);
	if (blob->chunks != (size + BLOB_CHUNK_OCTETS - 1) / BLOB_CHUNK_OCTETS)
		WRONG(walk, "blob %llu has %u chunks", id, blob->chunks);
}

/* ---- pages ---- */

/* Each page of the file is in one of the trees or in the list of free ones. */
static void check_pages(struct walk *walk)
{
	enum { META_PAGES = 2 };
	MDB_stat stat;
	MDB_envinfo info;
	MDB_cursor *cursor;
	MDB_val key, value;
	uint64_t pages = META_PAGES;
	for (int db = -1; db < DB_COUNT; db++) {
		MDB_dbi dbi = db < 0 ? LMDB_FREE_DBI : walk->store->dbis[db];
		if (mdb_stat(walk->read->txn, dbi, &stat) != 0) {
			WRONG(walk, "a database cannot be read");
			return;
		}
		pages += stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages;
	}
	if (mdb_cursor_open(walk->read->txn, LMDB_FREE_DBI, &cursor) != 0) {
		WRONG(walk, "the list of free pages cannot be read");
		return;
	}
	while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0) {
		size_t count;
		memcpy(&count, value.mv_data, sizeof(count));
		pages += count;
	}
	mdb_cursor_close(cursor);
	if (mdb_env_info(walk->store->env, &info) == 0 &&
	    mdb_txn_id(walk->read->txn) == info.me_last_txnid && pages != info.me_last_pgno + 1)
		WRONG(walk, "%llu pages are accounted for, of %llu", NUMBER(pages),
		      NUMBER(info.me_last_pgno + 1));
}

void store_walk(struct store *store, struct buffer *problems, struct walk_totals *totals_out)
{
	struct walk walk = { .store = store, .problems = problems, .totals = totals_out };
	*totals_out = (struct walk_totals){ 0 };
	walk.read = read_begin(store);
	if (head_get(&walk)) {
		walk.accounts = heap_alloc(walk.head.next_account_id * sizeof(*walk.accounts));
		walk.mailboxes = heap_alloc(walk.head.next_mailbox_id * sizeof(*walk.mailboxes));
		walk.blobs = heap_alloc(walk.head.next_blob_id * sizeof(*walk.blobs));
		each_row(&walk, DB_ACCOUNT, visit_account);
		each_row(&walk, DB_MAILBOX, visit_mailbox);
		each_row(&walk, DB_MAILBOX_NAME, visit_name);
		each_row(&walk, DB_BLOB, visit_piece);
		each_row(&walk, DB_DIGEST, visit_digest);
		each_row(&walk, DB_GARBAGE, visit_garbage);
		each_row(&walk, DB_PENDING, visit_pending);
		each_row(&walk, DB_EXPUNGED, visit_expunged);
		each_row(&walk, DB_JOURNAL, visit_journal);
		each_row(&walk, DB_JOURNAL_INDEX, visit_journal_index);
		each_row(&walk, DB_QUEUE, visit_queue);
		each_row(&walk, DB_SUBMISSION, visit_submission);
		each_row(&walk, DB_ANNOTATION, visit_annotation);
		each_row(&walk, DB_ACL, visit_acl);
		each_row(&walk, DB_REMOTE, visit_remote);
		each_row(&walk, DB_REFERENCE, visit_reference);
		struct buffer text = { 0 };
		for (uint64_t id = 1; id < walk.head.next_mailbox_id; id++) {
			check_mailbox(&walk, &walk.mailboxes[id]);
			totals_out->messages += walk.mailboxes[id].messages;
			ranges_free(&walk.mailboxes[id].touched);
		}
		for (uint32_t id = 1; id < walk.head.next_account_id; id++)
			check_account(&walk, &walk.accounts[id]);
		for (uint64_t id = 1; id < walk.head.next_blob_id; id++)
			check_blob(&walk, id, &walk.blobs[id], &text);
		check_pages(&walk);
		buffer_free(&text);
	}
	read_end(&walk.read);
	free(walk.accounts);
	free(walk.mailboxes);
	free(walk.blobs);
	arena_fini(&walk.arena);
}
