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
#include "smtpd/relay/relay.h"
#include "storage/back.h"
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
