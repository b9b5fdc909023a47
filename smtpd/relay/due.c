/* smtpd/relay/due.c - destinations in the order in which their first entries are due: a binary heap.
 * Runs in the back. */
#include "base/heap.h"
#include "smtpd/relay/runner_priv.h"

static void heap_set(struct relay_runner *runner, size_t place, struct destination *destination)
{
	runner->heap[place] = destination;
	destination->place = place;
}

static void heap_up(struct relay_runner *runner, size_t place)
{
	struct destination *moved = runner->heap[place];
	while (place > 1 && runner->heap[place / 2]->due_unix_ms > moved->due_unix_ms) {
		heap_set(runner, place, runner->heap[place / 2]);
		place /= 2;
	}
	heap_set(runner, place, moved);
}

static void heap_down(struct relay_runner *runner, size_t place)
{
	struct destination *moved = runner->heap[place];
	for (;;) {
		size_t child = place * 2;
		if (child > runner->heap_count)
			break;
		if (child < runner->heap_count &&
		    runner->heap[child + 1]->due_unix_ms < runner->heap[child]->due_unix_ms)
			child++;
		if (runner->heap[child]->due_unix_ms >= moved->due_unix_ms)
			break;
		heap_set(runner, place, runner->heap[child]);
		place = child;
	}
	heap_set(runner, place, moved);
}

void due_remove(struct relay_runner *runner, struct destination *destination)
{
	size_t place = destination->place;
	if (place == 0)
		return;
	struct destination *last = runner->heap[runner->heap_count--];
	destination->place = 0;
	if (last == destination)
		return;
	heap_set(runner, place, last);
	heap_up(runner, place);
	heap_down(runner, last->place);
}

void due_put(struct relay_runner *runner, struct destination *destination)
{
	due_remove(runner, destination);
	if (runner->heap_count + 2 > runner->heap_cap) {
		runner->heap_cap = runner->heap_cap ? runner->heap_cap * 2 : 64;
		runner->heap = heap_resize(runner->heap, runner->heap_cap * sizeof(*runner->heap));
	}
	runner->heap_count++;
	heap_set(runner, runner->heap_count, destination);
	heap_up(runner, runner->heap_count);
}
