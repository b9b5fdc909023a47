/* runtime/pool.c - the worker pool: libuv's, which all loops of a process share. */
#include "runtime/pool.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#include "base/attributes.h"
#include "base/heap.h"
#include "runtime/loop_priv.h"

struct ticket {
	uv_work_t uv;
	struct work *work;
};

static unsigned threads = 4; /* libuv's own number */
static atomic_uint unfinished;

void pool_set_threads(unsigned count)
{
	char text[16];
	threads = count ? count : 1;
	snprintf(text, sizeof(text), "%u", threads);
	setenv("UV_THREADPOOL_SIZE", text, 1); /* read at the first submission */
}

static void on_run(uv_work_t *uv)
{
	struct work *work = CONTAINER_OF(uv, struct ticket, uv)->work;
	work->run(work);
	atomic_fetch_sub(&unfinished, 1);
}

static void on_done(uv_work_t *uv, int status)
{
	struct ticket *ticket = CONTAINER_OF(uv, struct ticket, uv);
	struct work *work = ticket->work;
	free(ticket);
	work->priv = NULL;
	work->done(work);
}

void pool_submit(struct loop *loop, struct work *work)
{
	struct ticket *ticket = heap_alloc(sizeof(*ticket));
	ticket->work = work;
	work->priv = ticket;
	atomic_fetch_add(&unfinished, 1);
	int failed = uv_queue_work(&loop->uv, &ticket->uv, on_run, on_done);
	assert(!failed);
}

bool pool_is_busy(void)
{
	return atomic_load(&unfinished) >= threads;
}
