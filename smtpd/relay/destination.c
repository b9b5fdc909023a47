/* smtpd/relay/destination.c - the domains that have mail waiting: a small record for each in memory, with
 * the moment when the first of it is due, as the store says. Runs in the back. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/heap.h"
#include "smtpd/relay/runner_priv.h"

struct destination *destination_get(struct relay_runner *runner, struct slice name)
{
	struct destination **at = &runner->destinations[runner_bucket_of(name)];
	while (*at && !slice_eq((*at)->name, name))
		at = &(*at)->next;
	if (!*at) {
		*at = heap_alloc(sizeof(**at));
		(*at)->name = slice_of(heap_copy(name.ptr, name.len), name.len);
		(*at)->due_unix_ms = INT64_MAX;
	}
	return *at;
}

static void destination_free(struct destination *destination)
{
	free((void *)(uintptr_t)destination->name.ptr);
	free(destination);
}

void destination_forget(struct relay_runner *runner, struct destination *destination)
{
	if (destination->transfer_count > 0 || destination->is_waiting || destination->is_brisk ||
	    destination->place > 0)
		return;
	struct destination **at = &runner->destinations[runner_bucket_of(destination->name)];
	while (*at != destination)
		at = &(*at)->next;
	*at = destination->next;
	destination_free(destination);
}

static bool is_under_way(const struct destination *destination, uint64_t queue_id)
{
	for (const struct transfer *t = destination->transfers; t; t = t->next)
		if (t->entry.queue_id == queue_id)
			return true;
	return false;
}

bool destination_next(struct destination *destination, struct read *read, int64_t now_unix_ms,
		      struct queue_place *place_out)
{
	struct queue_place place = destination->passed;
	bool found = false;
	while (queue_next_due(read, destination->name, &place)) {
		if (is_under_way(destination, place.queue_id)) {
			if (!found)
				destination->passed = place;
			continue;
		}
		if (!found || place.next_unix_ms < place_out->next_unix_ms)
			*place_out = place;
		found = true;
		if (place.next_unix_ms <= now_unix_ms)
			return true;
		queue_place_skip_rank(&place);
	}
	return found;
}

void destination_look_anew(struct relay_runner *runner, struct destination *destination)
{
	destination->passed = (struct queue_place){ 0 };
	destination_refresh(runner, destination);
}

void destination_refresh(struct relay_runner *runner, struct destination *destination)
{
	struct queue_place place;
	struct read *read = read_begin(runner->back->store);
	int64_t now_unix_ms = clock_unix_ms();
	bool found = destination_next(destination, read, now_unix_ms, &place);
	/* A store that fails has "nothing"; what it has is asked again. */
	if (read_failure(read) != ERR_OK) {
		destination->rests_until_unix_ms = now_unix_ms + RUNNER_AGAIN_MS;
		place.next_unix_ms = now_unix_ms;
		found = true;
	}
	read_end(&read);
	destination->due_unix_ms = found ? place.next_unix_ms : INT64_MAX;
	if (destination->due_unix_ms < destination->rests_until_unix_ms)
		destination->due_unix_ms = destination->rests_until_unix_ms;
	if (destination->is_waiting)
		return;
	if (found)
		due_put(runner, destination);
	else
		due_remove(runner, destination);
	destination_forget(runner, destination);
}

void destinations_free(struct relay_runner *runner)
{
	struct destination *next;
	for (size_t i = 0; i < RUNNER_BUCKETS; i++)
		for (struct destination *d = runner->destinations[i]; d; d = next) {
			next = d->next;
			destination_free(d);
		}
}
