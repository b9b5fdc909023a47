/* mda/filing.c - one message into the INBOX of each of its recipients here, and into the queue for
 * those elsewhere: one intake, one job
 * (RFC 5321 section 6.1: whoever is told "250" is told the truth). Runs in the back and in the
 * admin's process.
 *
 * All or nothing: the job looks at every account before it writes anything, so that a mailbox
 * that is full or gone refuses the message for all, and the client, told so, still has it.
 *
 * Left out: a choice of mailbox (that is a filter's business), and notices of failure. */
#include "mda/filing.h"

#include <assert.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/heap.h"
#include "base/log.h"
#include "mda/delivered_to.h"
#include "storage/message.h"
#include "storage/queue.h"

struct filing {
	struct store *store;
	struct loop *loop;
	void (*filed)(void *user, enum err outcome, uint64_t blob_id);
	void (*room)(void *user);
	void *user;

	struct arena arena; /* the envelope, the accounts and their mailboxes */
	struct envelope envelope;
	struct destinations destinations;
	struct envelope_recipient *recipients; /* that were added, by number */
	size_t recipient_cap;
	struct slice hostname;	     /* of this machine */
	struct sender_limits limits; /* with the account whose submission it is; 0: nobody's */
	struct slice *known;	     /* the recipients, in the form of storage/submission.h */
	enum err (*also)(struct write *write, void *user); /* NULL: nothing more */
	uint64_t *inbox_ids;				   /* of each account, from the commit on */
	struct journal_event origin;			   /* kind 0: the journal hears nothing */
	uint32_t *uids;					   /* in them, from the job on */
	bool *is_noted;					   /* of each recipient: by the job */
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
	filing->arrived_unix = clock_unix();
	filing->intake = intake_new(store, loop, intake_has_room, filing);
	return filing;
}

enum err filing_add_recipient(struct filing *filing, struct read *read, const struct sender *sender,
			      const struct envelope_recipient *recipient)
{
	struct address address;
	size_t number = filing->destinations.recipient_count;

	assert(!filing->is_committing);
	if (!recipient_parse(recipient->forward_path, &filing->arena, &address))
		return ERR_NOT_FOUND;
	enum err err =
		recipient_resolve(read, sender, &address, &filing->arena, &filing->destinations);
	if (err != ERR_OK)
		return err;
	if (number == filing->recipient_cap) {
		struct envelope_recipient *old = filing->recipients;
		filing->recipient_cap = number ? number * 2 : 4;
		filing->recipients = arena_alloc_array(&filing->arena, filing->recipient_cap,
						       sizeof(*filing->recipients));
		if (number)
			memcpy(filing->recipients, old, number * sizeof(*old));
		struct slice *old_known = filing->known;
		filing->known = arena_alloc_array(&filing->arena, filing->recipient_cap,
						  sizeof(*filing->known));
		if (number)
			memcpy(filing->known, old_known, number * sizeof(*old_known));
	}
	filing->recipients[number] = (struct envelope_recipient){
		.forward_path = arena_copy(&filing->arena, recipient->forward_path),
		.orcpt = arena_copy(&filing->arena, recipient->orcpt),
		.notify = recipient->notify,
	};
	filing->known[number] = sender_recipient(recipient->forward_path, &filing->arena);
	filing->limits = sender_limits(sender);
	if (filing->hostname.len == 0 && sender->config && sender->config->hostname)
		filing->hostname = arena_copy(&filing->arena, slice_cstr(sender->config->hostname));
	return ERR_OK;
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

void filing_set_also(struct filing *filing, enum err (*also)(struct write *write, void *user))
{
	filing->also = also;
}

const struct destinations *filing_destinations(const struct filing *filing)
{
	return &filing->destinations;
}

/* The trail goes behind the first line, which is ours: Return-Path. */
static bool feed_with_trail(struct filing *filing, struct slice octets)
{
	size_t end = slice_find_byte(octets, 0, '\n');

	if (end == octets.len)
		return intake_feed(filing->intake, octets);
	struct slice line = delivered_to_line(&filing->destinations, &filing->arena);
	filing->has_trail = true;
	intake_feed(filing->intake, slice_sub(octets, 0, end + 1));
	if (line.len > 0)
		intake_feed(filing->intake, line);
	return intake_feed(filing->intake, slice_sub(octets, end + 1, octets.len));
}

bool filing_feed(struct filing *filing, struct slice octets)
{
	assert(!filing->is_committing);
	if (filing->destinations.remote_count > 0)
		delivered_to_feed(&filing->trail, octets, &filing->destinations);
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

static bool is_over_quota(const struct account *account, uint64_t size_octets)
{
	return (account->quota_octets &&
		account->used_octets + size_octets > account->quota_octets) ||
	       (account->quota_messages && account->used_messages >= account->quota_messages);
}

/* Everything that may refuse the message, before the first write (storage/store.h). */
static enum err check_accounts(struct write *write, const struct filing *filing)
{
	struct arena arena = { 0 };
	struct account account;
	enum err err = ERR_OK;

	for (size_t i = 0; err == ERR_OK && i < filing->destinations.account_count; i++) {
		err = account_get(write_read(write), filing->destinations.account_ids[i], &arena,
				  &account);
		if (err == ERR_NOT_FOUND)
			err = ERR_GONE;
		else if (err == ERR_OK && is_over_quota(&account, filing_size_octets(filing)))
			err = ERR_QUOTA;
		arena_reset(&arena);
	}
	arena_fini(&arena);
	return err;
}

static struct slice domain_of(struct slice path, struct arena *arena)
{
	struct address address;

	if (!address_parse(path, arena, &address) ||
	    !domain_normalise(address.domain, arena, &address.domain))
		return SLICE_NONE;
	return address.domain;
}

/* The domain of ours that a stranger's message leaves by; empty: it leaves as it is. */
static struct slice forwarder_of(struct read *read, const struct filing *filing,
				 const struct remote_destination *remote, struct arena *arena)
{
	struct slice from = domain_of(filing->envelope.reverse_path, arena);

	if (remote->via.len == 0 || from.len == 0 || domain_is_local(read, from))
		return SLICE_NONE;
	struct slice domain = domain_of(remote->via, arena);
	return domain_is_local(read, domain) ? domain : filing->hostname;
}

/* Those who leave by the same domain of ours, or by none, from the first on that has no entry. */
static enum err queue_alike(struct write *write, const struct filing *filing,
			    const struct slice *forwarders, bool *is_queued, struct arena *arena)
{
	const struct destinations *found = &filing->destinations;
	struct queue_entry entry = {
		.blob_id = filing->blob_id,
		.size_octets = filing_size_octets(filing),
		.account_id = filing->limits.account_id,
		.arrived_unix = filing->arrived_unix,
		.envelope = filing->envelope,
	};
	size_t first = 0;

	while (is_queued[first])
		first++;
	entry.forwarder = forwarders[first];
	entry.next_unix_ms = queue_start_unix(&entry) * 1000;
	entry.recipients = arena_alloc_array(arena, found->remote_count, sizeof(*entry.recipients));
	for (size_t i = first; i < found->remote_count; i++) {
		if (is_queued[i] || !slice_eq(forwarders[i], entry.forwarder))
			continue;
		struct envelope_recipient *to = &entry.recipients[entry.recipient_count++];
		*to = filing->recipients[found->remotes[i].recipient];
		to->forward_path = found->remotes[i].address;
		is_queued[i] = true;
	}
	return queue_add(write, &entry);
}

/* Those elsewhere. ORCPT and NOTIFY go with whatever a recipient's alias stands for (RFC 3461
 * section 5.2.7.3). */
static enum err queue_remotes(struct write *write, const struct filing *filing)
{
	const struct destinations *found = &filing->destinations;
	struct arena arena = { 0 };
	enum err err = ERR_OK;
	struct slice *forwarders =
		arena_alloc_array(&arena, found->remote_count, sizeof(*forwarders));
	bool *is_queued = arena_alloc_array(&arena, found->remote_count, sizeof(*is_queued));

	for (size_t i = 0; i < found->remote_count; i++)
		forwarders[i] = forwarder_of(write_read(write), filing, &found->remotes[i], &arena);
	for (size_t i = 0; err == ERR_OK && i < found->remote_count; i++)
		if (!is_queued[i])
			err = queue_alike(write, filing, forwarders, is_queued, &arena);
	arena_fini(&arena);
	return err;
}

/* The accounts were fit a moment ago and the addresses were parsed, so the store contradicts itself.
 * What is written of this message must not stay: let the batch be rolled back. */
static enum err contradiction(const char *where, enum err err)
{
	log_error(NULL, EVENT("filing-refused"), WORD("where", where), WORD("why", err_word(err)));
	return ERR_DISK;
}

/* ---- the journal ---- */

/* A slice that is there, though empty. */
static struct slice said(struct slice s)
{
	return s.ptr ? s : SLICE("");
}

static void note_recipient(struct write *write, const struct filing *filing,
			   struct journal_event *event, size_t recipient)
{
	event->blob_id = filing->blob_id;
	event->recipient = filing->recipients[recipient].forward_path;
	filing->is_noted[recipient] = true;
	journal_note(write, event);
}

/* Where the message came from, then where it went, for each recipient. One whose mailbox another
 * recipient led to already has a line of his own all the same. */
static void note(struct write *write, const struct filing *filing)
{
	const struct destinations *found = &filing->destinations;
	struct journal_event received = filing->origin;

	received.blob_id = filing->blob_id;
	received.size_octets = filing_size_octets(filing);
	received.sender = said(filing->envelope.reverse_path);
	received.message_id = intake_message_id(filing->intake);
	journal_note(write, &received);
	memset(filing->is_noted, 0, found->recipient_count * sizeof(*filing->is_noted));
	for (size_t i = 0; i < found->account_count; i++) {
		struct journal_event filed = {
			.kind = JOURNAL_FILED,
			.account_id = found->account_ids[i],
			.mailbox_id = filing->inbox_ids[i],
			.uid = filing->uids[i],
		};
		note_recipient(write, filing, &filed, found->account_recipients[i]);
	}
	for (size_t i = 0; i < found->remote_count; i++) {
		struct journal_event queued = { .kind = JOURNAL_QUEUED };
		if (found->remotes[i].via.len > 0)
			queued.host = found->remotes[i].address;
		note_recipient(write, filing, &queued, found->remotes[i].recipient);
	}
	for (size_t i = 0; i < found->recipient_count; i++)
		if (!filing->is_noted[i])
			note_recipient(write, filing,
				       &(struct journal_event){ .kind = JOURNAL_FILED }, i);
}

/* ---- the job ---- */

static enum err run_job(struct write *write, struct job *job)
{
	struct filing *filing = CONTAINER_OF(job, struct filing, job);
	size_t recipient_count = filing->destinations.recipient_count;
	enum err err = check_accounts(write, filing);

	if (err == ERR_OK)
		err = sender_check_today(write_read(write), &filing->limits, filing->known,
					 recipient_count);
	if (err != ERR_OK)
		return err;
	if ((err = intake_commit(write, filing->intake, &filing->blob_id)) != ERR_OK)
		return err;
	struct message_entry entry = {
		.blob_id = filing->blob_id,
		.internal_unix = filing->arrived_unix,
		.size_octets = filing_size_octets(filing),
	};
	for (size_t i = 0; err == ERR_OK && i < filing->destinations.account_count; i++) {
		err = message_append(write, filing->inbox_ids[i], &entry, NULL, 0,
				     &filing->uids[i]);
		if (err != ERR_OK && !err_is_store_failure(err))
			err = contradiction("mailbox", err);
	}
	if (err == ERR_OK && filing->destinations.remote_count > 0) {
		err = queue_remotes(write, filing);
		if (err != ERR_OK && !err_is_store_failure(err))
			err = contradiction("queue", err);
	}
	if (err == ERR_OK && filing->limits.account_id != 0) {
		err = submission_note(write, filing->limits.account_id, filing->known,
				      recipient_count);
		if (err != ERR_OK && !err_is_store_failure(err))
			err = contradiction("submission", err);
	}
	if (err == ERR_OK && filing->also)
		err = filing->also(write, filing->user);
	if (err == ERR_OK && filing->origin.kind)
		note(write, filing);
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

/* Where each account's INBOX is: looked up here, so that the writer need not. An INBOX keeps
 * its id as long as its account lives (RFC 9051 section 6.3.6 renames its messages away). */
static enum err find_inboxes(struct filing *filing)
{
	struct read *read = read_begin(filing->store);
	struct arena arena = { 0 };
	struct mailbox mailbox;
	enum err err = ERR_OK;

	filing->inbox_ids = arena_alloc_array(&filing->arena, filing->destinations.account_count,
					      sizeof(*filing->inbox_ids));
	filing->uids = arena_alloc_array(&filing->arena, filing->destinations.account_count,
					 sizeof(*filing->uids));
	filing->is_noted = arena_alloc_array(&filing->arena, filing->destinations.recipient_count,
					     sizeof(*filing->is_noted));
	for (size_t i = 0; err == ERR_OK && i < filing->destinations.account_count; i++) {
		err = mailbox_find(read, filing->destinations.account_ids[i], SLICE("INBOX"),
				   &arena, &mailbox);
		if (err == ERR_OK)
			filing->inbox_ids[i] = mailbox.mailbox_id;
		arena_reset(&arena);
	}
	arena_fini(&arena);
	read_end(&read);
	return err == ERR_NOT_FOUND ? ERR_GONE : err;
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
	assert(!filing->is_committing && filing->destinations.recipient_count > 0);
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
