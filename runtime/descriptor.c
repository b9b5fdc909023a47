/* runtime/descriptor.c - uv_poll, for reading only. */
#include "runtime/descriptor.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/attributes.h"
#include "base/heap.h"
#include "runtime/loop_priv.h"

/* One for each loop that refuses a client, and more for what is open for a moment: sockets of the
 * resolver, descriptors on their way through a channel. */
enum { RESERVED_DESCRIPTORS = 32 };

struct descriptor {
	uv_poll_t uv;
	int fd;
	void (*readable)(void *user);
	void *user;
};

/* What is wrong with it, reading will tell. */
static void on_poll(uv_poll_t *uv, int status, int events)
{
	struct descriptor *descriptor = CONTAINER_OF(uv, struct descriptor, uv);
	descriptor->readable(descriptor->user);
}

struct descriptor *descriptor_new(struct loop *loop, int fd, void (*readable)(void *user),
				  void *user)
{
	struct descriptor *descriptor = heap_alloc(sizeof(*descriptor));
	int failed = uv_poll_init(&loop->uv, &descriptor->uv, fd);
	assert(!failed); /* a file, or taken by this loop already: our mistake */
	descriptor->fd = fd;
	descriptor->readable = readable;
	descriptor->user = user;
	descriptor_resume(descriptor);
	return descriptor;
}

int descriptor_fd(const struct descriptor *descriptor)
{
	return descriptor->fd;
}

void descriptor_pause(struct descriptor *descriptor)
{
	uv_poll_stop(&descriptor->uv);
}

void descriptor_resume(struct descriptor *descriptor)
{
	uv_poll_start(&descriptor->uv, UV_READABLE, on_poll);
}

static void on_closed(uv_handle_t *handle)
{
	free(CONTAINER_OF((uv_poll_t *)handle, struct descriptor, uv));
}

int descriptor_release(struct descriptor **descriptor)
{
	int fd = (*descriptor)->fd;
	/* uv forgets the descriptor here, before it is closed and its number used again. */
	uv_close((uv_handle_t *)&(*descriptor)->uv, on_closed);
	*descriptor = NULL;
	return fd;
}

void descriptor_free(struct descriptor **descriptor)
{
	if (*descriptor)
		close(descriptor_release(descriptor));
}

bool descriptor_is_reserved(int fd)
{
	struct rlimit limit;
	return getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
	       (rlim_t)fd + RESERVED_DESCRIPTORS >= limit.rlim_cur;
}
