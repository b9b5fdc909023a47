/* smtpd/relay/daily.c - reports about TLS of the days that are over (RFC 8460), one message after the
 * other into the queue, and what web servers want to posts.c; then the day counts as told of. A process
 * that ends in the middle begins the day anew: who gets a report twice knows it by its Report-ID. Runs in
 * the back. */
#include "smtpd/relay/daily_priv.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/heap.h"
#include "base/log.h"
#include "base/random.h"
#include "mda/filing.h"
#include "mda/tls_report.h"
#include "smtpd/relay/posts_priv.h"
#include "trust/tlsrpt.h"

enum {
	DAY_SECONDS = 24 * 3600,
	HOUR_MS = 3600 * 1000,
	DAYS_BACK = 2,		    /* older ones interest nobody any more */
	DAYS_KEPT = 8,		    /* for who asks here */
	TURN_ROWS = 300,	    /* looked at, before others have their turn */
	ADDRESSES_MAX = 2,	    /* of a domain: what DNS names there may be strangers to it */
	PRUNED_ROWS = 500,	    /* looked at in one transaction */
	AGAIN_MS = 1000,	    /* after the store has failed to say what there is, */
	FILED_AGAIN_MS = 60 * 1000, /* or to take a report: its disk may be full */
};

struct daily {
	struct back *back;
	struct timer *timer;
	struct job job;
	struct remote_walk walk; /* over what is past its time */
	bool is_busy, is_stopped;
	uint64_t pause_ms;	    /* then the timer goes on with it; 0: it is not paused */
	uint32_t day;		    /* that is told of */
	struct buffer place;	    /* how far it has come */
	struct arena arena;	    /* of the report, */
	struct remote_place before; /* behind which it stands */
	struct tls_report report;
	struct slice uris;  /* of the report: where it was not sent yet */
	struct slice to;    /* the address it is filed for; empty: none */
	unsigned addresses; /* where it was */
	size_t turn_rows;   /* that were looked at in this turn of the loop */
	struct buffer text;
	struct filing *filing;
	struct posts *posts; /* what web servers get */
};

static void send_next(struct daily *daily);

static uint32_t today(void)
{
	return (uint32_t)(clock_unix() / DAY_SECONDS);
}

static void wait_for_next(struct daily *daily)
{
	daily->is_busy = false;
	if (!daily->is_stopped)
		timer_start(daily->timer, HOUR_MS);
}

/* ---- the end of it ---- */

static enum err run_end(struct write *write, struct job *job)
{
	struct daily *daily = CONTAINER_OF(job, struct daily, job);
	enum err err = ERR_OK;
	if (daily->day > 0)
		err = remote_set_reported_day(write, daily->day);
	/* A job that is run anew goes on behind what it has looked at; the next walk looks there again. */
	return err == ERR_OK ? remote_prune(write, today() - DAYS_KEPT, clock_unix(), PRUNED_ROWS,
					    &daily->walk)
			     : err;
}

/* One after the other, so that others have their turn with the writer between two. */
static void submit_end(struct daily *daily);

static void on_end(struct job *job)
{
	struct daily *daily = CONTAINER_OF(job, struct daily, job);
	if (job->outcome != ERR_OK)
		log_warning(NULL, EVENT("day-not-closed"), WORD("why", err_word(job->outcome)));
	daily->day = 0;
	if (job->outcome == ERR_OK && !daily->walk.is_over && !daily->is_stopped)
		submit_end(daily);
	else
		wait_for_next(daily);
}

static void submit_end(struct daily *daily)
{
	daily->job = (struct job){ .run = run_end, .done = on_end, .loop = daily->back->loop };
	store_submit(daily->back->store, &daily->job);
}

static void finish(struct daily *daily)
{
	arena_fini(&daily->arena);
	submit_end(daily);
}

/* ---- reports ---- */

static void pause(struct daily *daily, uint64_t ms)
{
	daily->pause_ms = ms;
	if (!daily->is_stopped)
		timer_start(daily->timer, ms);
}

/* True: it is done with. Where the store has failed it is filed again after a while, until it is; what else
 * is in the way stays there. */
static bool report_is_over(struct daily *daily, enum err outcome, uint64_t blob_id)
{
	filing_free(&daily->filing);
	if (outcome == ERR_OK)
		log_info(NULL, HEX("msg", blob_id), EVENT("tls-report-queued"),
			 TEXT("domain", daily->report.domain), TEXT("to", daily->to));
	else
		log_warning(NULL, EVENT("tls-report-not-queued"),
			    TEXT("domain", daily->report.domain), TEXT("to", daily->to),
			    WORD("why", err_word(outcome)));
	if (err_is_store_failure(outcome)) {
		pause(daily, FILED_AGAIN_MS);
		return false;
	}
	daily->to = SLICE_NONE;
	return true;
}

static void on_filed(void *user, enum err outcome, uint64_t blob_id)
{
	if (report_is_over(user, outcome, blob_id))
		send_next(user);
}

/* True: nobody gets it, and the next one has its turn. */
static bool file_report(struct daily *daily)
{
	struct back *back = daily->back;
	struct sender sender = { .config = back->config };
	const struct envelope envelope = { .recipient_count = 1 };
	const struct envelope_recipient recipient = { .forward_path = daily->to,
						      .notify = DSN_NEVER };
	buffer_clear(&daily->text);
	tls_report_format(&daily->report, daily->to, clock_unix(), &daily->text);
	daily->filing = filing_new(back->store, back->loop, &envelope, on_filed, NULL, daily);
	struct read *read = read_begin(back->store);
	/* What is in a stranger's DNS is for our own addresses a stranger's word. */
	enum err err = filing_add_recipient(daily->filing, read, &sender, &recipient);
	if (err == ERR_DENIED) {
		sender.may_relay = true;
		err = filing_add_recipient(daily->filing, read, &sender, &recipient);
	}
	read_end(&read);
	if (err != ERR_OK)
		return report_is_over(daily, err, 0);
	(void)filing_feed(daily->filing, buffer_slice(&daily->text));
	filing_commit(daily->filing);
	return false;
}

/* The next domain that wants to be told. False: there is none, or (`pause_ms`) not in this turn. */
static bool find_report(struct daily *daily)
{
	const struct config *config = daily->back->config;
	struct read *read = read_begin(daily->back->store);
	bool found;
	do {
		arena_reset(&daily->arena);
		daily->before.key = arena_copy(&daily->arena, buffer_slice(&daily->place));
		struct remote_place place = daily->before;
		found = tls_report_next(read, daily->day, &place, &daily->arena, &daily->report);
		buffer_clear(&daily->place);
		buffer_add(&daily->place, place.key);
		daily->turn_rows += daily->report.result_count;
	} while (found && daily->report.uris.len == 0 && daily->turn_rows < TURN_ROWS);
	daily->pause_ms =
		found && daily->report.uris.len == 0 ? 1 : 0; /* 0 would be this turn still */
	/* A store that fails has "nothing", and the day would be over: it is asked again. */
	if (read_failure(read) != ERR_OK) {
		buffer_clear(&daily->place);
		buffer_add(&daily->place, daily->before.key);
		daily->pause_ms = AGAIN_MS;
	}
	read_end(&read);
	if (daily->pause_ms > 0)
		return false;
	tls_report_set_submitter(&daily->report, config, &daily->arena);
	daily->uris = daily->report.uris;
	daily->addresses = 0;
	return found;
}

/* Whom the report is filed for next, in daily->to. Web servers that are named before him get it. */
static bool next_address(struct daily *daily)
{
	struct tlsrpt_uri uri;
	while (daily->to.len == 0 && daily->addresses < ADDRESSES_MAX &&
	       tlsrpt_next_uri(&daily->uris, &uri)) {
		bool by_mail = uri.scheme == TLSRPT_MAILTO;
		if (by_mail && daily->back->config->tls_reports != TLS_REPORTS_YES)
			continue;
		daily->addresses++;
		if (by_mail)
			daily->to = uri.address;
		else
			posts_add(daily->posts, &daily->report, &daily->before, &uri);
	}
	return daily->to.len > 0;
}

static void send_next(struct daily *daily)
{
	daily->turn_rows = 0;
	while (!daily->is_stopped) {
		if (next_address(daily)) {
			if (!file_report(daily))
				return; /* on_filed() or the timer goes on */
		} else if (daily->turn_rows >= TURN_ROWS) {
			pause(daily, 1);
			return;
		} else if (!find_report(daily)) {
			if (daily->pause_ms > 0)
				pause(daily, daily->pause_ms);
			else
				finish(daily);
			return;
		}
	}
	daily->is_busy = false;
}

/* The first day that is over and was not told of; 0: there is none. */
static uint32_t next_day(struct daily *daily)
{
	uint32_t now = today();
	struct read *read = read_begin(daily->back->store);
	uint32_t day = remote_reported_day(read) + 1;
	if (read_failure(read) != ERR_OK)
		day = now; /* the next hour knows more */
	read_end(&read);
	if (day < now - DAYS_BACK)
		day = now - DAYS_BACK;
	return daily->back->config->tls_reports != TLS_REPORTS_NO && day < now ? day : 0;
}

void daily_run(struct daily *daily)
{
	if (daily->is_busy || daily->is_stopped)
		return;
	daily->is_busy = true;
	daily->day = next_day(daily);
	buffer_clear(&daily->place);
	daily->uris = daily->to = SLICE_NONE;
	daily->addresses = 0;
	if (daily->day > 0)
		send_next(daily);
	else
		finish(daily);
}

/* ---- from outside ---- */

static void on_timer(void *user)
{
	struct daily *daily = user;
	if (daily->pause_ms == 0) {
		daily_run(daily);
		return;
	}
	daily->pause_ms = 0;
	send_next(daily);
}

struct daily *daily_new(struct back *back)
{
	struct daily *daily = heap_alloc(sizeof(*daily));
	daily->back = back;
	daily->posts = posts_new(back);
	daily->timer = timer_new(back->loop, on_timer, daily);
	/* Not all servers of the world at the same moment. */
	timer_start(daily->timer, 60 * 1000 + random_u32() % HOUR_MS);
	return daily;
}

void daily_stop(struct daily *daily)
{
	daily->is_stopped = true;
	timer_stop(daily->timer);
	posts_stop(daily->posts);
}

struct posts *daily_posts(struct daily *daily)
{
	return daily->posts;
}

void daily_free(struct daily **at)
{
	struct daily *daily = *at;
	*at = NULL;
	if (!daily)
		return;
	filing_free(&daily->filing);
	timer_free(&daily->timer);
	posts_free(&daily->posts);
	buffer_free(&daily->text);
	buffer_free(&daily->place);
	arena_fini(&daily->arena);
	free(daily);
}
