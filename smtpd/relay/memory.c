/* smtpd/relay/memory.c - what the front has learned of domains elsewhere, into the store. Runs in the
 * back.
 *
 * A front that is somebody else's can have such rows say what it likes; it could as well send mail
 * without asking them. They are bounded in size and in the time that they are believed. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/heap.h"
#include "base/log.h"
#include "runtime/delivery.h"
#include "smtpd/relay/runner_priv.h"
#include "storage/remote.h"

struct note {
	struct job job;
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
	arena_fini(&note->arena);
	free(note);
}

bool relay_keep_policy(struct back *back, struct slice payload)
{
	struct note *note = heap_alloc(sizeof(*note));
	int64_t now_unix = clock_unix();
	if (!policy_decode(arena_copy(&note->arena, payload), &note->policy) ||
	    note->policy.text.len == 0) {
		arena_fini(&note->arena);
		free(note);
		return false;
	}
	/* By our own clock: it is not believed for longer than it could have said. */
	if (note->policy.fetched_unix > now_unix) {
		note->policy.expires_unix -= note->policy.fetched_unix - now_unix;
		note->policy.fetched_unix = now_unix;
	}
	note->job = (struct job){ .run = run_policy, .done = on_done, .loop = back->loop };
	store_submit(back->store, &note->job);
	return true;
}

/* ---- how the way was secured ---- */

enum { DAY_SECONDS = 24 * 3600 };

struct result_note {
	struct job job;
	struct back *back;
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
	    is_waited_for(note->back, &level, note->now_unix)) {
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
		log_warning(NULL, EVENT("way-downgraded"), TEXT("domain", note->message.domain),
			    WORD("to", levels[note->message.level]),
			    NUM("waits_seconds", note->back->config->downgrade_delay_seconds));
	arena_fini(&note->arena);
	free(note);
}

bool relay_keep_result(struct back *back, struct slice payload)
{
	struct result_note *note = heap_alloc(sizeof(*note));
	if (!tls_result_message_decode(arena_copy(&note->arena, payload), &note->message)) {
		arena_fini(&note->arena);
		free(note);
		return false;
	}
	note->back = back;
	note->now_unix = clock_unix();
	note->job = (struct job){ .run = run_result, .done = on_result_done, .loop = back->loop };
	store_submit(back->store, &note->job);
	return true;
}
