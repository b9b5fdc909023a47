/* smtpd/relay/memory.c - what the front has learned of domains elsewhere, into the store. Runs in the
 * back.
 *
 * A front that is somebody else's can have such rows say what it likes; it could as well send mail
 * without asking them. But only of domains that it was given mail for, no faster than the disk takes
 * them, and bounded in size and in the time that they are believed. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/heap.h"
#include "base/log.h"
#include "runtime/delivery.h"
#include "smtpd/relay/runner_priv.h"
#include "storage/remote.h"

/* False: it has told enough for now, or is not asked about that domain. */
static bool may_tell(struct relay_runner *runner, struct slice domain)
{
	if (!given_has(runner->given, domain))
		return false;
	bool has_room = runner->note_count < RUNNER_NOTES_MAX;
	if (!has_room && !runner->has_dropped)
		log_warning(NULL, EVENT("front-tells-too-much"), NUM("notes", RUNNER_NOTES_MAX));
	runner->has_dropped = !has_room;
	return has_room;
}

static void note_begin(struct relay_runner *runner, struct job *job,
		       enum err (*run)(struct write *write, struct job *job),
		       void (*done)(struct job *job))
{
	*job = (struct job){ .run = run, .done = done, .loop = runner->back->loop };
	runner->note_count++;
	store_submit(runner->back->store, job);
}

struct note {
	struct job job;
	struct relay_runner *runner;
	struct arena arena;
	struct policy_message policy;
};

static enum err run_policy(struct write *write, struct job *job)
{
	const struct note *note = CONTAINER_OF(job, struct note, job);
	const struct remote_policy policy = {
		.id = note->policy.id,
		.text = note->policy.text,
		.fetched_unix = note->policy.fetched_unix,
		.expires_unix = note->policy.expires_unix,
	};
	return remote_policy_put(write, note->policy.domain, &policy);
}

/* What could not be kept is learned again. */
static void on_done(struct job *job)
{
	struct note *note = CONTAINER_OF(job, struct note, job);
	if (job->outcome != ERR_OK)
		log_warning(NULL, EVENT("policy-not-kept"), TEXT("domain", note->policy.domain),
			    WORD("why", err_word(job->outcome)));
	note->runner->note_count--;
	arena_fini(&note->arena);
	free(note);
}

bool relay_keep_policy(struct relay_runner *runner, struct slice payload)
{
	struct policy_message told;
	int64_t now_unix = clock_unix();
	if (!policy_decode(payload, &told) || told.text.len == 0)
		return false;
	if (!may_tell(runner, told.domain))
		return true;
	struct note *note = heap_alloc(sizeof(*note));
	note->runner = runner;
	(void)policy_decode(arena_copy(&note->arena, payload), &note->policy);
	/* By our own clock: it is not believed for longer than it could have said. */
	if (note->policy.fetched_unix > now_unix) {
		note->policy.expires_unix -= note->policy.fetched_unix - now_unix;
		note->policy.fetched_unix = now_unix;
	}
	note_begin(runner, &note->job, run_policy, on_done);
	return true;
}

/* ---- how the way was secured ---- */

enum { DAY_SECONDS = 24 * 3600 };

struct result_note {
	struct job job;
	struct relay_runner *runner;
	struct arena arena;
	struct tls_result_message message;
	int64_t now_unix;
	bool is_lost; /* since now */
};

static bool is_waited_for(const struct back *back, const struct remote_level *level,
			  int64_t now_unix)
{
	unsigned delay_seconds = back->config->downgrade_delay_seconds;
	return delay_seconds > 0 &&
	       (level->lost_unix == 0 || now_unix < level->lost_unix + (int64_t)delay_seconds);
}

enum tls_level relay_known_level(const struct back *back, struct read *read, struct slice domain)
{
	struct remote_level level;
	if (!remote_level_find(read, domain, &level) || level.level > TLS_LEVEL_PROVEN ||
	    !is_waited_for(back, &level, clock_unix()))
		return TLS_LEVEL_NONE;
	return (enum tls_level)level.level;
}

/* The best is remembered; less than that only when it was waited for long enough, or is meant so. */
static enum err keep_level(struct write *write, struct result_note *note)
{
	const struct tls_result_message *message = &note->message;
	struct remote_level level = { 0 };
	note->is_lost = false;
	if (message->level == TLS_LEVEL_UNSAID)
		return ERR_OK;
	bool is_known = remote_level_find(write_read(write), message->domain, &level);
	if (!is_known && message->level == TLS_LEVEL_NONE)
		return ERR_OK;
	if (message->level < level.level && !message->is_renounced &&
	    is_waited_for(note->runner->back, &level, note->now_unix)) {
		if (level.lost_unix != 0)
			return ERR_OK;
		note->is_lost = true;
		level.lost_unix = note->now_unix;
	} else {
		if (is_known && message->level == level.level && level.lost_unix == 0 &&
		    note->now_unix < level.reached_unix + DAY_SECONDS)
			return ERR_OK;
		level = (struct remote_level){ .level = (uint8_t)message->level,
					       .reached_unix = note->now_unix };
	}
	return remote_level_put(write, message->domain, &level);
}

static enum err run_result(struct write *write, struct job *job)
{
	struct result_note *note = CONTAINER_OF(job, struct result_note, job);
	enum err err = keep_level(write, note);
	if (err != ERR_OK || !note->message.has_result)
		return err;
	const struct remote_result result = {
		.day = (uint32_t)(note->now_unix / DAY_SECONDS),
		.domain = note->message.domain,
		.what = note->message.result,
		.count = 1,
	};
	err = remote_result_add(write, &result);
	return err == ERR_LIMIT ? ERR_OK : err; /* of so many kinds one more is no news */
}

static void on_result_done(struct job *job)
{
	static const char *const levels[] = { "none", "encrypted", "proven", "unsaid" };
	struct result_note *note = CONTAINER_OF(job, struct result_note, job);
	if (job->outcome != ERR_OK)
		log_warning(NULL, EVENT("result-not-kept"), TEXT("domain", note->message.domain),
			    WORD("why", err_word(job->outcome)));
	else if (note->is_lost)
		log_warning(
			NULL, EVENT("way-downgraded"), TEXT("domain", note->message.domain),
			WORD("to", levels[note->message.level]),
			NUM("waits_seconds", note->runner->back->config->downgrade_delay_seconds));
	note->runner->note_count--;
	arena_fini(&note->arena);
	free(note);
}

bool relay_keep_result(struct relay_runner *runner, struct slice payload)
{
	struct tls_result_message told;
	if (!tls_result_message_decode(payload, &told))
		return false;
	if (!may_tell(runner, told.domain))
		return true;
	struct result_note *note = heap_alloc(sizeof(*note));
	note->runner = runner;
	(void)tls_result_message_decode(arena_copy(&note->arena, payload), &note->message);
	note->now_unix = clock_unix();
	note_begin(runner, &note->job, run_result, on_result_done);
	return true;
}
