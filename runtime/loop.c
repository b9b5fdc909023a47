/* runtime/loop.c - one event loop on libuv: tasks from other threads, tasks for a later turn,
 * timers, and a heap of deadlines for what exists in thousands. */
#include "runtime/loop.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/attributes.h"
#include "base/heap.h"
#include "runtime/deadline_priv.h"
#include "runtime/loop_priv.h"
#include "runtime/stream_priv.h"

struct timer {
	uv_timer_t uv;
	void (*fired)(void *user);
	void *user;
};

/* ---- tasks ---- */

static void tasks_add(struct tasks *tasks, struct task *task)
{
	if (!tasks->first)
		tasks->end = &tasks->first;
	task->next = NULL;
	*tasks->end = task;
	tasks->end = &task->next;
}

/* A task may free itself, or be added again, as soon as it runs. */
static void tasks_run(struct tasks *tasks)
{
	struct task *task = tasks->first;
	tasks->first = NULL;
	while (task) {
		struct task *next = task->next;
		task->run(task);
		task = next;
	}
}

/* By an eventfd of our own: a loop that is woken by uv_async_send() on the sender's processor, in whose place
 * it then runs, spins for a good 20 us until it lets that finish. */
void loop_post(struct loop *loop, struct task *task)
{
	const uint64_t one = 1;
	pthread_mutex_lock(&loop->lock);
	bool first = !loop->posted.first;
	tasks_add(&loop->posted, task);
	pthread_mutex_unlock(&loop->lock);
	if (first && write(loop->wake_fd, &one, sizeof(one)) < 0)
		assert(errno == EAGAIN); /* it is awake anyway */
}

static void on_wake(uv_poll_t *wake, int status, int events)
{
	struct loop *loop = wake->data;
	uint64_t count;
	if (read(loop->wake_fd, &count, sizeof(count)) < 0)
		assert(errno == EAGAIN);
	pthread_mutex_lock(&loop->lock);
	struct tasks tasks = { .first = loop->posted.first };
	loop->posted.first = NULL;
	pthread_mutex_unlock(&loop->lock);
	tasks_run(&tasks);
}

static void on_busy(uv_idle_t *busy)
{
	/* That it is active is all it does: the loop then polls without waiting. */
}

void loop_later(struct loop *loop, struct task *task)
{
	tasks_add(&loop->later, task);
}

void loop_flush_later(struct loop *loop, struct task *task)
{
	tasks_add(&loop->flushes, task);
}

/* Right before the loop waits. */
static void on_prepare(uv_prepare_t *prepare)
{
	struct loop *loop = prepare->data;
	tasks_run(&loop->later);
	tasks_run(&loop->flushes);
	if (loop->later.first || loop->flushes.first)
		uv_idle_start(&loop->busy, on_busy);
	else
		uv_idle_stop(&loop->busy);
}

/* ---- the loop ---- */

struct loop *loop_new(unsigned index)
{
	struct loop *loop = heap_alloc(sizeof(*loop));
	loop->index = index;
	pthread_mutex_init(&loop->lock, NULL);
	/* A peer that has left is an outcome of write(), not a signal. */
	signal(SIGPIPE, SIG_IGN);
	int failed = uv_loop_init(&loop->uv);
	loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	failed |= uv_poll_init(&loop->uv, &loop->wake, loop->wake_fd);
	failed |= uv_poll_start(&loop->wake, UV_READABLE, on_wake);
	failed |= uv_prepare_init(&loop->uv, &loop->prepare);
	failed |= uv_idle_init(&loop->uv, &loop->busy);
	failed |= uv_timer_init(&loop->uv, &loop->patience);
	assert(!failed); /* only descriptors and memory can be lacking, at the start */
	loop->wake.data = loop;
	loop->prepare.data = loop;
	uv_prepare_start(&loop->prepare, on_prepare);
	uv_unref((uv_handle_t *)&loop->prepare);
	deadlines_init(loop);
	return loop;
}

void loop_run(struct loop *loop)
{
	uv_run(&loop->uv, UV_RUN_DEFAULT);
}

/* On a busy machine the time may be over before uv polls; it must not wait for the next timer
 * then. */
static void on_waited(uv_timer_t *timer)
{
	uv_stop(timer->loop);
}

void loop_run_once(struct loop *loop, unsigned wait_ms)
{
	/* What was put off is ready. */
	if (wait_ms == 0 || loop->later.first || loop->flushes.first) {
		uv_run(&loop->uv, UV_RUN_NOWAIT);
		return;
	}
	uv_update_time(&loop->uv);
	uv_timer_start(&loop->patience, on_waited, wait_ms, 0);
	uv_run(&loop->uv, UV_RUN_ONCE);
	uv_timer_stop(&loop->patience);
}

void loop_stop(struct loop *loop)
{
	uv_stop(&loop->uv);
}

void loop_free(struct loop *loop)
{
	if (!loop)
		return;
	stream_abort_closing(loop);
	while (loop->later.first || loop->flushes.first) {
		tasks_run(&loop->later); /* some free what was closed */
		tasks_run(&loop->flushes);
	}
	deadlines_fini(loop);
	uv_close((uv_handle_t *)&loop->wake, NULL);
	uv_close((uv_handle_t *)&loop->prepare, NULL);
	uv_close((uv_handle_t *)&loop->busy, NULL);
	uv_close((uv_handle_t *)&loop->patience, NULL);
	uv_run(&loop->uv, UV_RUN_DEFAULT);
	int left_open = uv_loop_close(&loop->uv);
	assert(left_open == 0);
	close(loop->wake_fd);
	stream_tls_loop_fini(loop);
	free(loop->plain);
	pthread_mutex_destroy(&loop->lock);
	free(loop);
}

unsigned loop_index(const struct loop *loop)
{
	return loop->index;
}

uint64_t loop_now_ms(const struct loop *loop)
{
	return uv_now(&loop->uv);
}

uint8_t *loop_plain(struct loop *loop)
{
	if (!loop->plain)
		loop->plain = heap_alloc(LOOP_PLAIN_OCTETS);
	return loop->plain;
}

/* ---- timers ---- */

static void on_timer(uv_timer_t *uv)
{
	struct timer *timer = CONTAINER_OF(uv, struct timer, uv);
	timer->fired(timer->user);
}

struct timer *timer_new(struct loop *loop, void (*fired)(void *user), void *user)
{
	struct timer *timer = heap_alloc(sizeof(*timer));
	uv_timer_init(&loop->uv, &timer->uv);
	timer->fired = fired;
	timer->user = user;
	return timer;
}

void timer_start(struct timer *timer, uint64_t delay_ms)
{
	uv_timer_start(&timer->uv, on_timer, delay_ms, 0);
}

void timer_stop(struct timer *timer)
{
	uv_timer_stop(&timer->uv);
}

static void on_timer_closed(uv_handle_t *handle)
{
	free(CONTAINER_OF((uv_timer_t *)handle, struct timer, uv));
}

void timer_free(struct timer **timer)
{
	if (*timer)
		uv_close((uv_handle_t *)&(*timer)->uv, on_timer_closed);
	*timer = NULL;
}
