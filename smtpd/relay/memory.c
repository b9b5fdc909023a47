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

/* False: it was given no mail for that domain, or as many notes as may be are still being written. */
static bool may_tell(struct relay_runner *runner, struct slice domain)
{
	if (!latest_has(runner->given, domain))
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

/* It is not reached any more, and was waited for long enough. */
static bool is_given_up(const struct back *back, const struct remote_level *level, int64_t now_unix)
{
	return level->lost_unix != 0 &&
	       now_unix >= level->lost_unix + (int64_t)back->config->downgrade_delay_seconds;
}

enum tls_level relay_known_level(const struct back *back, struct read *read, struct slice domain,
				 enum tls_policy_kind *known_by_out)
{
	struct remote_level level;
	*known_by_out = TLS_POLICY_NONE;
	if (back->config->downgrade_delay_seconds == 0 ||
	    !remote_level_find(read, domain, &level) || level.level > TLS_LEVEL_PROVEN ||
	    level.lost_to > TLS_LEVEL_PROVEN || level.proven_by >= TLS_POLICY_COUNT)
		return TLS_LEVEL_NONE;
	if (is_given_up(back, &level, clock_unix()))
		return (enum tls_level)level.lost_to;
	*known_by_out = (enum tls_policy_kind)level.proven_by;
	return (enum tls_level)level.level;
}

/* What was told last, on what was known. True: it is worth being written. */
static bool level_follow(struct result_note *note, struct remote_level *level)
{
	const struct tls_result_message *message = &note->message;
	const struct back *back = note->runner->back;
	const struct remote_level before = *level;
	int64_t now_unix = note->now_unix;
	/* Meant so is that it is proven no more; encrypted it is still to be. */
	if (message->is_renounced && level->level == TLS_LEVEL_PROVEN)
		*level = (struct remote_level){ .level = TLS_LEVEL_ENCRYPTED,
						.reached_unix = now_unix };
	/* The best that there was since then is what may be lost next, and be waited for. */
	else if (is_given_up(back, level, now_unix))
		*level = (struct remote_level){ .level = level->lost_to, .reached_unix = now_unix };
	if (message->level >= level->level || back->config->downgrade_delay_seconds == 0) {
		*level = (struct remote_level){ .level = (uint8_t)message->level,
						.proven_by = (uint8_t)message->proven_by,
						.reached_unix = now_unix };
	} else if (level->lost_unix == 0) {
		note->is_lost = true;
		level->lost_unix = now_unix;
		level->lost_to = (uint8_t)message->level;
	} else if (message->level > level->lost_to) {
		level->lost_to = (uint8_t)message->level;
	}
	return level->level != before.level || level->proven_by != before.proven_by ||
	       level->lost_to != before.lost_to || level->lost_unix != before.lost_unix ||
	       level->reached_unix >= before.reached_unix + DAY_SECONDS;
}

/* The best is remembered; less than that only when it was waited for long enough, or is meant so. */
static enum err keep_level(struct write *write, struct result_note *note)
{
	struct remote_level level = { 0 };
	note->is_lost = false;
	if (note->message.level == TLS_LEVEL_UNSAID)
		return ERR_OK;
	bool is_known = remote_level_find(write_read(write), note->message.domain, &level);
	if (!is_known && note->message.level == TLS_LEVEL_NONE)
		return ERR_OK;
	return level_follow(note, &level) ? remote_level_put(write, note->message.domain, &level)
					  : ERR_OK;
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
