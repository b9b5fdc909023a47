/* storage/verify_mailboxes.c - each mailbox's record against its entries and its change log, each
 * entry against the body it refers to.
 *
 * A mailbox is walked in slices; when its HIGHESTMODSEQ is another afterwards it has changed
 * meanwhile, and is walked again, the last time in one read. Runs in the admin's process. */
#include <inttypes.h>

#include "storage/digest_record_priv.h"
#include "storage/message_priv.h"
#include "storage/verify_priv.h"

enum {
	SLICE_ENTRIES = 16 * 1024,
	SLICED_TRIES = 2, /* then all of it in one read */
	TROUBLES_MAX = 256,
	FLAGS_KNOWN = FLAG_SEEN | FLAG_ANSWERED | FLAG_FLAGGED | FLAG_DELETED | FLAG_DRAFT,
};

/* An entry that is wrong by itself. */
struct trouble {
	uint32_t uid;
	enum verify_kind kind;
	uint64_t blob_id, is_octets, was_octets;
};

struct mailbox_walk {
	struct verify *v;
	struct mailbox_record record;
	uint64_t account_modseq;
	bool has_account;
	struct tally tally;
	struct ranges gone;	/* as the notes of the gaps say, */
	const char *gaps_wrong; /* and what is wrong with them; NULL: nothing */
	struct trouble troubles[TROUBLES_MAX];
	size_t trouble_count;
	struct arena arena;
};

/* ---- entries ---- */

static void note_trouble(struct mailbox_walk *w, enum verify_kind kind, uint32_t uid,
			 const struct message_entry *entry, uint64_t is_octets)
{
	if (w->trouble_count == TROUBLES_MAX)
		return;
	w->troubles[w->trouble_count++] = (struct trouble){
		.uid = uid,
		.kind = kind,
		.blob_id = entry ? entry->blob_id : 0,
		.is_octets = is_octets,
		.was_octets = entry ? entry->size_octets : 0,
	};
}

/* What one read shows of an entry and its body is true at one moment, so it is final. */
static void look_at_body(struct mailbox_walk *w, struct read *read,
			 const struct message_entry *entry)
{
	struct key key;
	struct slice record;
	uint64_t size;
	key_be64(&key, entry->blob_id);
	if (db_get(read, DB_DIGEST, key_slice(&key), &record) == ERR_OK) {
		if (digest_size(record, &size) && size != entry->size_octets)
			note_trouble(w, WRONG_SIZE, entry->uid, entry, size);
	} else {
		/* Where chunks are left, the bodies have told of it already. */
		key_piece(&key, entry->blob_id, 0, 0);
		if (!db_has(read, DB_BLOB, key_slice(&key)))
			note_trouble(w, LOST_BODY, entry->uid, entry, 0);
	}
	if (entry->flags & ~FLAGS_KNOWN)
		note_trouble(w, WRONG_ENTRY, entry->uid, entry, 0);
}

/* ---- one mailbox ---- */

static void walk_reset(struct mailbox_walk *w)
{
	tally_fini(&w->tally);
	w->tally = (struct tally){ 0 };
	ranges_free(&w->gone);
	w->gaps_wrong = NULL;
	w->trouble_count = 0;
	arena_reset(&w->arena);
}

static bool record_load(struct mailbox_walk *w, uint64_t mailbox_id)
{
	struct account_row account;
	struct read *read = verify_read(w->v);
	if (mailbox_load(read, mailbox_id, &w->arena, &w->record) != ERR_OK)
		return false;
	w->has_account =
		account_load(read, w->record.mailbox.account_id, &w->arena, &account) == ERR_OK;
	w->account_modseq = w->has_account ? account.account.modseq : UINT64_MAX;
	return true;
}

/* A gap that is not noted makes a SELECT slower; one that is none would hide a message. */
static void look_at_gaps(struct mailbox_walk *w, uint64_t mailbox_id)
{
	if (!gaps_gone(verify_read(w->v), mailbox_id, &w->gone))
		w->gaps_wrong = "what is noted of its gaps cannot be read";
	else if (ranges_last(&w->gone) >= w->record.mailbox.uidnext)
		w->gaps_wrong = "UIDs are noted as gone that were never given";
}

static void look_at_gap(struct mailbox_walk *w, uint32_t uid)
{
	if (!w->gaps_wrong && ranges_contains(&w->gone, uid))
		w->gaps_wrong = "a message is noted as gone that is there";
}

enum walk_outcome { WALK_DONE, WALK_CHANGED, WALK_GONE };

static enum walk_outcome slice_again(struct mailbox_walk *w)
{
	struct mailbox_record before = w->record;
	verify_pause(w->v);
	if (w->v->err != ERR_OK || !record_load(w, before.mailbox.mailbox_id))
		return WALK_GONE;
	return w->record.mailbox.highest_modseq == before.mailbox.highest_modseq ? WALK_DONE
										 : WALK_CHANGED;
}

/* Everything that its rows say, consistent as of the read that is open at the end. */
static enum walk_outcome mailbox_walk(struct mailbox_walk *w, uint64_t mailbox_id, bool in_one)
{
	struct row row;
	struct message_entry entry;
	unsigned in_slice = 0;
	enum walk_outcome outcome = WALK_DONE;
	walk_reset(w);
	if (!record_load(w, mailbox_id))
		return WALK_GONE;
	tally_log(&w->tally, verify_read(w->v), &w->record);
	look_at_gaps(w, mailbox_id);
	row_open(&row, verify_read(w->v), DB_MAILBOX);
	bool more = entry_seek(&row, mailbox_id, 0);
	while (more) {
		uint32_t uid = entry_uid(&row);
		look_at_gap(w, uid);
		if (entry_decode(row.value, uid, &entry)) {
			tally_entry(&w->tally, row.read, &w->record, &entry);
			look_at_body(w, row.read, &entry);
		} else {
			note_trouble(w, WRONG_ENTRY, uid, NULL, 0);
		}
		if (++in_slice < SLICE_ENTRIES || in_one) {
			more = entry_next(&row, mailbox_id);
			continue;
		}
		in_slice = 0;
		row_close(&row);
		if ((outcome = slice_again(w)) != WALK_DONE || uid == UINT32_MAX)
			return outcome;
		row_open(&row, verify_read(w->v), DB_MAILBOX);
		more = entry_seek(&row, mailbox_id, uid + 1);
	}
	row_close(&row);
	return outcome;
}

/* ---- telling ---- */

static enum err fix_mailbox(struct write *write, struct fix *fix)
{
	return repair_mailbox(write, fix->place.mailbox_id);
}

/* The size that the digest says, where it still differs; the counts follow. */
static enum err fix_entry(struct write *write, struct fix *fix)
{
	struct row row;
	struct message_entry entry;
	uint8_t value[ENTRY_OCTETS];
	uint64_t size;
	enum err err = ERR_OK;
	row_open(&row, write_read(write), DB_MAILBOX);
	if (entry_seek(&row, fix->place.mailbox_id, fix->place.uid) &&
	    entry_uid(&row) == fix->place.uid && entry_decode(row.value, fix->place.uid, &entry)) {
		if (blob_size(write_read(write), entry.blob_id, &size) == ERR_OK)
			entry.size_octets = size;
		entry.flags &= FLAGS_KNOWN;
		entry_encode(&entry, value);
		err = row_replace(&row, slice_of(value, sizeof(value)));
	}
	row_close(&row);
	return err == ERR_OK ? repair_mailbox(write, fix->place.mailbox_id) : err;
}

static void tell_trouble(struct verify *v, uint64_t mailbox_id, const struct trouble *trouble)
{
	struct verify_place place = { .mailbox_id = mailbox_id,
				      .uid = trouble->uid,
				      .blob_id = trouble->blob_id };
	struct fix fix = { .run = fix_entry };
	enum err err = ERR_OK;
	if (trouble->kind == WRONG_SIZE) {
		verify_tell(v, WRONG_SIZE, &place, &fix,
			    "the message has %" PRIu64 " octets, and its entry says %" PRIu64,
			    trouble->is_octets, trouble->was_octets);
		return;
	}
	if (trouble->kind == WRONG_ENTRY && trouble->blob_id != 0) {
		verify_tell(v, WRONG_SIZE, &place, &fix, "the message has flags that do not exist");
		return;
	}
	if (v->repair) {
		verify_pause(v);
		struct lost_place lost = { .mailbox_id = mailbox_id, .uid = trouble->uid };
		err = lost_put_aside(v->store, &lost, &place.account_id);
	}
	verify_tell_done(v, trouble->kind, &place, err, "%s",
			 trouble->kind == LOST_BODY ? "the body of the message is not there"
						    : "the message's entry cannot be read");
}

static void tell_record(struct mailbox_walk *w)
{
	struct verify *v = w->v;
	const struct mailbox *mailbox = &w->record.mailbox;
	struct verify_place place = { .mailbox_id = mailbox->mailbox_id,
				      .account_id = mailbox->account_id };
	struct fix fix = { .run = fix_mailbox };
	const char *wrong = tally_counts_wrong(&w->tally, mailbox, &w->arena);
	/* Undecided where entries are wrong as well: they were not counted. */
	if (wrong)
		verify_tell(v, WRONG_COUNTS, &place, &fix, "%s", wrong);
	wrong = tally_numbers_wrong(&w->tally, mailbox, w->account_modseq, &w->arena);
	if (wrong)
		verify_tell(v, WRONG_NUMBERS, &place, &fix, "%s", wrong);
	if (tally_nameless_keywords(&w->tally, mailbox))
		verify_tell(v, WRONG_KEYWORDS, &place, &fix,
			    "messages have keywords that no name was given to");
	if (w->tally.log_wrong)
		verify_tell(v, WRONG_LOG, &place, &fix, "%s", w->tally.log_wrong);
	if (w->gaps_wrong)
		verify_tell(v, WRONG_GAPS, &place, &fix, "%s", w->gaps_wrong);
}

static void mailbox_check(struct mailbox_walk *w, uint64_t mailbox_id)
{
	struct verify *v = w->v;
	bool again = true;
	/* A repair may find more than fits the list, and mends the record at the end. */
	while (again && v->err == ERR_OK) {
		enum walk_outcome outcome = WALK_CHANGED;
		for (unsigned try = 0; outcome == WALK_CHANGED && v->err == ERR_OK; try++)
			outcome = mailbox_walk(w, mailbox_id, try == SLICED_TRIES);
		verify_pause(v);
		if (outcome != WALK_DONE || v->err != ERR_OK)
			return;
		uint64_t repaired = v->counts->repaired;
		for (size_t i = 0; i < w->trouble_count; i++)
			tell_trouble(v, mailbox_id, &w->troubles[i]);
		again = w->trouble_count > 0 && v->repair && v->counts->repaired > repaired;
	}
	v->counts->mailboxes++;
	v->counts->messages += w->tally.messages;
	tell_record(w);
}

void verify_mailboxes(struct verify *v)
{
	struct mailbox_walk w = { .v = v };
	struct key key;
	uint64_t mailbox_id = 0;
	while (v->err == ERR_OK) {
		struct row row;
		uint64_t next = 0;
		key_be64(&key, mailbox_id);
		row_open(&row, verify_read(v), DB_MAILBOX);
		bool found = row_seek(&row, key_slice(&key)) && row.key.len >= 8;
		if (found)
			next = get_be64(row.key.ptr);
		row_close(&row);
		verify_pause(v);
		if (!found)
			break;
		mailbox_check(&w, next);
		verify_advance(v, 1 + (uint64_t)w.tally.messages + w.tally.log_rows);
		if (next == UINT64_MAX)
			break;
		mailbox_id = next + 1;
	}
	walk_reset(&w);
	arena_fini(&w.arena);
	verify_expunged(v);
	verify_queue(v);
}
