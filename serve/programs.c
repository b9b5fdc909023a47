/* serve/programs.c - lets programs of this machine in, asks the kernel who they run as, and gives them
 * to the back with that. Runs in the supervisor.
 *
 * It reads not one octet of what they say: it alone may look up a user's name, and what it knows of a
 * program is the kernel's word (SO_PEERCRED, unix(7)). Those whose names are being looked up wait here, so
 * that they hold up none whose name is known, however long that takes; those for whom there is no place are
 * turned away. Only where there are no descriptors all wait in the kernel's queue. */
#include "serve/programs_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/heap.h"
#include "base/log.h"
#include "runtime/descriptor.h"
#include "serve/user_names_priv.h"

enum {
	ACCEPTS_A_TURN = 16,
	PAUSE_MS = 1000,
	NAMELESS_MAX = 96,	  /* half for one user, as in the back (smtpd/program) */
	TELL_MS = 60 * 1000,	  /* of who was turned away */
	NOBODYS_UID = UINT32_MAX, /* which no user has: of all who have no name together */
};

struct gate {
	struct programs *programs;
	struct descriptor *descriptor;
};

/* Whose user's name is being looked up, or will be. */
struct nameless {
	int fd;
	uint32_t uid;
};

struct programs {
	struct offspring *back;
	struct user_names *names;
	struct timer *pause;
	bool is_paused;
	struct nameless nameless[NAMELESS_MAX]; /* in the order in which they came */
	size_t nameless_count;
	uint64_t told_ms; /* when the log last heard of one who was turned away */
	unsigned untold;
	struct gate *gates;
	size_t count;
};

static void pause_gates(struct programs *programs)
{
	programs->is_paused = true;
	for (size_t i = 0; i < programs->count; i++)
		descriptor_pause(programs->gates[i].descriptor);
}

static void resume_gates(struct programs *programs)
{
	programs->is_paused = false;
	for (size_t i = 0; i < programs->count; i++)
		descriptor_resume(programs->gates[i].descriptor);
}

static void on_pause_over(void *user)
{
	resume_gates(user);
}

/* False: the name is not known yet. */
static bool hand_over(struct programs *programs, int fd, uint32_t uid)
{
	struct buffer payload = { 0 };
	bool is_nobodys;
	const char *name = user_names_get(programs->names, uid, &is_nobodys);

	if (!name)
		return false;
	program_order_encode(is_nobodys ? NOBODYS_UID : uid, slice_cstr(name), &payload);
	offspring_order(programs->back, ORDER_PROGRAM, buffer_slice(&payload), fd);
	buffer_free(&payload);
	close(fd); /* the order has a copy, or the back is away */
	return true;
}

/* As many for one user as there are free ones for others. */
static bool has_place(const struct programs *programs, uint32_t uid)
{
	size_t his = 0;

	for (size_t i = 0; i < programs->nameless_count; i++)
		his += programs->nameless[i].uid == uid;
	return programs->nameless_count + his < NAMELESS_MAX;
}

/* Who knocks in vain must not fill the log. */
static void turn_away(struct programs *programs, int fd, uint32_t uid)
{
	uint64_t now_ms = clock_monotonic_ms();

	close(fd);
	if (programs->told_ms != 0 && now_ms - programs->told_ms < TELL_MS) {
		programs->untold++;
		return;
	}
	programs->told_ms = now_ms;
	log_warning(NULL, EVENT("program-refused"), NUM("uid", uid),
		    NUM("nameless", programs->nameless_count), NUM("more", programs->untold));
	programs->untold = 0;
}

static void take(struct programs *programs, int fd)
{
	struct ucred who = { .uid = 0 };
	socklen_t who_octets = sizeof(who);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &who_octets) != 0) {
		close(fd);
	} else if (!hand_over(programs, fd, who.uid)) {
		if (has_place(programs, who.uid))
			programs->nameless[programs->nameless_count++] =
				(struct nameless){ fd, who.uid };
		else
			turn_away(programs, fd, who.uid);
	}
}

static void on_name(void *user)
{
	struct programs *programs = user;
	size_t left = 0;

	for (size_t i = 0; i < programs->nameless_count; i++) {
		const struct nameless nameless = programs->nameless[i];
		if (!hand_over(programs, nameless.fd, nameless.uid))
			programs->nameless[left++] = nameless;
	}
	programs->nameless_count = left;
}

static void on_programs(void *user)
{
	const struct gate *gate = user;
	struct programs *programs = gate->programs;

	for (unsigned i = 0; i < ACCEPTS_A_TURN && !programs->is_paused; i++) {
		int fd = accept4(descriptor_fd(gate->descriptor), NULL, NULL, SOCK_CLOEXEC);
		if (fd >= 0) {
			take(programs, fd);
		} else if (errno == EAGAIN) {
			return;
		} else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
			   errno == ENOMEM) {
			/* He stays in the queue, and the loop would be woken for him without end. */
			log_error(NULL, EVENT("accept-failed"), WORD("service", "sendmail"),
				  ERRNO(errno));
			pause_gates(programs);
			timer_start(programs->pause, PAUSE_MS);
		}
	}
}

struct programs *programs_new(struct loop *loop, const struct listening_sockets *sockets,
			      struct offspring *back)
{
	struct programs *programs = heap_alloc(sizeof(*programs));

	programs->back = back;
	programs->names = user_names_new(loop, on_name, programs);
	programs->pause = timer_new(loop, on_pause_over, programs);
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
	for (size_t i = 0; i < p->nameless_count; i++)
		close(p->nameless[i].fd);
	user_names_free(&p->names);
	timer_free(&p->pause);
	free(p->gates);
	free(p);
}
