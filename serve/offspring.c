/* serve/offspring.c - giving birth to a child, speaking to it, burying it.
 * Runs in the supervisor. */
#include "serve/offspring_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/heap.h"
#include "base/log.h"

enum { DELAY_FIRST_MS = 100, DELAY_MAX_MS = 30 * 1000, OLD_AGE_MS = 60 * 1000 };

/* Between fork() and exec(): only what a signal handler may do, too. */
static NORETURN void be_born(const char *name, int control_fd)
{
	/* argv is not const for historical reasons alone. */
	char *const arguments[] = { (char *)(uintptr_t) "bode", (char *)(uintptr_t) "serve",
				    (char *)(uintptr_t) "--role", (char *)(uintptr_t)name, NULL };
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (control_fd == CONTROL_FD)
		fcntl(control_fd, F_SETFD, 0);
	else
		dup2(control_fd, CONTROL_FD);
	/* A thread that looks up a name (serve/user_names) may have made a socket that does not close by
	 * itself yet; and who has started us may have left something open. */
	(void)syscall(SYS_close_range, CONTROL_FD + 1, UINT_MAX, 0);
	execv("/proc/self/exe", arguments);
	_exit(127);
}

void offspring_check_kernel(void)
{
	/* There is no such descriptor. */
	if (syscall(SYS_close_range, UINT_MAX, UINT_MAX, 0) != 0)
		log_warning(NULL, EVENT("sandbox-layer-missing"), WORD("layer", "close_range"),
			    ERRNO(errno));
}

static void on_report(struct channel *channel, uint16_t type, uint32_t conversation,
		      struct slice payload, int fd)
{
	struct offspring *offspring = channel_user(channel);
	if (fd >= 0)
		close(fd); /* nothing that a child owns is of use here */
	if (type == REPORT_READY)
		offspring->ready = true;
	offspring->reported(offspring, (enum order_type)type);
}

/* Its death is told by SIGCHLD. */
static void on_closed(struct channel *channel)
{
	struct offspring *offspring = channel_user(channel);
	channel_free(&offspring->channel);
}

bool offspring_spawn(struct offspring *offspring)
{
	static const struct channel_events events = { .message = on_report, .closed = on_closed };
	int ends[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
		log_error(NULL, EVENT("spawn-failed"), WORD("role", offspring->name), ERRNO(errno));
		return false;
	}
	pid_t pid = fork();
	if (pid == 0)
		be_born(offspring->name, ends[1]);
	int why = errno;
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		log_error(NULL, EVENT("spawn-failed"), WORD("role", offspring->name), ERRNO(why));
		return false;
	}
	offspring->pid = pid;
	offspring->ready = false;
	offspring->born_ms = loop_now_ms(offspring->loop);
	offspring->channel = channel_new(offspring->loop, ends[0], &events, offspring);
	log_info(NULL, EVENT("child-started"), WORD("role", offspring->name), NUM("pid", pid));
	return true;
}

void offspring_order(struct offspring *offspring, enum order_type type, struct slice payload,
		     int fd)
{
	if (!offspring->channel)
		return;
	int copy = -1;
	if (fd >= 0 && (copy = fcntl(fd, F_DUPFD_CLOEXEC, CONTROL_FD)) < 0) {
		log_error(NULL, EVENT("order-failed"), WORD("role", offspring->name),
			  NUM("type", type), ERRNO(errno));
		return;
	}
	channel_send(offspring->channel, (uint16_t)type, 0, payload, copy);
}

void offspring_send_text(struct offspring *offspring, enum order_text which, struct slice text)
{
	struct buffer payload = { NULL };
	for (size_t at = 0; at < text.len; at += TEXT_PIECE_OCTETS) {
		buffer_clear(&payload);
		buffer_add_byte(&payload, (uint8_t)which);
		buffer_add(&payload, slice_sub(text, at, TEXT_PIECE_OCTETS));
		offspring_order(offspring, ORDER_TEXT, buffer_slice(&payload), -1);
	}
	buffer_wipe(&payload);
}

uint64_t offspring_bury(struct offspring *offspring)
{
	uint64_t age_ms = loop_now_ms(offspring->loop) - offspring->born_ms;
	if (offspring->channel)
		channel_free(&offspring->channel);
	offspring->pid = 0;
	offspring->ready = false;
	if (age_ms >= OLD_AGE_MS)
		offspring->delay_ms = 0;
	uint64_t delay_ms = offspring->delay_ms;
	offspring->delay_ms = delay_ms == 0 ? DELAY_FIRST_MS : delay_ms * 2;
	if (offspring->delay_ms > DELAY_MAX_MS)
		offspring->delay_ms = DELAY_MAX_MS;
	return delay_ms;
}
