/* runtime/loop.h - one event loop, one thread; timers; messages from other threads.
 *
 * A connection lives and dies on one loop, so session code takes no locks. Everything
 * here but loop_post() is called on the loop's own thread. */
#pragma once

#include "base/slice.h"

struct loop;
struct timer;

/* `index` numbers the loops of one process from 0. Not running yet: loop_run() does that on
 * the calling thread until loop_stop(), also while it has nothing to do. loop_free() wants
 * streams, channels and timers closed (one that still waits for its peer's goodbye is cut
 * off) and every job home. */
struct loop *loop_new(unsigned index);
void loop_run(struct loop *loop);
/* Handles what is ready, waiting at most `wait_ms` for the first event. For tests. */
void loop_run_once(struct loop *loop, unsigned wait_ms);
void loop_stop(struct loop *loop);
void loop_free(struct loop *loop);
unsigned loop_index(const struct loop *loop);
/* Milliseconds, monotonic, as of the start of this turn: cheap. */
uint64_t loop_now_ms(const struct loop *loop);

/* A note from any thread to a loop. The memory is the poster's and stays untouched until
 * run() is called on the loop's thread, once, in the order of posting. */
struct task {
	struct task *next;
	void (*run)(struct task *task);
};
void loop_post(struct loop *loop, struct task *task);

struct timer *timer_new(struct loop *loop, void (*fired)(void *user), void *user);
/* Fires once after `delay_ms`; a timer already running starts anew. */
void timer_start(struct timer *timer, uint64_t delay_ms);
void timer_stop(struct timer *timer);
/* Accepts NULL, leaves NULL. */
void timer_free(struct timer **timer);
