/* runtime/dial.c - looking a host up and connecting to it, in turn to each of its addresses. For
 * the admin's process only: the server's have neither the time nor the right. */
#include "runtime/dial.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* errno, 0 when connected. */
static int try_connect(int fd, const struct addrinfo *address, unsigned timeout_ms)
{
	int error = 0;
	socklen_t len = sizeof(error);
	struct pollfd wait = { .fd = fd, .events = POLLOUT };
	if (connect(fd, address->ai_addr, address->ai_addrlen) == 0)
		return 0;
	if (errno != EINPROGRESS)
		return errno;
	int ready = poll(&wait, 1, (int)timeout_ms);
	if (ready == 0)
		return ETIMEDOUT;
	if (ready < 0 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
		return errno;
	return error;
}

int dial_tcp(const char *host, uint16_t port, unsigned timeout_ms, const char **why_out)
{
	static _Thread_local char why[256];
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG };
	struct addrinfo *found = NULL;
	char service[8];
	int fd = -1, error = 0;
	snprintf(service, sizeof(service), "%u", port);
	*why_out = why;
	int code = getaddrinfo(host, service, &hints, &found);
	if (code != 0) {
		snprintf(why, sizeof(why), "%s", gai_strerror(code));
		return -1;
	}
	for (const struct addrinfo *at = found; at && fd < 0; at = at->ai_next) {
		fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		error = fd < 0 ? errno : try_connect(fd, at, timeout_ms);
		if (error != 0 && fd >= 0) {
			close(fd);
			fd = -1;
		}
	}
	freeaddrinfo(found);
	if (fd < 0)
		snprintf(why, sizeof(why), "%s", strerror(error));
	return fd;
}
