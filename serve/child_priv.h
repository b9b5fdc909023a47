/* serve/child_priv.h - what front and back have in common: they are handed everything they
 * need by the supervisor, shut their sandbox, run their loops in threads of their own, and
 * stop when they are told to. For this room alone. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "runtime/channel.h"
#include "runtime/loop.h"
#include "serve/orders_priv.h"

struct child;

/* A session loop with its thread; first member of the role's own structure. All but the
 * starting and the joining happens on its thread. */
struct child_loop {
	struct child *child;
	struct loop *loop;
	pthread_t thread;
	struct timer *drain; /* looks whether the last session has left, while stopping */
	struct task stop, drained, end;
};

struct child_class {
	const char *name;   /* "front", "back" */
	size_t loop_octets; /* of the structure that begins with a struct child_loop */
	/* In the main thread, no other one runs: opens what it needs, shuts the sandbox, makes
	 * itself at home on each loop. False: it has said why; the child exits. */
	bool (*start)(struct child *child);
	/* On the loop's thread, or before it runs: one end of a channel between front and back. */
	void (*link)(struct child_loop *loop, int fd);
	/* On the first loop's thread: a program of the machine is behind `fd`, which is its own from
	 * now on. NULL: the role has nothing to do with such. */
	void (*program)(struct child_loop *loop, int fd, uint32_t uid, struct slice user);
	/* In the main thread: child->config is the new one. */
	void (*reload)(struct child *child);
	/* On the loop's thread: goodbye to every session, and no new ones. */
	void (*stop)(struct child_loop *loop);
	/* On the loop's thread: the last one has left. */
	bool (*is_drained)(struct child_loop *loop);
	/* In the main thread, which is the only one again. May be NULL. */
	void (*finish)(struct child *child);
};

struct child_listener {
	unsigned loop;
	enum config_service service;
	int fd;
};

struct child {
	const struct child_class *class;
	void *role;		   /* the class's own */
	struct loop *control_loop; /* of the main thread */
	struct channel *supervisor;
	const struct config *config; /* the present one; older ones are kept, since a session
				      * may be reading them, and are few */
	struct start_order order;
	struct child_loop **loops; /* order.loops of them */

	/* What the supervisor hands over. */
	struct buffer texts[TEXT_COUNT];
	struct child_listener *listeners;
	size_t listener_count;
	int *links; /* by loop, before the start; -1: none */
	unsigned link_count;
	int control_fd;
	atomic_uint programs_waiting; /* on their way to the first loop */

	struct timer *patience; /* ends a stop that takes too long */
	unsigned drained_count;
	bool started, stopping;
};

/* Runs `run` on the loop's thread, in the order of posting. */
void child_post(struct child_loop *loop, void (*run)(struct child_loop *loop, void *data),
		void *data);
/* Tells the supervisor. From the loop's thread. */
void child_report(struct child_loop *loop, enum order_type report);
