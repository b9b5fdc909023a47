/* storage/verify.c - checking the whole store: the phases one after another, slices of reading,
 * walks that pause by themselves, and telling what was found.
 *
 * A slice is one read transaction of about a millisecond or two, so the writer can use old pages
 * again and nothing that is read is older than that. A repair is a job of its own, between two
 * slices, which looks again at what it mends. Runs in the admin's process. */
#include "storage/verify_priv.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/heap.h"

static const struct {
	const char *word;
	const char *advice; /* before a repair */
	const char *done;   /* after one */
} kinds[VERIFY_KINDS] = {
	[WRONG_HEAD] = { "wrong-head", NULL, "set right" },
	[WRONG_DOMAIN] = { "wrong-domain", NULL, "written anew" },
	[WRONG_ADDRESS] = { "wrong-address", NULL,
			    "set right; look at `bode alias list` and `bode user list`" },
	[WRONG_ACCOUNT] = { "wrong-account", NULL,
			    "written anew; if it was lost, set a password with `bode user "
			    "password`" },
	[WRONG_INBOX] = { "wrong-inbox", NULL, "an empty INBOX was made" },
	[WRONG_USAGE] = { "wrong-usage", NULL, "counted anew" },
	[WRONG_NAME] = { "wrong-name", NULL, "set right" },
	[WRONG_MAILBOX] = { "wrong-mailbox", NULL,
			    "made anew from its messages; clients fetch it again" },
	[WRONG_OWNER] = { "wrong-owner",
			  "nothing says whose it is, so nothing is changed: restore a backup and "
			  "compare",
			  NULL },
	[WRONG_COUNTS] = { "wrong-counts", NULL, "counted anew" },
	[WRONG_NUMBERS] = { "wrong-numbers", NULL, "raised to what the messages say" },
	[WRONG_KEYWORDS] = { "wrong-keywords", NULL, "given a name" },
	[WRONG_LOG] = { "wrong-log", NULL, "emptied; clients compare their messages once" },
	[WRONG_GAPS] = { "wrong-gaps", NULL, "noted anew" },
	[WRONG_ENTRY] = { "wrong-entry", NULL, "put aside in lost+found" },
	[WRONG_SIZE] = { "wrong-size", NULL, "set right" },
	[WRONG_EXPUNGED] = { "wrong-expunged", NULL, "set right, or taken off the list" },
	[WRONG_QUEUE] = { "wrong-queue", NULL, "set right, or taken off the queue" },
	[WRONG_SUBMISSION] = { "wrong-submission", NULL, "removed; it counts anew" },
	[WRONG_ANNOTATION] = { "wrong-annotation", NULL, "removed" },
	[WRONG_ACL] = { "wrong-acl", NULL, "set right, or removed; look at `bode share list`" },
	[WRONG_REMOTE] = { "wrong-remote", NULL, "removed; it is learned anew" },
	[WRONG_JOURNAL] = { "wrong-journal", NULL, "removed; the rest of the journal stays" },
	[WRONG_DICTIONARY] = { "wrong-dictionary", NULL, "written anew from the other copy" },
	[LOST_DICTIONARY] = { "lost-dictionary", "restore a backup", NULL },
	[LOST_BODY] = { "lost-body", NULL, "put aside in lost+found; a backup may have it" },
	[DAMAGED_BODY] = { "damaged-body", NULL,
			   "what can be read was put aside in lost+found; a backup may have it" },
	[WRONG_DIGEST] = { "wrong-digest", NULL, "made anew from the message" },
	[STRAY_CHUNKS] = { "stray-chunks", NULL, "removed" },
	[ORPHAN] = { "orphan", NULL, "goes with the garbage in 30 days" },
	[WRONG_REFERENCES] = { "wrong-references", NULL, "counted anew" },
	[WRONG_GARBAGE] = { "wrong-garbage", NULL, "taken off the list of what is removed" },
	[WRONG_PENDING] = { "wrong-pending", NULL, "removed" },
	[UNREADABLE] = { "unreadable", "restore a backup", NULL },
};
#define ADVICE_REPAIR "run `bode verify --repair`"

const char *verify_kind_word(enum verify_kind kind)
{
	return kinds[kind].word;
}

/* ---- slices ---- */

struct read *verify_read(struct verify *v)
{
	if (!v->read) {
		v->read = read_begin(v->store);
		v->spent = 0;
	}
	return v->read;
}

void verify_pause(struct verify *v)
{
	if (v->read && v->read->failure != ERR_OK && v->err == ERR_OK)
		v->err = v->read->failure;
	read_end(&v->read);
}

bool verify_next_id(struct verify *v, const enum database *dbs, size_t count, uint64_t from,
		    uint64_t *id_out)
{
	struct key key;
	bool found = false;
	key_be64(&key, from);
	for (size_t i = 0; i < count; i++) {
		struct row row;
		row_open(&row, verify_read(v), dbs[i]);
		if (row_seek(&row, key_slice(&key)) && row.key.len >= 8) {
			uint64_t id = get_be64(row.key.ptr);
			if (!found || id < *id_out)
				*id_out = id;
			found = true;
		}
		row_close(&row);
	}
	if (v->read->failure != ERR_OK)
		verify_pause(v);
	return found && v->err == ERR_OK;
}

bool verify_spend(struct verify *v, uint64_t cost)
{
	v->spent += cost;
	return v->spent >= VERIFY_SLICE_COST;
}

void verify_advance(struct verify *v, uint64_t more)
{
	v->done += more;
	if (v->watcher->progress)
		v->watcher->progress(v->watcher->user, v->done);
}

/* ---- walks ---- */

void verify_walk_begin(struct verify_walk *walk, struct verify *v, enum database db)
{
	*walk = (struct verify_walk){ .v = v, .db = db, .next = { .octets = { 0 }, .len = 1 } };
}

void verify_walk_begin_at(struct verify_walk *walk, struct verify *v, enum database db,
			  const struct key *key)
{
	verify_walk_begin(walk, v, db);
	walk->next = *key;
}

static void verify_walk_close(struct verify_walk *walk)
{
	if (walk->is_open)
		row_close(&walk->row);
	walk->is_open = false;
	walk->row.key = walk->row.value = SLICE_NONE;
}

/* The least key behind that of the row. */
static void verify_walk_remember(struct verify_walk *walk)
{
	struct slice key = walk->row.key;
	if (!walk->is_open || !key.ptr || key.len >= sizeof(walk->next.octets))
		return;
	memcpy(walk->next.octets, key.ptr, key.len);
	walk->next.octets[key.len] = 0;
	walk->next.len = key.len + 1;
}

void verify_walk_pause(struct verify_walk *walk)
{
	verify_walk_remember(walk);
	verify_walk_close(walk);
	verify_pause(walk->v);
}

void verify_walk_skip_to(struct verify_walk *walk, const struct key *key)
{
	verify_walk_close(walk);
	walk->next = *key;
}

bool verify_walk_next(struct verify_walk *walk, uint64_t cost)
{
	struct verify *v = walk->v;
	bool found;
	if (verify_spend(v, cost))
		verify_walk_pause(walk);
	if (walk->is_over || v->err != ERR_OK) {
		verify_walk_close(walk);
		return false;
	}
	if (walk->is_open) {
		found = row_next(&walk->row);
	} else {
		row_open(&walk->row, verify_read(v), walk->db);
		walk->is_open = true;
		found = row_seek(&walk->row, key_slice(&walk->next));
	}
	if (!found) {
		walk->is_over = true;
		verify_walk_close(walk);
		if (v->read->failure != ERR_OK)
			verify_pause(v);
	}
	return found;
}

void verify_walk_end(struct verify_walk *walk)
{
	verify_walk_close(walk);
}

/* ---- repairs ---- */

static enum err fix_run(struct write *write, struct job *job)
{
	struct fix *fix = CONTAINER_OF(job, struct fix, job);
	return fix->run(write, fix);
}

/* ERR_OK: repaired, or no longer wrong. */
static enum err fix_apply(struct verify *v, struct fix *fix)
{
	fix->v = v;
	fix->job = (struct job){ .run = fix_run };
	return store_write_now(v->store, &fix->job);
}

enum err fix_delete_row(struct write *write, struct fix *fix)
{
	struct slice value;
	enum err err = db_get(write_read(write), fix->db, fix->key, &value);
	if (err == ERR_NOT_FOUND || (err == ERR_OK && !slice_eq(value, fix->value)))
		return ERR_OK;
	return err == ERR_OK ? db_del(write, fix->db, fix->key) : err;
}

/* ---- telling ---- */

/* What people call the place, as far as it is still there. */
static void place_name(struct verify *v, struct verify_place *place)
{
	struct arena arena = { 0 };
	struct mailbox_record record;
	struct account_row row;
	struct read *read = read_begin(v->store);
	if (place->mailbox_id != 0 &&
	    mailbox_load(read, place->mailbox_id, &arena, &record) == ERR_OK) {
		if (place->name.len == 0)
			place->name = arena_copy(&v->arena, record.mailbox.name);
		if (place->account_id == 0)
			place->account_id = record.mailbox.account_id;
	}
	if (place->account_id != 0 && place->login.len == 0 &&
	    account_load(read, place->account_id, &arena, &row) == ERR_OK)
		place->login = arena_copy(&v->arena, row.account.login);
	read_end(&read);
	arena_fini(&arena);
}

static const char *advice_of(const struct verify *v, enum verify_kind kind,
			     enum verify_outcome outcome, enum err err, struct arena *arena)
{
	switch (outcome) {
	case VERIFY_FOUND: return kinds[kind].advice ? kinds[kind].advice : ADVICE_REPAIR;
	case VERIFY_REPAIRED: return kinds[kind].done ? kinds[kind].done : "set right";
	case VERIFY_LEFT: break;
	}
	if (kinds[kind].advice)
		return kinds[kind].advice;
	if (err == ERR_FULL)
		return "not repaired: the disk is full; make room and try again";
	return arena_format(arena, "not repaired (%s); restore a backup", err_word(err));
}

static void tell(struct verify *v, enum verify_kind kind, struct verify_place place,
		 enum verify_outcome outcome, enum err err, const char *what)
{
	place_name(v, &place);
	struct verify_problem problem = {
		.kind = kind,
		.outcome = outcome,
		.login = place.login,
		.mailbox = place.name,
		.uid = place.uid,
		.blob_id = place.blob_id,
		.what = what,
		.advice = advice_of(v, kind, outcome, err, &v->arena),
	};
	v->counts->problems++;
	v->counts->repaired += outcome == VERIFY_REPAIRED;
	v->watcher->problem(v->watcher->user, &problem);
	if (outcome == VERIFY_REPAIRED && place.account_id != 0 && v->watcher->changed)
		v->watcher->changed(v->watcher->user, place.account_id);
}

static const char *what_format(struct arena *arena, const char *format, va_list args)
{
	char text[512];
	vsnprintf(text, sizeof(text), format, args);
	return arena_string(arena, slice_cstr(text));
}

/* Slices of the place and the text may lie in the arena or in the map: copied first. */
static struct verify_place place_copy(struct verify *v, const struct verify_place *place)
{
	struct verify_place copy = *place;
	copy.login = arena_copy(&v->arena, place->login);
	copy.name = arena_copy(&v->arena, place->name);
	return copy;
}

void verify_tell(struct verify *v, enum verify_kind kind, const struct verify_place *place,
		 struct fix *fix, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	const char *what = what_format(&v->arena, format, args);
	va_end(args);
	struct verify_place copy = place_copy(v, place);
	enum verify_outcome outcome = VERIFY_FOUND;
	enum err err = ERR_OK;
	if (fix) {
		fix->place = copy;
		fix->key = arena_copy(&v->arena, fix->key);
		fix->value = arena_copy(&v->arena, fix->value);
	}
	verify_pause(v);
	if (v->repair) {
		err = fix ? fix_apply(v, fix) : ERR_BAD_INPUT;
		outcome = err == ERR_OK ? VERIFY_REPAIRED : VERIFY_LEFT;
	}
	tell(v, kind, copy, outcome, err, what);
	arena_reset(&v->arena);
}

void verify_tell_done(struct verify *v, enum verify_kind kind, const struct verify_place *place,
		      enum err repaired, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	const char *what = what_format(&v->arena, format, args);
	va_end(args);
	struct verify_place copy = place_copy(v, place);
	verify_pause(v);
	tell(v, kind, copy,
	     !v->repair		  ? VERIFY_FOUND
	     : repaired == ERR_OK ? VERIFY_REPAIRED
				  : VERIFY_LEFT,
	     repaired, what);
	arena_reset(&v->arena);
}

void verify_rows(struct verify *v, enum database db, uint64_t cost, enum verify_kind kind,
		 const char *(*row_wrong)(struct verify *v, const struct row *row, struct fix *fix))
{
	struct verify_walk walk;
	verify_walk_begin(&walk, v, db);
	while (verify_walk_next(&walk, cost)) {
		struct fix fix = { .run = fix_delete_row, .db = db };
		const char *wrong = row_wrong(v, &walk.row, &fix);
		verify_advance(v, 1);
		if (wrong) {
			fix.key = arena_copy(&v->arena, walk.row.key);
			fix.value = arena_copy(&v->arena, walk.row.value);
			verify_walk_pause(&walk);
			verify_tell(v, kind, &fix.place, &fix, "%s", wrong);
		}
		arena_reset(&v->arena);
	}
	verify_walk_end(&walk);
	verify_pause(v);
}

/* ---- the whole ---- */

static const struct {
	void (*run)(struct verify *v);
	enum database dbs[8]; /* whose rows are walked: DB_MAIN ends the list */
} phases[VERIFY_PHASES] = {
	[VERIFY_NAMES] = { verify_names, { DB_DOMAIN, DB_ADDRESS, DB_ACCOUNT, DB_MAILBOX_NAME } },
	[VERIFY_BODIES] = { verify_bodies, { DB_BLOB } },
	[VERIFY_MAILBOXES] = { verify_mailboxes, { DB_MAILBOX, DB_EXPUNGED, DB_QUEUE } },
	[VERIFY_REFERENCES] = { verify_references,
				{ DB_MAILBOX, DB_EXPUNGED, DB_QUEUE, DB_DIGEST, DB_GARBAGE,
				  DB_PENDING } },
	[VERIFY_ACCOUNTS] = { verify_accounts,
			      { DB_ACCOUNT, DB_SUBMISSION, DB_ANNOTATION, DB_ACL, DB_REMOTE,
				DB_JOURNAL, DB_JOURNAL_INDEX } },
};

static uint64_t phase_total(struct verify *v, enum verify_phase phase)
{
	uint64_t total = 0;
	for (size_t i = 0; phases[phase].dbs[i] != DB_MAIN; i++) {
		uint64_t rows, octets;
		db_extent(verify_read(v), phases[phase].dbs[i], &rows, &octets);
		total += phase == VERIFY_BODIES ? octets : rows;
	}
	verify_pause(v);
	return total;
}

enum err verify_run(struct store *store, bool repair, const struct verify_watcher *watcher,
		    struct verify_counts *counts_out)
{
	struct verify v = {
		.store = store, .repair = repair, .watcher = watcher, .counts = counts_out
	};
	*counts_out = (struct verify_counts){ 0 };
	for (int phase = 0; phase < VERIFY_PHASES && v.err == ERR_OK; phase++) {
		uint64_t total = phase_total(&v, (enum verify_phase)phase);
		v.done = 0;
		if (watcher->phase)
			watcher->phase(watcher->user, (enum verify_phase)phase, total);
		phases[phase].run(&v);
		verify_pause(&v);
	}
	/* What was lost with a dictionary was told. */
	if (v.err != ERR_OK && v.err != ERR_DAMAGED) {
		enum err err = v.err;
		v.err = ERR_OK;
		tell(&v, UNREADABLE, (struct verify_place){ 0 },
		     repair ? VERIFY_LEFT : VERIFY_FOUND, err,
		     "the store's file cannot be read to its end");
		v.err = err;
	}
	arena_fini(&v.arena);
	return v.err;
}
