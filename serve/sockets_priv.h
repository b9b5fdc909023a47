/* serve/sockets_priv.h - the listening sockets, which the supervisor holds as long as it
 * lives, so that no restart of a child refuses a client. For this room alone. */
#pragma once

#include "base/attributes.h"
#include "base/config.h"

/* One for each address and loop: the kernel shares the clients out among them. */
struct listening_socket {
	enum config_service service;
	unsigned loop;
	int fd;
	char *path; /* a local socket's, at its first loop: removed at the end; else NULL */
};
struct listening_sockets {
	struct listening_socket *sockets;
	size_t count;
};
/* False: one line on standard error says which address cannot be had, and why; nothing stays
 * open. */
bool sockets_open(const struct config *config, struct listening_sockets *sockets_out) MUST_USE;
void sockets_close(struct listening_sockets *sockets);
