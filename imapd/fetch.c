/* imapd/fetch.c - FETCH and UID FETCH: which messages, in which slices, and the tagged reply.
 *
 * RFC 9051 section 6.4.5 and 6.4.9. The work is done in slices (fetch_slice.c), the first on the
 * loop: most FETCHes have no other, and lose no time on their way to a worker and back. One that
 * turns out to be long has the next slice made by a worker while the loop sends what was made
 * before: decoding, sending, the front and the client all go on at the same time, and where a body is
 * not in memory it is a worker that waits for the disk, not the loop with all its sessions. Where the
 * client reads slowly nothing is made beyond that one slice. Where all workers are busy with others
 * (a search, passwords), the loop makes the slice itself: nobody's FETCH stands in line for
 * them, and whoever comes to the pool finds at most one slice of each FETCH in his way. So does it where
 * many are being made ahead: their clients may not read at all, and each has two large buffers filled for him.
 *
 * Messages whose \Seen flag the command sets implicitly get it first,
 * a batch at a time, by one job a batch, so that the change is told with the data; a batch, so
 * that a client which leaves in the middle of its mailbox has not read the rest. A message
 * that another session has expunged meanwhile is left out (RFC 2180 section 4.1.2); the tagged
 * reply says so with EXPUNGEISSUED (RFC 5530). CHANGEDSINCE and VANISHED (RFC 7162 sections
 * 3.1.4.1 and 3.2.6) ask the change log first, so that the rest is not looked at. Runs in the
 * back. */
#include <stdatomic.h>

#include "imapd/access_priv.h"
#include "imapd/fetch_priv.h"
#include "imapd/qresync_priv.h"

enum { SEEN_BATCH_MESSAGES = 500 };

/* FETCHes that are made ahead, of the whole process. */
static atomic_uint places_taken;

static void fetch_fini(struct imap_session *s)
{
	struct fetch *f = s->work;
	if (f->has_place)
		atomic_fetch_sub(&places_taken, 1);
	ranges_free(&f->uids);
	ranges_free(&f->unseen);
	ranges_free(&f->told);
	answer_fini(&f->answer);
	arena_fini(&f->slice_arena);
	buffer_free(&f->made);
}

static enum step fetch_reply(struct imap_session *s)
{
	struct fetch *f = s->work;
	unsigned trouble = f->answer.trouble;

	if (trouble & TROUBLE_DAMAGED)
		return imap_refuse(s, ERR_DAMAGED);
	if (trouble & TROUBLE_UNAVAILABLE)
		return imap_refuse(s, ERR_UNAVAILABLE);
	if (trouble & TROUBLE_ENCODING)
		return imap_no(s, "[UNKNOWN-CTE] a part has an encoding that is not known here");
	/* With UIDs a message that is not there is no error (RFC 9051 section 6.4.9). */
	if ((trouble & TROUBLE_EXPUNGED) && !s->command->uid)
		return imap_no(s, "[EXPUNGEISSUED] some of the messages no longer exist");
	return imap_ok(s, "FETCH completed");
}

static void turn_over(struct task *task)
{
	struct fetch *f = CONTAINER_OF(task, struct fetch, turn);
	session_job_end(&f->s->session);
}

/* Lets the loop serve the others before the next slice. */
static enum step fetch_yield(struct imap_session *s)
{
	struct fetch *f = s->work;
	session_job_begin(&s->session);
	f->turn.run = turn_over;
	loop_post(s->session.loop, &f->turn);
	return STEP_WAIT;
}

static enum step begin_batch(struct imap_session *s);
static enum step send_made(struct imap_session *s, struct cursor *in);
static enum step fetch_go_on(struct imap_session *s, struct cursor *in);

static void ahead_run(struct work *work)
{
	struct fetch *f = CONTAINER_OF(work, struct fetch, ahead);
	fetch_slice_make(f, &f->made, f->made_full_octets);
}

static void ahead_done(struct work *work)
{
	struct fetch *f = CONTAINER_OF(work, struct fetch, ahead);
	session_job_end(&f->s->session);
}

static bool take_place(struct fetch *f)
{
	if (f->has_place)
		return true;
	f->has_place = atomic_fetch_add(&places_taken, 1) < FETCHES_AHEAD_MAX;
	if (!f->has_place)
		atomic_fetch_sub(&places_taken, 1);
	return f->has_place;
}

static bool may_go_ahead(struct fetch *f)
{
	return f->is_long && !pool_is_busy() && take_place(f);
}

/* The session's job: until it is home nothing happens to session, view and command but that output
 * goes. */
static enum step make_ahead(struct imap_session *s)
{
	struct fetch *f = s->work;
	/* Compressing is the loop's, and takes longer than all that was done before. */
	f->made_full_octets = s->compression ? SESSION_OUT_HIGH_OCTETS : FETCH_AHEAD_OCTETS;
	f->ahead = (struct work){ .run = ahead_run, .done = ahead_done };
	s->running = send_made;
	session_job_begin(&s->session);
	pool_submit(s->session.loop, &f->ahead);
	return STEP_WAIT;
}

/* There is more than fits a slice. */
static enum step make_more(struct imap_session *s)
{
	struct fetch *f = s->work;
	f->is_long = true;
	s->running = fetch_go_on;
	/* Nobody reads any more; with one job after another the stream has no turn to say so. */
	if (s->session.stream && stream_is_broken(s->session.stream))
		return STEP_CLOSE;
	if (may_go_ahead(f))
		return make_ahead(s);
	return f->outcome == SLICE_OUT_FULL ? STEP_WAIT : fetch_yield(s);
}

static enum step after_slice(struct imap_session *s)
{
	struct fetch *f = s->work;

	fetch_slice_note_told(f);
	switch (f->outcome) {
	case SLICE_ALL_DONE: return fetch_reply(s);
	case SLICE_OUT_FULL:
	case SLICE_SPENT: return make_more(s);
	case SLICE_BATCH_DONE: return begin_batch(s);
	case SLICE_BROKEN:
		log_warning(&s->session.log, EVENT("fetch-broken-off"),
			    NUM("uid", f->answer.entry.uid),
			    WORD("why", f->answer.trouble & TROUBLE_UNAVAILABLE ? "store-failure"
										: "damaged-blob"));
		break;
	}
	return STEP_CLOSE;
}

/* Called again after each slice that the loop has made, when that has gone out. */
static enum step fetch_go_on(struct imap_session *s, struct cursor *in)
{
	struct fetch *f = s->work;
	if (may_go_ahead(f))
		return make_ahead(s);
	fetch_slice_make(f, &s->session.out, SESSION_OUT_HIGH_OCTETS);
	return after_slice(s);
}

/* What a worker has made becomes the output, and what was that the worker's next buffer. */
static enum step send_made(struct imap_session *s, struct cursor *in)
{
	struct fetch *f = s->work;
	struct buffer *out = &s->session.out;
	if (out->len == 0) {
		struct buffer empty = *out;
		*out = f->made;
		f->made = empty;
	} else {
		buffer_add(out, buffer_slice(&f->made));
		buffer_clear(&f->made);
	}
	return after_slice(s);
}

/* Whether \Seen could be set or not (a full disk), the client gets its mail. */
static enum step batch_is_seen(struct imap_session *s, enum err outcome)
{
	s->running = fetch_go_on;
	return STEP_AGAIN;
}

/* Finds the next messages that shall be answered together, and sets their \Seen flag. */
static enum step begin_batch(struct imap_session *s)
{
	struct fetch *f = s->work;
	uint32_t from = f->next_uid;
	bool missing = false;
	unsigned count = 0;

	ranges_clear(&f->unseen);
	f->batch_last_uid = UINT32_MAX;
	struct read *read = read_begin(s->back->store);
	struct message_walk walk = walk_begin(read, s->view->mailbox_id);
	while (walk_next(&walk, &f->uids, from, &missing)) {
		if (count++ == SEEN_BATCH_MESSAGES) {
			f->batch_last_uid = walk.entry.uid - 1;
			break;
		}
		if (!(walk.entry.flags & FLAG_SEEN) && !fetch_is_unchanged(f, &walk.entry))
			ranges_add(&f->unseen, walk.entry.uid, walk.entry.uid);
		if (walk.entry.uid == UINT32_MAX)
			break;
		from = walk.entry.uid + 1;
	}
	walk_end(&walk);
	if (read_failure(read) != ERR_OK)
		f->answer.trouble |= TROUBLE_UNAVAILABLE;
	read_end(&read);
	s->running = fetch_go_on;
	if (f->unseen.count == 0)
		return STEP_AGAIN;
	return imap_mark_seen(s, &f->unseen, batch_is_seen);
}

static enum step fetch_start(struct imap_session *s, struct cursor *in)
{
	struct fetch *f = s->work;
	/* VANISHED (EARLIER) before any FETCH (RFC 7162 section 3.2.6); nothing else yet. */
	if (!view_tell_earlier(s->view))
		return STEP_WAIT;
	if (f->items.sets_seen && !s->view->is_read_only && (s->view->rights & RIGHT_SEEN))
		return begin_batch(s);
	f->batch_last_uid = UINT32_MAX;
	s->running = fetch_go_on;
	return STEP_AGAIN;
}

/* Leaves of f->uids those places. */
static void narrow_to_partial(struct fetch *f)
{
	struct ranges named = { 0 };
	uint64_t first, last;
	if (!f->items.has_partial)
		return;
	if (partial_range_clip(&f->items.partial, ranges_total(&f->uids), &first, &last)) {
		struct range run = { (uint32_t)first, (uint32_t)last };
		struct ranges places = { .runs = &run, .count = 1 };
		ranks_to_members(&f->uids, &places, &named);
	}
	ranges_free(&f->uids);
	f->uids = named;
}

/* Leaves of f->uids what has changed, where the log knows it, and notes what has vanished of the
 * numbers in `set`. */
static enum err ask_change_log(struct fetch *f, const struct sequence_set *set)
{
	struct imap_view *view = f->s->view;
	struct ranges newer = { 0 }, vanished = { 0 }, both = { 0 }, named = { 0 };
	if (!f->items.has_changed_since || view->is_gone)
		return ERR_OK;
	struct read *read = read_begin(f->s->back->store);
	enum err err =
		message_changes(read, view->mailbox_id, f->items.changed_since, &newer, &vanished);
	f->asks_entries = err == ERR_GONE;
	if (f->asks_entries)
		err = ERR_OK;
	if (err == ERR_OK && f->items.wants_vanished) {
		uint32_t last = view->uidnext > 1 ? view->uidnext - 1 : 0;
		sequence_set_numbers(set, last, &named);
		err = qresync_note_vanished(view, read, f->items.changed_since, &named, 0);
	}
	read_end(&read);
	ranges_intersect(&f->uids, &newer, &both);
	ranges_free(&newer);
	ranges_free(&vanished);
	ranges_free(&named);
	if (f->asks_entries) {
		ranges_free(&both);
		return err;
	}
	ranges_free(&f->uids);
	f->uids = both;
	return err;
}

enum step imap_fetch(struct imap_session *s, struct cursor *args, bool uid)
{
	struct sequence_set set;
	struct fetch_items items;

	if (!take_sequence_set(args, &s->command_arena, &set) || !take_space(args) ||
	    !take_fetch_items(args, &s->command_arena, uid, &items))
		return imap_bad(s, "FETCH wants a sequence set and data items");
	if (items.wants_vanished && !imap_has(s, IMAP_ENABLED_QRESYNC))
		return imap_bad(s, "QRESYNC has to be enabled first");

	struct fetch *f = arena_alloc(&s->command_arena, sizeof(*f));
	f->s = s;
	f->items = items;
	f->answer.items = &f->items;
	f->answer.utf8 = imap_speaks_utf8(s);
	f->answer.only_uids = imap_has(s, IMAP_ENABLED_UIDONLY);
	s->work = f;
	s->work_fini = fetch_fini;
	if (!view_resolve(s->view, &set, uid, &f->uids))
		return imap_bad(s, "no message has that number");
	f->next_uid = 1;
	if (items.has_modseq)
		imap_enable_condstore(s);
	f->answer.tells_modseq = imap_has(s, IMAP_ENABLED_CONDSTORE);
	narrow_to_partial(f); /* before CHANGEDSINCE: RFC 9394 section 3.4 */
	enum err err = ask_change_log(f, &set);
	if (err != ERR_OK && err != ERR_GONE)
		return imap_refuse(s, err);
	s->running = fetch_start;
	return STEP_AGAIN;
}
