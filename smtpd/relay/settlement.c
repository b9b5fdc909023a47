/* smtpd/relay/settlement.c - what came of an attempt, for each recipient: into the store, with the
 * report to the sender, in one transaction. Runs in the back.
 *
 * Recipients who have the message, and those who never will, leave the entry; the others wait. Who
 * is told of what is what RFC 3461 section 5 says; there is never a report about a report (RFC 5321
 * section 4.5.5). Until it is on the disk, the entry is not tried again: nothing that was confirmed
 * is sent twice while this process lives. */
#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "mda/notice.h"
#include "mda/sender.h"
#include "smtpd/relay/runner_priv.h"
#include "smtpd/relay/schedule_priv.h"
#include "storage/journal.h"
#include "storage/suppression.h"

enum { AGAIN_MS = 5000 };

static void write_settlement(struct transfer *transfer);

/* ---- what it means ---- */

static enum report_action action_of(const struct settlement *settlement,
				    enum delivery_verdict verdict)
{
	if (verdict == DELIVERY_TAKEN)
		return settlement->is_final ? REPORT_DELIVERED : REPORT_RELAYED;
	return verdict == DELIVERY_REFUSED ? REPORT_FAILED : REPORT_DELAYED;
}

static void log_recipient(const struct transfer *transfer, const struct settlement *settlement,
			  const struct envelope_recipient *recipient, const struct settled *settled,
			  enum delivery_verdict verdict)
{
	static const char *const words[] = {
		[DELIVERY_TAKEN] = "relayed",
		[DELIVERY_LATER] = "deferred",
		[DELIVERY_REFUSED] = "bounced",
	};
	bool is_here = transfer->release && verdict == DELIVERY_TAKEN;
	log_info(NULL, HEX("msg", transfer->entry.blob_id),
		 WORD("event", is_here ? "released" : words[verdict]),
		 NUM("entry", transfer->entry.queue_id), TEXT("to", recipient->forward_path),
		 TEXT("by", settlement->remote), TEXT("said", settled->words),
		 NUM("uncertain", settlement->is_uncertain));
}

/* Does the sender hear of it, as DSN says (RFC 3461 section 4.1) or as DELIVERBY does? */
static bool is_wanted(const struct transfer *transfer, const struct settlement *settlement,
		      const struct envelope_recipient *recipient, enum report_action action)
{
	const struct envelope *envelope = &transfer->entry.envelope;
	bool is_never = recipient->notify & DSN_NEVER;

	/* Whoever has named a moment, and a relay that does not keep to it, or "T": RFC 2852
	 * section 4. */
	if (action == REPORT_DELAYED && envelope->deliver_by == DELIVER_BY_NOTIFY)
		return !is_never;
	if (action == REPORT_RELAYED && envelope->deliver_by != DELIVER_BY_NONE &&
	    (envelope->traces_deliver_by || !settlement->passed_deliver_by))
		return !is_never;
	return report_is_wanted(recipient->notify, action) &&
	       !(action == REPORT_RELAYED && settlement->passed_dsn);
}

static void tell(struct transfer *transfer, const struct settlement *settlement,
		 const struct envelope_recipient *recipient, const struct settled *settled,
		 enum report_action action, struct slice status)
{
	if (!is_wanted(transfer, settlement, recipient, action))
		return;
	transfer->told[transfer->told_count++] = (struct report_recipient){
		.forward_path = recipient->forward_path,
		.orcpt = recipient->orcpt,
		.action = action,
		.status = status,
		.remote = settlement->remote,
		/* What became of each whom it stands for is not said. */
		.words = action == REPORT_EXPANDED ? SLICE_NONE : settled->words,
		.is_reply = settled->is_reply,
	};
}

static void apply(struct transfer *transfer, const struct settlement *settlement)
{
	const struct config *config = transfer->runner->back->config;
	struct queue_entry *entry = &transfer->entry;
	int64_t now_ms = clock_unix_ms(), now = now_ms / 1000;
	bool is_expired = now >= schedule_expires_unix(config, entry);
	bool is_late = !entry->was_warned && now >= schedule_warns_unix(config, entry);
	const struct settled *first = NULL; /* whose words stand for the attempt */
	size_t kept = 0;
	transfer->told = arena_alloc_array(&transfer->arena, entry->recipient_count,
					   sizeof(*transfer->told));
	transfer->told_count = 0;
	for (size_t i = 0; i < entry->recipient_count; i++) {
		const struct settled *settled = &settlement->recipients[i];
		struct envelope_recipient recipient = entry->recipients[i];
		enum delivery_verdict verdict = settled->verdict;
		if (!first || settled->verdict != DELIVERY_TAKEN)
			first = settled;
		if (verdict == DELIVERY_LATER && is_expired)
			verdict = DELIVERY_REFUSED;
		log_recipient(transfer, settlement, &recipient, settled, verdict);
		struct slice status = settled->status;
		if (verdict != settled->verdict)
			status = SLICE("5.4.7");
		else if (verdict == DELIVERY_LATER &&
			 entry->envelope.deliver_by == DELIVER_BY_NOTIFY)
			status = SLICE("4.4.7");
		enum report_action action = action_of(settlement, verdict);
		bool is_over = verdict != DELIVERY_LATER;
		if (verdict == DELIVERY_TAKEN && transfer->release) {
			enum placed_end end = release_end(transfer->release, i);
			/* Where an alias led elsewhere, who sends it there tells. */
			is_over = end != PLACED_ON;
			if (end == PLACED_EXPANDED)
				action = REPORT_EXPANDED;
		}
		if (is_over || (verdict == DELIVERY_LATER && is_late))
			tell(transfer, settlement, &recipient, settled, action, status);
		if (verdict == DELIVERY_LATER)
			entry->recipients[kept++] = recipient;
	}
	entry->recipient_count = kept;
	entry->was_warned |= is_late;
	if (entry->is_held) {
		entry->next_unix_ms = schedule_held_unix_ms(config, entry);
	} else {
		queue_note_attempt(entry, &transfer->arena, now, settlement->remote,
				   first ? first->words : SLICE_NONE);
		entry->next_unix_ms = schedule_next_unix_ms(config, entry, now_ms, random_u32());
	}
	transfer->is_done = kept == 0;
	transfer->remote = settlement->remote;
	/* Never a report about a report. */
	if (entry->envelope.reverse_path.len == 0)
		transfer->told_count = 0;
}

/* ---- writing ---- */

static void note_journal(struct write *write, const struct transfer *transfer,
			 const struct report_recipient *told)
{
	static const enum journal_kind kinds[REPORT_ACTIONS] = {
		[REPORT_FAILED] = JOURNAL_BOUNCED,    [REPORT_DELAYED] = JOURNAL_DEFERRED,
		[REPORT_DELIVERED] = JOURNAL_RELAYED, [REPORT_EXPANDED] = JOURNAL_RELAYED,
		[REPORT_RELAYED] = JOURNAL_RELAYED,
	};
	bool is_taken = kinds[told->action] == JOURNAL_RELAYED;
	journal_note(write, &(struct journal_event){
				    .kind = kinds[told->action],
				    .blob_id = transfer->entry.blob_id,
				    .sender = transfer->entry.envelope.reverse_path,
				    .recipient = told->forward_path,
				    .queue_id = transfer->entry.queue_id,
				    .host = told->remote,
				    .next_unix_ms = told->action == REPORT_DELAYED
							    ? transfer->entry.next_unix_ms
							    : 0,
				    .reply = told->is_reply ? told->words : SLICE_NONE,
				    .why = !told->is_reply ? told->words
					   : is_taken	   ? transfer_conversion_words(transfer)
							   : SLICE_NONE,
			    });
}

/* The address itself is no good, which is another matter than what the server thinks of the message
 * or of us (RFC 3463 section 3.2, RFC 7505 section 4.2). A code alone does not tell them apart. */
static bool is_hard(const struct report_recipient *told)
{
	static const char *const statuses[] = { "5.1.1", "5.1.2",  "5.1.3",
						"5.1.6", "5.1.10", "5.2.1" };
	for (size_t i = 0; i < ARRAY_LEN(statuses); i++)
		if (told->action == REPORT_FAILED &&
		    slice_eq(told->status, slice_cstr(statuses[i])))
			return true;
	return false;
}

static enum err note_suppressed(struct write *write, const struct transfer *transfer,
				const struct report_recipient *told)
{
	const struct queue_entry *entry = &transfer->entry;
	struct arena arena = { 0 };
	if (entry->account_id == 0 || entry->forwarder.len > 0 || transfer->release ||
	    !is_hard(told))
		return ERR_OK;
	const struct suppression suppression = {
		.address = sender_recipient(told->forward_path, &arena),
		.at_unix = clock_unix(),
		.words = told->words,
	};
	enum err err = suppression_put(write, entry->account_id, &suppression);
	arena_fini(&arena);
	return err_is_store_failure(err) ? err : ERR_OK;
}

/* In a job. What an administrator did meanwhile stands: an entry that he deleted stays away, one
 * that he holds is held, one that he wants to be tried is due. */
static enum err entry_write(struct write *write, struct transfer *transfer)
{
	struct arena arena = { 0 };
	struct queue_entry present;
	enum err err = queue_get(write_read(write), transfer->entry.queue_id, &arena, &present);
	if (err == ERR_OK && transfer->release)
		err = release_write(write, transfer->release);
	if (err == ERR_OK && transfer->is_done) {
		err = queue_remove(write, transfer->entry.queue_id);
	} else if (err == ERR_OK) {
		transfer->entry.is_held = present.is_held;
		if (present.next_unix_ms != transfer->began_unix_ms)
			transfer->entry.next_unix_ms = present.next_unix_ms;
		err = queue_put(write, &transfer->entry);
	}
	arena_fini(&arena);
	for (size_t i = 0; err == ERR_OK && i < transfer->journal_count; i++) {
		note_journal(write, transfer, &transfer->journal[i]);
		err = note_suppressed(write, transfer, &transfer->journal[i]);
	}
	return err == ERR_NOT_FOUND || err == ERR_DAMAGED ? ERR_OK : err;
}

static void on_again(void *user)
{
	write_settlement(user);
}

static void on_written(struct transfer *transfer, enum err err)
{
	struct relay_runner *runner = transfer->runner;
	/* What was true of mailboxes here is so no longer: it is looked at anew. */
	bool has_changed = transfer->release && err == ERR_BUSY;
	if (err == ERR_OK || has_changed) {
		transfer->is_gone = err == ERR_OK && transfer->is_done;
		runner_end_transfer(transfer);
		runner_dispatch(runner);
		return;
	}
	log_error(NULL, HEX("msg", transfer->entry.blob_id), EVENT("outcome-not-written"),
		  NUM("entry", transfer->entry.queue_id), WORD("why", err_word(err)));
	if (!transfer->again)
		transfer->again = timer_new(runner->back->loop, on_again, transfer);
	timer_start(transfer->again, AGAIN_MS);
}

static enum err run_job(struct write *write, struct job *job)
{
	return entry_write(write, CONTAINER_OF(job, struct transfer, job));
}

static void job_done(struct job *job)
{
	on_written(CONTAINER_OF(job, struct transfer, job), job->outcome);
}

/* ---- the report ---- */

static enum err also_write(struct write *write, void *user)
{
	return entry_write(write, user);
}

static void note_untold(const struct transfer *transfer, enum err err)
{
	log_warning(NULL, HEX("msg", transfer->entry.blob_id), EVENT("sender-not-told"),
		    WORD("why", err_word(err)), TEXT("to", transfer->entry.envelope.reverse_path));
}

static void on_filed(void *user, enum err outcome, uint64_t blob_id)
{
	struct transfer *transfer = user;
	filing_free(&transfer->filing);
	if (outcome == ERR_OK)
		log_info(NULL, HEX("msg", transfer->entry.blob_id), EVENT("sender-told"),
			 NUM("entry", transfer->entry.queue_id), HEX("report", blob_id),
			 TEXT("to", transfer->entry.envelope.reverse_path));
	bool has_changed = transfer->release && outcome == ERR_BUSY;
	if (outcome != ERR_OK && !err_is_store_failure(outcome) && !has_changed) {
		/* His mailbox is full, or gone: the rest is written without it. */
		note_untold(transfer, outcome);
		transfer->is_unreported = true;
		write_settlement(transfer);
		return;
	}
	on_written(transfer, outcome);
}

/* ERR_OK: on_filed() comes. */
static enum err file_report(struct transfer *transfer)
{
	const struct back *back = transfer->runner->back;
	const struct queue_entry *entry = &transfer->entry;
	const struct notice notice = {
		.store = back->store,
		.loop = back->loop,
		.config = back->config,
		.envelope = &entry->envelope,
		.blob_id = entry->blob_id,
		.size_octets = entry->size_octets,
		.queue_id = entry->queue_id,
		.arrived_unix = entry->arrived_unix,
		.retry_until_unix = schedule_expires_unix(back->config, entry),
		.recipients = transfer->told,
		.recipient_count = transfer->told_count,
		.filed = on_filed,
		.also = also_write,
		.user = transfer,
	};
	return notice_file(&notice, &transfer->filing);
}

static void write_settlement(struct transfer *transfer)
{
	if (transfer->told_count > 0 && !transfer->is_unreported) {
		enum err err = file_report(transfer);
		if (err_is_store_failure(err))
			on_written(transfer, err); /* which comes here again */
		if (err == ERR_OK || err_is_store_failure(err))
			return;
		note_untold(transfer, err);
		transfer->is_unreported = true;
	}
	transfer->job = (struct job){ .run = run_job,
				      .done = job_done,
				      .loop = transfer->runner->back->loop };
	store_submit(transfer->runner->back->store, &transfer->job);
}

/* Everything, for the journal, whether the sender wants to hear it or not. */
static void collect_journal(struct transfer *transfer, const struct settlement *settlement)
{
	const struct queue_entry *entry = &transfer->entry;
	bool is_expired =
		clock_unix() >= schedule_expires_unix(transfer->runner->back->config, entry);
	transfer->journal_count = 0;
	transfer->journal = arena_alloc_array(&transfer->arena, entry->recipient_count,
					      sizeof(*transfer->journal));
	for (size_t i = 0; i < entry->recipient_count; i++) {
		const struct settled *settled = &settlement->recipients[i];
		enum delivery_verdict verdict = settled->verdict;
		if (verdict == DELIVERY_LATER && is_expired)
			verdict = DELIVERY_REFUSED;
		/* What comes into mailboxes here is noted with that. */
		if (verdict == DELIVERY_TAKEN && transfer->release)
			continue;
		transfer->journal[transfer->journal_count++] = (struct report_recipient){
			.forward_path = entry->recipients[i].forward_path,
			.action = action_of(settlement, verdict),
			.status = settled->status,
			.remote = settlement->remote,
			.words = settled->words,
			.is_reply = settled->is_reply,
		};
	}
}

void transfer_settle(struct transfer *transfer, const struct settlement *settlement)
{
	transfer->channel = NULL;
	collect_journal(transfer, settlement);
	apply(transfer, settlement);
	write_settlement(transfer);
}

void transfer_settle_held(struct transfer *transfer)
{
	transfer_settle_all(transfer, DELIVERY_LATER, "4.2.1",
			    SLICE("an administrator of this server holds it back"));
}

void transfer_settle_all(struct transfer *transfer, enum delivery_verdict verdict,
			 const char *status, struct slice words)
{
	struct settled *settled = arena_alloc_array(
		&transfer->arena, transfer->entry.recipient_count, sizeof(*settled));
	words = arena_copy(&transfer->arena, slice_sub(words, 0, QUEUE_WORDS_MAX_OCTETS));
	for (size_t i = 0; i < transfer->entry.recipient_count; i++)
		settled[i] = (struct settled){ .verdict = verdict,
					       .status = slice_cstr(status),
					       .words = words };
	const struct settlement settlement = { .recipients = settled };
	hop_leave(transfer);
	transfer_settle(transfer, &settlement);
}
