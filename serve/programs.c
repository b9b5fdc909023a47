/* serve/programs.c - lets programs of this machine in, asks the kernel who they run as, and gives them
 * to the back with that. Runs in the supervisor.
 *
 * It reads not one octet of what they say: it alone may look up a user's name, and what it knows of a
 * program is the kernel's word (SO_PEERCRED, unix(7)). */
#include "serve/programs_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/heap.h"
#include "base/log.h"
#include "runtime/descriptor.h"

enum { ACCEPTS_A_TURN = 16 };

struct gate {
	struct programs *programs;
	struct descriptor *descriptor;
};

struct programs {
	struct offspring *back;
	struct gate *gates;
	size_t count;
};

static void hand_over(struct programs *programs, int fd)
{
	struct buffer payload = { 0 };
	struct ucred who = { .uid = 0 };
	socklen_t who_octets = sizeof(who);
	char name[64];

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &who_octets) != 0)
		return;
	const struct passwd *user = getpwuid(who.uid);
	if (user)
		snprintf(name, sizeof(name), "%s", user->pw_name);
	else
		snprintf(name, sizeof(name), "uid%lu", (unsigned long)who.uid);
	program_order_encode(who.uid, slice_cstr(name), &payload);
	offspring_order(programs->back, ORDER_PROGRAM, buffer_slice(&payload), fd);
	buffer_free(&payload);
}

static void on_programs(void *user)
{
	const struct gate *gate = user;

	for (unsigned i = 0; i < ACCEPTS_A_TURN; i++) {
		int fd = accept4(descriptor_fd(gate->descriptor), NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			return;
		hand_over(gate->programs, fd);
		close(fd); /* the order has a copy, or the back is away */
	}
}

struct programs *programs_new(struct loop *loop, const struct listening_sockets *sockets,
			      struct offspring *back)
{
	struct programs *programs = heap_alloc(sizeof(*programs));

	programs->back = back;
	programs->gates = heap_alloc_array(sockets->count, sizeof(*programs->gates));
	for (size_t i = 0; i < sockets->count; i++) {
		const struct listening_socket *socket = &sockets->sockets[i];
		if (socket->service != SERVICE_SENDMAIL || !socket->path)
			continue;
		int fd = fcntl(socket->fd, F_DUPFD_CLOEXEC, 0);
		if (fd < 0) {
			log_error(NULL, EVENT("programs-shut-out"), ERRNO(errno));
			continue;
		}
		struct gate *gate = &programs->gates[programs->count++];
		gate->programs = programs;
		gate->descriptor = descriptor_new(loop, fd, on_programs, gate);
	}
	return programs;
}

void programs_free(struct programs **programs)
{
	struct programs *p = *programs;

	*programs = NULL;
	if (!p)
		return;
	for (size_t i = 0; i < p->count; i++)
		descriptor_free(&p->gates[i].descriptor);
	free(p->gates);
	free(p);
}
