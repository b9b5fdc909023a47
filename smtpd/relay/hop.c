/* smtpd/relay/hop.c - the places that mail of one or more destinations goes to: how much is under way to
 * each, and which destinations wait until it may have more. Runs in the back.
 *
 * A place that nothing is known of gets one message. When the front says that a recipient of it was taken,
 * the place may have more; while it says nothing, however long, that one is all that is held up. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/heap.h"
#include "smtpd/relay/runner_priv.h"

static void hop_free(struct hop *hop)
{
	buffer_free(&hop->trouble);
	free((void *)(uintptr_t)hop->key.ptr);
	free(hop);
}

static bool is_idle(const struct hop *hop)
{
	return hop->under_way == 0 && !hop->first_waiting;
}

/* Troubles are remembered, but strangers can have us write to ever new places that do not answer. Of one
 * that may be tried again nothing is known then, so it gets one message. */
static void forget_troubles(struct relay_runner *runner)
{
	int64_t now_unix_ms = clock_unix_ms();
	for (size_t i = 0; i < RUNNER_BUCKETS; i++) {
		struct hop **at = &runner->hops[i];
		while (*at) {
			struct hop *hop = *at;
			if (!is_idle(hop) || hop_is_down(&hop->pace, now_unix_ms)) {
				at = &hop->next;
				continue;
			}
			*at = hop->next;
			runner->hop_count--;
			hop_free(hop);
		}
	}
	runner->hops_left = runner->hop_count;
}

struct hop *hop_get(struct relay_runner *runner, struct slice destination)
{
	struct route route;
	arena_reset(&runner->arena);
	route_find(runner->back->config, destination, &runner->arena, &route);
	/* Not again before as many have come. */
	if (runner->hop_count >= RUNNER_HOPS_MAX && runner->hop_count >= 2 * runner->hops_left)
		forget_troubles(runner);
	struct hop **at = &runner->hops[runner_bucket_of(route.key)];
	while (*at && !slice_eq((*at)->key, route.key))
		at = &(*at)->next;
	if (!*at) {
		*at = heap_alloc(sizeof(**at));
		(*at)->key = slice_of(heap_copy(route.key.ptr, route.key.len), route.key.len);
		(*at)->last_waiting = &(*at)->first_waiting;
		runner->hop_count++;
		if (latest_has(runner->answering, route.key))
			hop_note_answer(&(*at)->pace);
	}
	return *at;
}

void hop_forget(struct relay_runner *runner, struct hop *hop)
{
	if (!is_idle(hop) || hop->pace.failures > 0)
		return;
	if (hop_is_proven(&hop->pace))
		latest_add(runner->answering, hop->key);
	struct hop **at = &runner->hops[runner_bucket_of(hop->key)];
	while (*at != hop)
		at = &(*at)->next;
	*at = hop->next;
	runner->hop_count--;
	hop_free(hop);
}

bool hop_is_full(const struct hop *hop, int64_t now_unix_ms)
{
	return hop->under_way >= hop_limit(&hop->pace) && !hop_is_down(&hop->pace, now_unix_ms);
}

void hop_wait(struct relay_runner *runner, struct destination *destination, struct hop *hop)
{
	due_remove(runner, destination);
	destination->is_waiting = true;
	destination->waits_for = NULL;
	*hop->last_waiting = destination;
	hop->last_waiting = &destination->waits_for;
}

void hop_release_waiting(struct relay_runner *runner, struct hop *hop)
{
	int64_t now_unix_ms = clock_unix_ms();
	bool is_down = hop_is_down(&hop->pace, now_unix_ms);
	unsigned room =
		hop_limit(&hop->pace) > hop->under_way ? hop_limit(&hop->pace) - hop->under_way : 0;
	while (hop->first_waiting && (is_down || room > 0)) {
		struct destination *waiting = hop->first_waiting;
		hop->first_waiting = waiting->waits_for;
		waiting->waits_for = NULL;
		waiting->is_waiting = false;
		if (!hop->first_waiting)
			hop->last_waiting = &hop->first_waiting;
		if (waiting->due_unix_ms <= now_unix_ms && room > 0)
			room--;
		if (waiting->due_unix_ms != INT64_MAX)
			due_put(runner, waiting);
		if (hop_is_proven(&hop->pace))
			runner_make_brisk(runner, waiting, hop);
		destination_forget(runner, waiting);
	}
}

void hop_answered(struct relay_runner *runner, struct hop *hop)
{
	hop_note_answer(&hop->pace);
	hop_release_waiting(runner, hop);
}

void hop_leave(struct transfer *transfer)
{
	struct hop *hop = transfer->hop;
	if (!hop)
		return;
	transfer->hop = NULL;
	hop->under_way--;
	hop_release_waiting(transfer->runner, hop);
	hop_forget(transfer->runner, hop);
}

void hops_free(struct relay_runner *runner)
{
	struct hop *next;
	for (size_t i = 0; i < RUNNER_BUCKETS; i++)
		for (struct hop *hop = runner->hops[i]; hop; hop = next) {
			next = hop->next;
			hop_free(hop);
		}
}
