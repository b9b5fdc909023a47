/* runtime/deadline.c - a heap of moments behind one uv timer.
 *
 * A stream that makes progress does not touch the heap: it notes when, and when its deadline
 * passes it looks whether it is really due, and if not sets it anew. */
#include "runtime/deadline_priv.h"

#include <assert.h>
#include <stdlib.h>

#include "base/heap.h"

static void place(struct loop *loop, struct deadline *deadline, uint32_t at)
{
	loop->deadlines[at] = deadline;
	deadline->place = at;
}

static void sift_up(struct loop *loop, struct deadline *deadline)
{
	uint32_t at = deadline->place;
	while (at > 1 && loop->deadlines[at / 2]->at_ms > deadline->at_ms) {
		place(loop, loop->deadlines[at / 2], at);
		at /= 2;
	}
	place(loop, deadline, at);
}

static void sift_down(struct loop *loop, struct deadline *deadline)
{
	uint32_t at = deadline->place;
	for (uint32_t child = at * 2; child <= loop->deadline_count; child = at * 2) {
		if (child < loop->deadline_count &&
		    loop->deadlines[child + 1]->at_ms < loop->deadlines[child]->at_ms)
			child++;
		if (loop->deadlines[child]->at_ms >= deadline->at_ms)
			break;
		place(loop, loop->deadlines[child], at);
		at = child;
	}
	place(loop, deadline, at);
}

static void on_alarm(uv_timer_t *alarm);

/* The uv timer may go off early (its deadline was moved or cleared), never late. */
static void alarm_set(struct loop *loop)
{
	if (loop->deadline_count == 0) {
		uv_timer_stop(&loop->alarm);
		return;
	}
	uint64_t at_ms = loop->deadlines[1]->at_ms;
	uint64_t now_ms = loop_now_ms(loop);
	uint64_t delay_ms = at_ms > now_ms ? at_ms - now_ms : 0;
	uv_timer_start(&loop->alarm, on_alarm, delay_ms, 0);
}

static void remove_at(struct loop *loop, uint32_t at)
{
	struct deadline *last = loop->deadlines[loop->deadline_count--];
	loop->deadlines[at]->place = 0;
	if (at > loop->deadline_count)
		return;
	place(loop, last, at);
	sift_up(loop, last);
	sift_down(loop, last);
}

static void on_alarm(uv_timer_t *alarm)
{
	struct loop *loop = alarm->data;
	/* Those set by the callees wait for the next alarm, or one of 0 ms would go on for ever. */
	uint64_t now_ms = loop_now_ms(loop);
	for (uint32_t most = loop->deadline_count; most > 0; most--) {
		if (loop->deadline_count == 0 || loop->deadlines[1]->at_ms > now_ms)
			break;
		struct deadline *deadline = loop->deadlines[1];
		remove_at(loop, 1);
		deadline->passed(deadline);
	}
	alarm_set(loop);
}

void deadline_set(struct loop *loop, struct deadline *deadline, uint64_t at_ms)
{
	if (deadline->place == 0) {
		if (loop->deadline_count + 1 >= loop->deadline_cap) {
			loop->deadline_cap = loop->deadline_cap ? loop->deadline_cap * 2 : 16;
			loop->deadlines =
				heap_resize(loop->deadlines, loop->deadline_cap * sizeof(void *));
		}
		place(loop, deadline, ++loop->deadline_count);
	}
	deadline->at_ms = at_ms;
	sift_up(loop, deadline);
	sift_down(loop, deadline);
	if (loop->deadlines[1] == deadline)
		alarm_set(loop);
}

void deadline_clear(struct loop *loop, struct deadline *deadline)
{
	if (deadline->place == 0)
		return;
	assert(loop->deadlines[deadline->place] == deadline);
	remove_at(loop, deadline->place);
	if (loop->deadline_count == 0)
		alarm_set(loop);
}

void deadlines_init(struct loop *loop)
{
	uv_timer_init(&loop->uv, &loop->alarm);
	loop->alarm.data = loop;
}

void deadlines_fini(struct loop *loop)
{
	assert(loop->deadline_count == 0);
	uv_close((uv_handle_t *)&loop->alarm, NULL);
	free(loop->deadlines);
	loop->deadlines = NULL;
}
