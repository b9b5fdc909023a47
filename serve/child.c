/* serve/child.c - the life of a child: receiving orders, starting and stopping the loops.
 * Runs in both.
 *
 * The main thread has a loop for the supervisor's orders alone, so it can end the process in
 * time whatever the sessions do. */
#include "serve/child_priv.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/heap.h"
#include "base/log.h"
#include "serve/back_priv.h"
#include "serve/front_priv.h"
#include "serve/serve.h"

enum {
	DRAIN_LOOK_MS = 10,
	LOOPS_MAX = 1024,
	PROGRAMS_WAITING_MAX = 100, /* for the loop to take them: each has a descriptor */
};

struct note {
	struct task task;
	struct child_loop *loop;
	void (*run)(struct child_loop *loop, void *data);
	void *data;
};

static void note_run(struct task *task)
{
	struct note *note = CONTAINER_OF(task, struct note, task);
	note->run(note->loop, note->data);
	free(note);
}

void child_post(struct child_loop *loop, void (*run)(struct child_loop *loop, void *data),
		void *data)
{
	struct note *note = heap_alloc(sizeof(*note));
	*note = (struct note){ { .run = note_run }, loop, run, data };
	loop_post(loop->loop, &note->task);
}

struct report {
	struct task task;
	struct child *child;
	enum order_type type;
};

static void report_run(struct task *task)
{
	struct report *report = CONTAINER_OF(task, struct report, task);
	if (report->child->supervisor)
		channel_send(report->child->supervisor, (uint16_t)report->type, 0, SLICE_NONE, -1);
	free(report);
}

void child_report(struct child_loop *loop, enum order_type type)
{
	struct report *report = heap_alloc(sizeof(*report));
	*report = (struct report){ { .run = report_run }, loop->child, type };
	loop_post(loop->child->control_loop, &report->task);
}

/* ---- loops and their threads ---- */

/* As `ps` and `top` show it; at most 15 octets. */
static void name_thread(const char *format, ...) PRINTF_LIKE(1, 2);
static void name_thread(const char *format, ...)
{
	char name[16];
	va_list args;
	va_start(args, format);
	vsnprintf(name, sizeof(name), format, args);
	va_end(args);
	pthread_setname_np(pthread_self(), name);
}

static void *loop_main(void *argument)
{
	struct child_loop *loop = argument;
	name_thread("%s-%u", loop->child->class->name, loop_index(loop->loop));
	loop_run(loop->loop);
	return NULL;
}

static void loops_make(struct child *child)
{
	child->loops = heap_alloc_array(child->order.loops, sizeof(struct child_loop *));
	for (unsigned i = 0; i < child->order.loops; i++) {
		child->loops[i] = heap_alloc(child->class->loop_octets);
		child->loops[i]->child = child;
		child->loops[i]->loop = loop_new(i);
	}
}

static bool loops_start(struct child *child)
{
	for (unsigned i = 0; i < child->order.loops; i++) {
		int failed =
			pthread_create(&child->loops[i]->thread, NULL, loop_main, child->loops[i]);
		if (failed) {
			log_error(NULL, EVENT("thread-failed"), ERRNO(failed));
			return false;
		}
	}
	return true;
}

/* ---- stopping ---- */

static void on_end(struct task *task)
{
	struct child_loop *loop = CONTAINER_OF(task, struct child_loop, end);
	loop_stop(loop->loop);
}

/* All sessions have left, or have had their time. */
static void end(struct child *child)
{
	if (!child->started)
		_exit(0);
	for (unsigned i = 0; i < child->order.loops; i++) {
		child->loops[i]->end.run = on_end;
		loop_post(child->loops[i]->loop, &child->loops[i]->end);
	}
	for (unsigned i = 0; i < child->order.loops; i++)
		pthread_join(child->loops[i]->thread, NULL);
	if (child->class->finish)
		child->class->finish(child);
	log_info(NULL, EVENT("stopped"));
	_exit(0); /* nothing is left to flush, and exit() knows nothing of the sandbox */
}

static void on_drained(struct task *task)
{
	struct child *child = CONTAINER_OF(task, struct child_loop, drained)->child;
	if (++child->drained_count == child->order.loops)
		end(child);
}

static void on_drain_look(void *user)
{
	struct child_loop *loop = user;
	if (!loop->child->class->is_drained(loop)) {
		timer_start(loop->drain, DRAIN_LOOK_MS);
		return;
	}
	loop->drained.run = on_drained;
	loop_post(loop->child->control_loop, &loop->drained);
}

static void on_stop(struct task *task)
{
	struct child_loop *loop = CONTAINER_OF(task, struct child_loop, stop);
	loop->child->class->stop(loop);
	loop->drain = timer_new(loop->loop, on_drain_look, loop);
	timer_start(loop->drain, DRAIN_LOOK_MS);
}

static void on_patience(void *user)
{
	struct child *child = user;
	log_warning(NULL, EVENT("stop-incomplete"),
		    NUM("loops", child->order.loops - child->drained_count));
	end(child);
}

static void stop(struct child *child)
{
	if (!child->started)
		_exit(0);
	if (child->stopping)
		return;
	child->stopping = true;
	child->patience = timer_new(child->control_loop, on_patience, child);
	timer_start(child->patience, STOP_CHILD_MS);
	for (unsigned i = 0; i < child->order.loops; i++) {
		child->loops[i]->stop.run = on_stop;
		loop_post(child->loops[i]->loop, &child->loops[i]->stop);
	}
}

/* ---- orders ---- */

static bool take_text(struct child *child, struct slice payload)
{
	if (payload.len < 1 || payload.ptr[0] >= TEXT_COUNT)
		return false;
	buffer_add(&child->texts[payload.ptr[0]], slice_sub(payload, 1, payload.len));
	return true;
}

static void texts_wipe(struct child *child)
{
	for (size_t i = 0; i < TEXT_COUNT; i++)
		buffer_wipe(&child->texts[i]);
}

/* The supervisor has read the same text before and found it good. */
static bool parse_config(struct child *child)
{
	char *name = heap_string(buffer_slice(&child->texts[TEXT_CONFIG_NAME]));
	const struct config *config =
		config_parse(name, buffer_slice(&child->texts[TEXT_CONFIG]), stderr);
	free(name);
	if (!config)
		return false;
	child->config = config;
	log_set_level(config->log_level);
	return true;
}

static bool take_listener(struct child *child, struct slice payload, int fd)
{
	struct child_listener listener = { .fd = fd };
	if (fd < 0 || child->started ||
	    !listener_order_decode(payload, &listener.loop, &listener.service))
		return false;
	child->listeners =
		heap_resize(child->listeners, (child->listener_count + 1) * sizeof(listener));
	child->listeners[child->listener_count++] = listener;
	return true;
}

struct link_note {
	int fd;
};

static void run_link(struct child_loop *loop, void *data)
{
	struct link_note *note = data;
	loop->child->class->link(loop, note->fd);
	free(note);
}

static bool take_link(struct child *child, struct slice payload, int fd)
{
	unsigned loop;
	if (fd < 0 || !link_order_decode(payload, &loop) || loop >= LOOPS_MAX)
		return false;
	if (!child->started) {
		if (loop >= child->link_count) {
			child->links = heap_resize(child->links, (loop + 1) * sizeof(int));
			while (child->link_count <= loop)
				child->links[child->link_count++] = -1;
		}
		if (child->links[loop] >= 0)
			close(child->links[loop]);
		child->links[loop] = fd;
		return true;
	}
	if (loop >= child->order.loops)
		return false;
	struct link_note *note = heap_alloc(sizeof(*note));
	note->fd = fd;
	child_post(child->loops[loop], run_link, note);
	return true;
}

struct program_note {
	int fd;
	uint32_t uid;
	struct buffer user;
};

static void run_program(struct child_loop *loop, void *data)
{
	struct program_note *note = data;
	atomic_fetch_sub(&loop->child->programs_waiting, 1);
	loop->child->class->program(loop, note->fd, note->uid, buffer_slice(&note->user));
	buffer_free(&note->user);
	free(note);
}

/* While the role is being set up, stops, has much to do or no descriptors, nobody is there to take it:
 * the program hears that the line is dead, and tries again. */
static bool take_program(struct child *child, struct slice payload, int fd, bool *taken_out)
{
	struct slice user;
	uint32_t uid;
	if (fd == -1 || !child->class->program || !program_order_decode(payload, &uid, &user))
		return false;
	if (fd == CHANNEL_FD_LOST || !child->started || child->stopping ||
	    atomic_load(&child->programs_waiting) >= PROGRAMS_WAITING_MAX)
		return true;
	atomic_fetch_add(&child->programs_waiting, 1);
	struct program_note *note = heap_alloc(sizeof(*note));
	note->fd = fd;
	note->uid = uid;
	buffer_add(&note->user, user);
	child_post(child->loops[0], run_program, note);
	*taken_out = true;
	return true;
}

static bool start(struct child *child, struct slice payload)
{
	if (child->started || !start_order_decode(payload, &child->order) ||
	    child->order.loops > LOOPS_MAX)
		return false;
	for (size_t i = 0; i < child->listener_count; i++)
		if (child->listeners[i].loop >= child->order.loops)
			return false;
	if (child->order.kill_violators)
		sandbox_kill_violators();
	if (!parse_config(child))
		_exit(EXIT_CANNOT_START);
	loops_make(child);
	if (!child->class->start(child))
		_exit(EXIT_CANNOT_START);
	texts_wipe(child);
	for (unsigned i = 0; i < child->link_count && i < child->order.loops; i++)
		if (child->links[i] >= 0)
			child->class->link(child->loops[i], child->links[i]);
	if (!loops_start(child))
		_exit(EXIT_CANNOT_START);
	child->started = true;
	channel_send(child->supervisor, REPORT_READY, 0, SLICE_NONE, -1);
	return true;
}

static void reload(struct child *child)
{
	if (child->started && parse_config(child))
		child->class->reload(child);
	texts_wipe(child);
}

static void on_order(struct channel *channel, uint16_t type, uint32_t conversation,
		     struct slice payload, int fd)
{
	struct child *child = channel_user(channel);
	bool good = true, taken = false;
	switch (type) {
	case ORDER_TEXT: good = take_text(child, payload); break;
	case ORDER_LISTENER: good = taken = take_listener(child, payload, fd); break;
	case ORDER_LINK: good = taken = take_link(child, payload, fd); break;
	case ORDER_PROGRAM: good = take_program(child, payload, fd, &taken); break;
	case ORDER_CONTROL:
		child->control_fd = fd;
		taken = true;
		break;
	case ORDER_START: good = start(child, payload); break;
	case ORDER_RELOAD: reload(child); break;
	case ORDER_STOP: stop(child); break;
	default: good = false; break;
	}
	if (fd >= 0 && !taken)
		close(fd);
	if (!good) {
		log_error(NULL, EVENT("bad-order"), NUM("type", type));
		_exit(2);
	}
}

/* Without its supervisor a child has no future. */
static void on_supervisor_gone(struct channel *channel)
{
	struct child *child = channel_user(channel);
	channel_free(&child->supervisor);
	log_error(NULL, EVENT("supervisor-gone"));
	stop(child);
}

int serve_child_main(const char *role)
{
	static const struct child_class *const classes[] = { &front_class, &back_class };
	static const struct channel_events events = {
		.message = on_order,
		.closed = on_supervisor_gone,
	};
	static struct child child = { .control_fd = -1 };
	int kind = 0;
	socklen_t kind_octets = sizeof(kind);

	for (size_t i = 0; i < ARRAY_LEN(classes); i++)
		if (strcmp(role, classes[i]->name) == 0)
			child.class = classes[i];
	if (!child.class ||
	    getsockopt(CONTROL_FD, SOL_SOCKET, SO_DOMAIN, &kind, &kind_octets) != 0 ||
	    kind != AF_UNIX) {
		fputs("bode: serve --role is how the server starts its own processes; run `bode "
		      "serve`\n",
		      stderr);
		return 2;
	}
	/* A terminal's Ctrl-C reaches the whole group: the supervisor says what is to be done. */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	log_set_process(role);
	name_thread("bode-%s", role);
	child.control_loop = loop_new(LOOPS_MAX);
	child.supervisor = channel_new(child.control_loop, CONTROL_FD, &events, &child);
	loop_run(child.control_loop);
	_exit(2); /* not reached: the control loop ends with the process */
}
