/* serve/sockets.c - binding, with an answer for the operator where it fails.
 * Runs in the supervisor.
 *
 * A local socket's file stays when its server is killed, and goes when the next one comes, unless
 * somebody listens behind it. */
#include "serve/sockets_priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/heap.h"

enum { BACKLOG = 1024 }; /* the kernel lowers it to net.core.somaxconn */

struct address {
	struct sockaddr_storage storage;
	socklen_t octets;
};

static struct address address_of(const struct config_listen *listen)
{
	struct address address = { .octets = 0 };
	struct sockaddr_in *v4 = (struct sockaddr_in *)&address.storage;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&address.storage;
	if (inet_pton(AF_INET, listen->address, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(listen->port);
		address.octets = sizeof(*v4);
	} else if (inet_pton(AF_INET6, listen->address, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(listen->port);
		address.octets = sizeof(*v6);
	}
	return address;
}

static struct sockaddr_un local_address(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	return address;
}

/* Is the path free? -1 with errno. What a killed server has left is removed; what is no socket is
 * somebody's file. */
static int probe_local(const char *path)
{
	const struct sockaddr_un address = local_address(path);
	struct stat st;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || lstat(path, &st) != 0)
		return fd; /* nothing is there; what else is wrong the binding finds */
	bool is_free = false;
	if (!S_ISSOCK(st.st_mode))
		errno = EEXIST;
	else if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 ||
		 errno != ECONNREFUSED)
		errno = EADDRINUSE;
	else
		is_free = unlink(path) == 0;
	if (is_free)
		return fd;
	int why = errno;
	close(fd);
	errno = why;
	return -1;
}

/* -1 with errno. Whoever reaches it may use it, as he may port 25: its folder says who does. */
static int bind_local(const char *path)
{
	const struct sockaddr_un address = local_address(path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	mode_t mask = umask(0111);
	int failed = bind(fd, (const struct sockaddr *)&address, sizeof(address));
	umask(mask);
	if (failed == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	int why = errno;
	close(fd);
	errno = why;
	return -1;
}

/* -1 with errno. */
static int bind_one(const struct config_listen *where, bool shared)
{
	const struct address address = address_of(where);
	const int on = 1;
	if (where->port == 0)
		return shared ? bind_local(where->address) : probe_local(where->address);
	int fd = socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	/* [::] and 0.0.0.0 side by side, whatever the system's default. */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
	    (shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) != 0) ||
	    (address.storage.ss_family == AF_INET6 &&
	     setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) != 0) ||
	    bind(fd, (const struct sockaddr *)&address.storage, address.octets) != 0 ||
	    (shared && listen(fd, BACKLOG) != 0)) {
		int why = errno;
		close(fd);
		errno = why;
		return -1;
	}
	return fd;
}

static void explain(const struct config_listen *listen, int why)
{
	if (listen->port == 0) {
		fprintf(stderr, "bode: cannot listen on %s for [listen] %s: %s\n", listen->address,
			config_service_name(listen->service),
			why == EADDRINUSE ? "another program listens there; stop it, or choose "
					    "another path"
			: why == EEXIST	  ? "something that is no socket is there; remove it, or "
					    "choose another path"
			: why == ENOENT	  ? "its folder does not exist; create it"
					  : strerror(why));
		return;
	}
	const char *bracket = strchr(listen->address, ':') ? "[" : "";
	const char *advice;
	switch (why) {
	case EADDRINUSE:
		advice = "another program listens there; stop it, or choose another port (`ss "
			 "-ltnp` shows who it is)";
		break;
	case EACCES:
		advice = "ports below 1024 need root; start as root and set user_front and "
			 "user_back, or choose higher ports";
		break;
	case EADDRNOTAVAIL:
		advice = "this machine does not have that address; `ip address` shows which it has";
		break;
	case EAFNOSUPPORT: advice = "this machine has no IPv6; remove that address"; break;
	default: advice = strerror(why); break;
	}
	fprintf(stderr, "bode: cannot listen on %s%s%s:%u for [listen] %s: %s\n", bracket,
		listen->address, *bracket ? "]" : "", listen->port,
		config_service_name(listen->service), advice);
}

/* A path is bound once: all loops accept from the one queue, whose socket was bound last. */
static int share_local(const struct listening_sockets *sockets)
{
	return fcntl(sockets->sockets[sockets->count - 1].fd, F_DUPFD_CLOEXEC, 0);
}

bool sockets_open(const struct config *config, struct listening_sockets *sockets_out)
{
	*sockets_out = (struct listening_sockets){
		heap_alloc_array(config->listen_count * config->loops,
				 sizeof(struct listening_socket)),
		0,
	};
	for (size_t i = 0; i < config->listen_count; i++) {
		/* Sockets of one user may share a port with one another: a second server would
		 * get half of the clients. One socket that does not share finds out first. */
		int probe = bind_one(&config->listens[i], false);
		bool good = probe >= 0;
		if (good)
			close(probe);
		for (unsigned loop = 0; loop < config->loops && good; loop++) {
			int fd = loop > 0 && config->listens[i].port == 0
					 ? share_local(sockets_out)
					 : bind_one(&config->listens[i], true);
			good = fd >= 0;
			if (good)
				sockets_out->sockets[sockets_out->count++] =
					(struct listening_socket){ config->listens[i].service, loop,
								   fd };
			if (good && loop == 0 && config->listens[i].port == 0)
				sockets_out->sockets[sockets_out->count - 1].path =
					heap_string(slice_cstr(config->listens[i].address));
		}
		if (!good) {
			explain(&config->listens[i], errno);
			sockets_close(sockets_out);
			return false;
		}
	}
	return true;
}

void sockets_close(struct listening_sockets *sockets)
{
	for (size_t i = 0; i < sockets->count; i++) {
		close(sockets->sockets[i].fd);
		if (sockets->sockets[i].path)
			unlink(sockets->sockets[i].path);
		free(sockets->sockets[i].path);
	}
	free(sockets->sockets);
	*sockets = (struct listening_sockets){ NULL, 0 };
}
