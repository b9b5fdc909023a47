/* serve/supervisor.c - starts the server, keeps it running, stops it.
 * Runs in the supervisor.
 *
 * It holds the listening sockets and reads the configuration and the certificate; its
 * children are handed what they need of that. The back starts first: a front without it could
 * only send clients away. The channels between the two are made here, a new set each time
 * one of them starts. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/heap.h"
#include "base/log.h"
#include "runtime/descriptor.h"
#include "runtime/sandbox.h"
#include "serve/control_priv.h"
#include "serve/offspring_priv.h"
#include "serve/programs_priv.h"
#include "serve/serve.h"
#include "serve/settings_priv.h"
#include "serve/sockets_priv.h"

enum { BACK, FRONT, CHILDREN };

struct supervisor {
	struct loop *loop;
	struct descriptor *signals;
	struct offspring children[CHILDREN];
	char *config_path; /* absolute */
	char *state_dir;   /* as at the start: no reload moves it */
	struct settings settings;
	struct buffer trust_anchor; /* as at the start */
	struct sandbox_user users[CHILDREN];
	struct listening_sockets sockets;
	int control_fd;
	int lock_fd;
	struct timer *patience;
	struct programs *programs;
	bool kill_violators;
	bool served; /* both children have been ready once */
	bool stopping;
	int exit_status;
};

/* There is one, and what a child or a signal brings finds it here. */
static struct supervisor supervisor;

/* ---- children ---- */

/* A new set of channels between the two, a pair for each pair of loops. */
static void connect_children(struct supervisor *s)
{
	for (unsigned loop = 0; loop < s->settings.config->loops; loop++) {
		struct buffer payload = { NULL };
		int ends[2];
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
			log_error(NULL, EVENT("link-failed"), ERRNO(errno));
			return;
		}
		link_order_encode(loop, &payload);
		for (int i = 0; i < CHILDREN; i++) {
			offspring_order(&s->children[i], ORDER_LINK, buffer_slice(&payload),
					ends[i]);
			close(ends[i]);
		}
		buffer_free(&payload);
	}
}

static void send_texts(struct supervisor *s, struct offspring *child)
{
	offspring_send_text(child, TEXT_CONFIG_NAME, slice_cstr(s->config_path));
	offspring_send_text(child, TEXT_CONFIG, buffer_slice(&s->settings.config_text));
	offspring_send_text(child, TEXT_STATE_DIR, slice_cstr(s->state_dir));
	if (child == &s->children[FRONT]) {
		offspring_send_text(child, TEXT_CERTIFICATE,
				    buffer_slice(&s->settings.certificate_pem));
		offspring_send_text(child, TEXT_KEY, buffer_slice(&s->settings.key_pem));
		offspring_send_text(child, TEXT_TRUST_ANCHOR, buffer_slice(&s->trust_anchor));
		offspring_send_text(child, TEXT_SMARTHOST_PASSWORD,
				    buffer_slice(&s->settings.smarthost_password));
	}
}

static void spawn(void *user)
{
	struct offspring *child = user;
	struct supervisor *s = &supervisor;
	struct buffer payload = { NULL };
	if (s->stopping)
		return;
	if (!offspring_spawn(child)) {
		timer_start(child->rebirth, offspring_bury(child));
		return;
	}
	send_texts(s, child);
	if (child == &s->children[BACK] && s->control_fd >= 0)
		offspring_order(child, ORDER_CONTROL, SLICE_NONE, s->control_fd);
	for (size_t i = 0; i < s->sockets.count && child == &s->children[FRONT]; i++) {
		if (s->sockets.sockets[i].service == SERVICE_SENDMAIL)
			continue; /* not for who talks to strangers */
		buffer_clear(&payload);
		listener_order_encode(s->sockets.sockets[i].loop, s->sockets.sockets[i].service,
				      &payload);
		offspring_order(child, ORDER_LISTENER, buffer_slice(&payload),
				s->sockets.sockets[i].fd);
	}
	/* Before the start, so that its first client finds the way open. */
	if (s->children[BACK].channel && s->children[FRONT].channel)
		connect_children(s);
	const struct start_order order = {
		.user = s->users[child - s->children],
		.loops = s->settings.config->loops,
		.kill_violators = s->kill_violators,
	};
	buffer_clear(&payload);
	start_order_encode(&order, &payload);
	offspring_order(child, ORDER_START, buffer_slice(&payload), -1);
	buffer_free(&payload);
}

static void on_ready(struct supervisor *s, struct offspring *child)
{
	log_info(NULL, EVENT("child-ready"), WORD("role", child->name));
	if (s->served || s->stopping)
		return;
	if (child == &s->children[BACK]) {
		spawn(&s->children[FRONT]);
	} else {
		s->served = true;
		log_info(NULL, EVENT("serving"), CSTR("hostname", s->settings.config->hostname),
			 NUM("loops", s->settings.config->loops));
	}
}

static void on_report(struct offspring *child, enum order_type report)
{
	struct supervisor *s = &supervisor;
	if (report == REPORT_READY) {
		on_ready(s, child);
	} else if (report == REPORT_BAD_FRONT && child == &s->children[BACK] &&
		   s->children[FRONT].pid != 0) {
		log_error(NULL, EVENT("front-distrusted"), NUM("pid", s->children[FRONT].pid));
		kill(s->children[FRONT].pid, SIGKILL);
	}
}

/* ---- stopping ---- */

static bool all_dead(const struct supervisor *s)
{
	return s->children[BACK].pid == 0 && s->children[FRONT].pid == 0;
}

static void kill_all(void *user)
{
	struct supervisor *s = user;
	for (int i = 0; i < CHILDREN; i++)
		if (s->children[i].pid != 0) {
			log_error(NULL, EVENT("child-killed"), WORD("role", s->children[i].name));
			kill(s->children[i].pid, SIGKILL);
		}
}

static void stop(struct supervisor *s, int exit_status)
{
	if (s->stopping) { /* asked twice: somebody is in a hurry */
		kill_all(s);
		return;
	}
	s->stopping = true;
	s->exit_status = exit_status;
	log_info(NULL, EVENT("stopping"));
	for (int i = 0; i < CHILDREN; i++) {
		timer_stop(s->children[i].rebirth);
		offspring_order(&s->children[i], ORDER_STOP, SLICE_NONE, -1);
	}
	programs_free(&s->programs);
	timer_start(s->patience, STOP_ALL_MS);
	if (all_dead(s))
		loop_stop(s->loop);
}

static void bury(struct supervisor *s, struct offspring *child, int status)
{
	bool was_ready = child->ready;
	uint64_t delay_ms = offspring_bury(child);
	if (s->stopping) {
		if (all_dead(s))
			loop_stop(s->loop);
		return;
	}
	log_error(NULL, EVENT("child-died"), WORD("role", child->name),
		  NUM("status", WIFEXITED(status) ? WEXITSTATUS(status) : 0),
		  NUM("signal", WIFSIGNALED(status) ? WTERMSIG(status) : 0));
	/* At the first start it has told the operator what is wrong: he is looking. Later,
	 * what it cannot do now it may do in a minute. */
	if (!was_ready && !s->served) {
		stop(s, 1);
		return;
	}
	timer_start(child->rebirth, delay_ms);
}

/* ---- reload ---- */

static void log_lines(const char *event_why, char *text)
{
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		log_error(NULL, EVENT("reload-refused"), WORD("of", event_why), CSTR("why", line));
}

/* All or nothing: with any error the server goes on with what it has. */
static void reload(struct supervisor *s)
{
	struct settings settings = { .config = NULL };
	char *complaints = NULL;
	size_t complaints_len = 0;
	FILE *errors = open_memstream(&complaints, &complaints_len);
	bool good = settings_load_config(s->config_path, &settings, errors) &&
		    settings_load_secrets(&settings, errors);
	fclose(errors);
	if (!good) {
		log_lines(settings.config ? "file" : "configuration", complaints);
		settings_free(&settings);
		free(complaints);
		return;
	}
	free(complaints);
	if (settings_need_restart(s->settings.config, settings.config))
		log_warning(NULL, EVENT("restart-needed"),
			    CSTR("for", "listen, dns, loops, smarthost_ca, authorities, "
					"state_dir, user_front or user_back"));
	/* A child that is born again must fit the sockets and channels of the start. */
	settings.config->loops = s->settings.config->loops;
	settings_free(&s->settings);
	s->settings = settings;
	log_set_level(settings.config->log_level);
	for (int i = 0; i < CHILDREN; i++) {
		send_texts(s, &s->children[i]);
		offspring_order(&s->children[i], ORDER_RELOAD, SLICE_NONE, -1);
	}
	log_info(NULL, EVENT("reloaded"));
}

/* ---- signals ---- */

static void on_signals(void *user)
{
	struct supervisor *s = user;
	struct signalfd_siginfo info;
	while (read(descriptor_fd(s->signals), &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		switch (info.ssi_signo) {
		case SIGTERM:
		case SIGINT: stop(s, 0); break;
		case SIGHUP:
			if (!s->stopping)
				reload(s);
			break;
		case SIGCHLD: break; /* several deaths may come as one signal */
		}
	}
	for (int i = 0; i < CHILDREN; i++) {
		int status;
		if (s->children[i].pid != 0 &&
		    waitpid(s->children[i].pid, &status, WNOHANG) == s->children[i].pid)
			bury(s, &s->children[i], status);
	}
}

static int open_signals(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

/* ---- start ---- */

static bool find_users(struct supervisor *s)
{
	const char *const names[CHILDREN] = {
		[BACK] = s->settings.config->user_back,
		[FRONT] = s->settings.config->user_front,
	};
	for (int i = 0; i < CHILDREN; i++) {
		if (sandbox_find_user(names[i], &s->users[i]) != ERR_OK) {
			fprintf(stderr,
				"bode: there is no user \"%s\" (user_%s): create it, or change "
				"the configuration\n",
				names[i], s->children[i].name);
			return false;
		}
		if (names[i] && geteuid() != 0) {
			log_warning(NULL, EVENT("user-not-changed"),
				    WORD("role", s->children[i].name), WORD("why", "not-root"));
			s->users[i] = (struct sandbox_user){ 0, 0 };
		}
	}
	if (geteuid() == 0 && (s->users[BACK].uid == 0 || s->users[FRONT].uid == 0))
		log_warning(NULL, EVENT("running-as-root"),
			    CSTR("advice", "set user_front and user_back"));
	return true;
}

/* One server for a state directory: the lock ends with the process, however it ends. */
static bool lock_state_dir(struct supervisor *s)
{
	struct arena arena = { NULL };
	const char *path = arena_format(&arena, "%s/lock", s->settings.config->state_dir);
	const char *why = NULL;
	struct stat st;
	if (stat(s->settings.config->state_dir, &st) != 0 && errno == ENOENT) {
		why = "does not exist; `bode setup` makes it";
	} else {
		s->lock_fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (s->lock_fd < 0)
			why = strerror(errno);
		else if (flock(s->lock_fd, LOCK_EX | LOCK_NB) != 0)
			why = errno == EWOULDBLOCK ? "is in use by another running server"
						   : strerror(errno);
	}
	if (why)
		fprintf(stderr, "bode: the state directory %s cannot be used: %s\n",
			s->settings.config->state_dir, why);
	arena_fini(&arena);
	return !why;
}

/* A signed-in client costs the front two descriptors and the back one. */
static void raise_descriptor_limit(const struct config *config)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_max != RLIM_INFINITY && limit.rlim_max / 2 < config->connections)
		log_warning(NULL, EVENT("few-descriptors"), NUM("limit", limit.rlim_max),
			    NUM("connections", config->connections));
}

static bool prepare(struct supervisor *s, const char *config_path)
{
	s->config_path = realpath(config_path, NULL);
	if (!s->config_path)
		s->config_path = heap_string(slice_cstr(config_path));
	if (!settings_load_config(s->config_path, &s->settings, stderr))
		return false;
	s->state_dir = heap_string(slice_cstr(s->settings.config->state_dir));
	log_set_level(s->settings.config->log_level);
	if (s->settings.config->listen_count == 0) {
		fprintf(stderr,
			"bode: %s names no address to listen on: set at least one key of "
			"[listen], like \"imaps = 0.0.0.0:993\"\n",
			s->config_path);
		return false;
	}
	if (!find_users(s) || !lock_state_dir(s))
		return false;
	if (!settings_load_secrets(&s->settings, stderr) ||
	    !settings_load_trust_anchor(s->settings.config, &s->trust_anchor, stderr))
		return false;
	raise_descriptor_limit(s->settings.config);
	if (!sockets_open(s->settings.config, &s->sockets))
		return false;
	s->control_fd = control_bind(s->settings.config->state_dir, &s->users[BACK]);
	const char *mode = getenv("BODE_SANDBOX");
	s->kill_violators = mode && strcmp(mode, "kill") == 0;
	if (sandbox_supervisor() != ERR_OK)
		return false;
	offspring_check_kernel();
	return true;
}

static void clean_up(struct supervisor *s)
{
	if (s->control_fd >= 0) {
		control_unbind(s->state_dir);
		close(s->control_fd);
	}
	sockets_close(&s->sockets);
	if (s->lock_fd >= 0)
		close(s->lock_fd);
	settings_free(&s->settings);
	free(s->config_path);
	free(s->state_dir);
	buffer_free(&s->trust_anchor);
}

int serve_main(const char *config_path)
{
	struct supervisor *s = &supervisor;
	static const char *const names[CHILDREN] = { [BACK] = "back", [FRONT] = "front" };

	s->control_fd = s->lock_fd = -1;
	for (int i = 0; i < CHILDREN; i++)
		s->children[i].name = names[i];
	if (!prepare(s, config_path)) {
		clean_up(s);
		return 1;
	}
	s->loop = loop_new(0);
	s->patience = timer_new(s->loop, kill_all, s);
	s->signals = descriptor_new(s->loop, open_signals(), on_signals, s);
	for (int i = 0; i < CHILDREN; i++) {
		s->children[i].loop = s->loop;
		s->children[i].reported = on_report;
		s->children[i].rebirth = timer_new(s->loop, spawn, &s->children[i]);
	}
	s->programs = programs_new(s->loop, &s->sockets, &s->children[BACK]);
	spawn(&s->children[BACK]);
	loop_run(s->loop);

	for (int i = 0; i < CHILDREN; i++)
		timer_free(&s->children[i].rebirth);
	timer_free(&s->patience);
	programs_free(&s->programs);
	descriptor_free(&s->signals);
	loop_free(s->loop);
	clean_up(s);
	log_info(NULL, EVENT("stopped"));
	return s->exit_status;
}
