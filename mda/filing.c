/* mda/filing.c - a message that arrives, to where its recipients lead (mda/placement.h): one intake,
 * one job (RFC 5321 section 6.1: whoever is told "250" is told the truth). Runs in the back and in
 * the admin's process.
 *
 * SMTP has one answer for all recipients, so it is all or nothing: the job looks at every account
 * before it writes anything, so that a mailbox that is full or gone refuses the message for all, and
 * the client, told so, still has it. LMTP has an answer for each (RFC 2033 section 4.2).
 */
#include "mda/filing.h"

#include <assert.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/heap.h"
#include "base/log.h"
#include "mda/delivered_to.h"
#include "mda/placement.h"

struct filing {
	struct store *store;
	struct loop *loop;
	void (*filed)(void *user, enum err outcome, uint64_t blob_id);
	void (*room)(void *user);
	void *user;

	struct arena arena; /* the envelope, the recipients and where they lead */
	struct envelope envelope;
	struct placement placement;
	bool has_outcomes;	     /* each recipient has one of his own */
	struct sender_limits limits; /* with the account whose submission it is; 0: nobody's */
	enum err (*also)(struct write *write, void *user); /* NULL: nothing more */
	struct journal_event origin;			   /* kind 0: the journal hears nothing */
	uint64_t told_blob_id, told_queue_id; /* it is a report about these; 0: it is none */
	struct intake *intake;
	struct delivered_to trail; /* of a message that leaves by an alias */
	bool has_trail;		   /* it was noted */
	int64_t arrived_unix;
	uint64_t blob_id;

	struct job job;
	struct task failed; /* carries an outcome that no job was needed for */
	bool is_refused;    /* the intake has asked to wait for room */
	bool is_committing; /* filing_commit() was called */
	bool is_away;	    /* the job or the task is out: the memory stays */
	bool is_abandoned;
};

static void submit(struct filing *filing);

static void intake_has_room(void *user)
{
	struct filing *filing = user;

	filing->is_refused = false;
	if (filing->is_committing)
		submit(filing);
	else if (filing->room)
		filing->room(filing->user);
}

struct filing *filing_new(struct store *store, struct loop *loop, const struct envelope *envelope,
			  void (*filed)(void *user, enum err outcome, uint64_t blob_id),
			  void (*room)(void *user), void *user)
{
	struct filing *filing = heap_alloc(sizeof(*filing));

	filing->store = store;
	filing->loop = loop;
	filing->filed = filed;
	filing->room = room;
	filing->user = user;
	envelope_copy(envelope, &filing->arena, &filing->envelope);
	filing->placement.arena = &filing->arena;
	filing->arrived_unix = clock_unix();
	filing->intake = intake_new(store, loop, intake_has_room, filing);
	return filing;
}

enum err filing_add_recipient(struct filing *filing, struct read *read, const struct sender *sender,
			      const struct envelope_recipient *recipient)
{
	assert(!filing->is_committing);
	filing->limits = sender_limits(sender);
	return placement_add(&filing->placement, read, sender, recipient, false);
}

void filing_set_outcomes(struct filing *filing)
{
	filing->has_outcomes = true;
}

static bool is_held(const struct filing *filing)
{
	return filing->envelope.hold_until_unix > filing->arrived_unix;
}

enum filing_fate filing_fate(const struct filing *filing, size_t recipient, enum err *why_out)
{
	const struct placed_recipient *placed = &filing->placement.recipients[recipient];

	*why_out = placed->outcome;
	if (placed->outcome != ERR_OK)
		return FILING_REFUSED;
	if (is_held(filing) || placed->end == PLACED_ON)
		return FILING_QUEUED;
	return placed->end == PLACED_EXPANDED ? FILING_EXPANDED : FILING_FILED;
}

void filing_set_origin(struct filing *filing, const struct journal_event *origin)
{
	struct arena *arena = &filing->arena;

	filing->origin = *origin;
	filing->origin.kind = JOURNAL_RECEIVED;
	filing->origin.service = arena_copy(arena, origin->service);
	filing->origin.client_name = arena_copy(arena, origin->client_name);
	filing->origin.login = arena_copy(arena, origin->login);
}

struct slice filing_message_id(const struct filing *filing)
{
	return intake_message_id(filing->intake);
}

void filing_set_notice_of(struct filing *filing, uint64_t blob_id, uint64_t queue_id)
{
	filing->told_blob_id = blob_id;
	filing->told_queue_id = queue_id;
}

void filing_set_form(struct filing *filing, enum envelope_body body, bool is_utf8)
{
	filing->envelope.body = body;
	filing->envelope.is_utf8 = is_utf8;
}

void filing_set_also(struct filing *filing, enum err (*also)(struct write *write, void *user))
{
	filing->also = also;
}

const struct destinations *filing_destinations(const struct filing *filing)
{
	return &filing->placement.found;
}

/* The trail goes behind the first line, which is ours: Return-Path. */
static bool feed_with_trail(struct filing *filing, struct slice octets)
{
	size_t end = slice_find_byte(octets, 0, '\n');

	if (end == octets.len)
		return intake_feed(filing->intake, octets);
	struct slice line = delivered_to_line(&filing->placement.found, &filing->arena);
	filing->has_trail = true;
	intake_feed(filing->intake, slice_sub(octets, 0, end + 1));
	if (line.len > 0)
		intake_feed(filing->intake, line);
	return intake_feed(filing->intake, slice_sub(octets, end + 1, octets.len));
}

bool filing_feed(struct filing *filing, struct slice octets)
{
	assert(!filing->is_committing);
	if (filing->placement.found.remote_count > 0)
		delivered_to_feed(&filing->trail, octets, &filing->placement.found);
	if (filing->has_trail ? intake_feed(filing->intake, octets)
			      : feed_with_trail(filing, octets))
		return true;
	filing->is_refused = true;
	return false;
}

uint64_t filing_size_octets(const struct filing *filing)
{
	return intake_size_octets(filing->intake);
}

static void destroy(struct filing *filing)
{
	intake_free(&filing->intake);
	arena_fini(&filing->arena);
	free(filing);
}

static void finish(struct filing *filing, enum err outcome)
{
	filing->is_away = false;
	if (filing->is_abandoned)
		destroy(filing);
	else
		filing->filed(filing->user, outcome, outcome == ERR_OK ? filing->blob_id : 0);
}

/* ---- the journal ---- */

/* A slice that is there, though empty. */
static struct slice said(struct slice s)
{
	return s.ptr ? s : SLICE("");
}

static void note_refused(struct write *write, const struct filing *filing,
			 const struct journal_event *received)
{
	struct journal_event event = *received;

	event.kind = JOURNAL_NOT_FILED;
	for (size_t i = 0; i < filing->placement.recipient_count; i++) {
		const struct placed_recipient *recipient = &filing->placement.recipients[i];
		if (recipient->outcome == ERR_OK)
			continue;
		event.recipient = recipient->envelope.forward_path;
		event.why = slice_cstr(err_word(recipient->outcome));
		journal_note(write, &event);
	}
}

/* Where the message came from, then where it went, for each recipient. */
static void note(struct write *write, const struct filing *filing,
		 const struct placed_message *message)
{
	struct journal_event received = filing->origin;

	received.blob_id = message->blob_id;
	received.size_octets = message->size_octets;
	received.sender = said(filing->envelope.reverse_path);
	received.message_id = intake_message_id(filing->intake);
	journal_note(write, &received);
	placement_note(write, &filing->placement, message);
	if (filing->has_outcomes)
		note_refused(write, filing, &received);
}

static void note_told(struct write *write, const struct filing *filing)
{
	journal_note(write,
		     &(struct journal_event){
			     .kind = JOURNAL_NOTIFIED,
			     .blob_id = filing->told_blob_id,
			     .queue_id = filing->told_queue_id,
			     .recipient = filing->placement.recipients[0].envelope.forward_path,
			     .notice = filing->blob_id,
		     });
}

/* ---- the job ---- */

static enum err run_job(struct write *write, struct job *job)
{
	struct filing *filing = CONTAINER_OF(job, struct filing, job);
	struct placement *placement = &filing->placement;
	struct placed_message message = {
		.size_octets = filing_size_octets(filing),
		.arrived_unix = filing->arrived_unix,
		.account_id = filing->limits.account_id,
		.envelope = &filing->envelope,
		.is_held = is_held(filing),
	};
	/* Everything that may refuse the message, before the first write (storage/store.h). */
	enum err err =
		placement_judge(placement, write_read(write), &message, filing->has_outcomes);

	if (err == ERR_OK)
		err = sender_check_today(write_read(write), &filing->limits, placement->known,
					 placement->recipient_count);
	if (err != ERR_OK)
		return err;
	if ((err = intake_commit(write, filing->intake, &filing->blob_id)) != ERR_OK)
		return err;
	message.blob_id = filing->blob_id;
	err = placement_write(write, placement, &message);
	if (err == ERR_OK && filing->limits.account_id != 0) {
		err = submission_note(write, filing->limits.account_id, placement->known,
				      placement->recipient_count);
		/* The account was there a moment ago, so the store contradicts itself: what is
		 * written of this message must not stay. */
		if (err != ERR_OK && !err_is_store_failure(err)) {
			log_error(NULL, EVENT("filing-refused"), WORD("where", "submission"),
				  WORD("why", err_word(err)));
			err = ERR_DISK;
		}
	}
	if (err == ERR_OK && filing->also)
		err = filing->also(write, filing->user);
	if (err == ERR_OK && filing->origin.kind)
		note(write, filing, &message);
	if (err == ERR_OK && filing->told_blob_id)
		note_told(write, filing);
	return err;
}

static void job_done(struct job *job)
{
	finish(CONTAINER_OF(job, struct filing, job), job->outcome);
}

static void task_failed(struct task *task)
{
	struct filing *filing = CONTAINER_OF(task, struct filing, failed);
	finish(filing, filing->job.outcome);
}

static enum err find_inboxes(struct filing *filing)
{
	struct read *read = read_begin(filing->store);
	enum err err = placement_find_inboxes(&filing->placement, read);

	read_end(&read);
	return err;
}

static void submit(struct filing *filing)
{
	enum err err = filing->trail.is_loop ? ERR_LOOP : find_inboxes(filing);

	if (err == ERR_OK)
		err = intake_finish(filing->intake);
	filing->is_away = true;
	if (err == ERR_OK) {
		filing->job.run = run_job;
		filing->job.done = job_done;
		filing->job.loop = filing->loop;
		store_submit(filing->store, &filing->job);
	} else {
		filing->job.outcome = err;
		filing->failed.run = task_failed;
		loop_post(filing->loop, &filing->failed);
	}
}

void filing_commit(struct filing *filing)
{
	assert(!filing->is_committing && filing->placement.recipient_count > 0);
	filing->is_committing = true;
	if (!filing->is_refused)
		submit(filing);
}

void filing_free(struct filing **filing)
{
	struct filing *f = *filing;

	*filing = NULL;
	if (!f)
		return;
	if (f->is_away)
		f->is_abandoned = true;
	else
		destroy(f);
}
