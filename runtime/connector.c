/* runtime/connector.c - a TCP connection begun, and waited for by the loop. */
#include "runtime/connector.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/attributes.h"
#include "base/heap.h"
#include "runtime/descriptor.h"
#include "runtime/loop_priv.h"

struct connector {
	uv_poll_t poll;
	struct loop *loop;
	struct timer *timer;
	struct task failed; /* carries an error of the first moment */
	int fd;
	int error;
	bool has_poll, failed_queued, cancelled;
	void (*connected)(void *user, int fd, int error);
	void *user;
};

static void on_closed(uv_handle_t *handle)
{
	free(CONTAINER_OF((uv_poll_t *)handle, struct connector, poll));
}

static void destroy(struct connector *connector)
{
	timer_free(&connector->timer);
	if (connector->has_poll)
		uv_close((uv_handle_t *)&connector->poll, on_closed);
	if (connector->fd >= 0)
		close(connector->fd);
	if (!connector->has_poll)
		free(connector);
}

static void finish(struct connector *connector, int error)
{
	void (*connected)(void *user, int fd, int error) = connector->connected;
	void *user = connector->user;
	int fd = error == 0 ? connector->fd : -1;
	if (error == 0)
		connector->fd = -1;
	destroy(connector);
	connected(user, fd, error);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct connector *connector = CONTAINER_OF(poll, struct connector, poll);
	int error = 0;
	socklen_t len = sizeof(error);
	if (getsockopt(connector->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
		error = errno;
	finish(connector, error);
}

static void on_timeout(void *user)
{
	finish(user, ETIMEDOUT);
}

static void on_failed(struct task *task)
{
	struct connector *connector = CONTAINER_OF(task, struct connector, failed);
	if (connector->cancelled)
		destroy(connector);
	else
		finish(connector, connector->error);
}

/* A socket that is connected, or will be. An errno; *fd_out may be one all the same. */
static int connect_to(const struct peer *to, int kind, int *fd_out)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(to->port) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(to->port) };
	memcpy(&v4.sin_addr, to->address, sizeof(v4.sin_addr));
	memcpy(&v6.sin6_addr, to->address, sizeof(v6.sin6_addr));
	int fd = *fd_out = socket(to->family == 4 ? AF_INET : AF_INET6,
				  kind | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return errno;
	if (descriptor_is_reserved(fd))
		return EMFILE;
	int failed = to->family == 4 ? connect(fd, (struct sockaddr *)&v4, sizeof(v4))
				     : connect(fd, (struct sockaddr *)&v6, sizeof(v6));
	return failed && errno != EINPROGRESS ? errno : 0;
}

static int begin(struct connector *connector, const struct peer *to)
{
	int one = 1;
	int error = connect_to(to, SOCK_STREAM, &connector->fd);
	if (error == 0)
		setsockopt(connector->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return error;
}

bool connector_own_address(const struct peer *to, struct peer *own_out)
{
	struct sockaddr_storage own;
	socklen_t len = sizeof(own);
	int fd;
	bool found = connect_to(to, SOCK_DGRAM, &fd) == 0 &&
		     getsockname(fd, (struct sockaddr *)&own, &len) == 0;
	if (fd >= 0)
		close(fd);
	if (found)
		peer_from_sockaddr((const struct sockaddr *)&own, own_out);
	return found;
}

struct connector *connector_new(struct loop *loop, const struct peer *to, uint64_t timeout_ms,
				void (*connected)(void *user, int fd, int error), void *user)
{
	struct connector *connector = heap_alloc(sizeof(*connector));
	connector->loop = loop;
	connector->connected = connected;
	connector->user = user;
	connector->fd = -1;
	connector->error = begin(connector, to);
	if (connector->error == 0 &&
	    uv_poll_init(&loop->uv, &connector->poll, connector->fd) == 0) {
		connector->has_poll = true;
		uv_poll_start(&connector->poll, UV_WRITABLE, on_poll);
		connector->timer = timer_new(loop, on_timeout, connector);
		timer_start(connector->timer, timeout_ms);
		return connector;
	}
	if (connector->error == 0)
		connector->error = EMFILE;
	connector->failed.run = on_failed;
	connector->failed_queued = true;
	loop_later(loop, &connector->failed);
	return connector;
}

void connector_cancel(struct connector **connector_at)
{
	struct connector *connector = *connector_at;
	*connector_at = NULL;
	if (!connector)
		return;
	if (connector->failed_queued)
		connector->cancelled = true;
	else
		destroy(connector);
}
