/* serve/back.c - the role of the back: the store, and on each loop the channel from a front's
 * loop, whose messages it hands to who knows them. Runs in the back. */
#include "serve/back_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/heap.h"
#include "base/log.h"
#include "base/octets.h"
#include "mail/text.h"
#include "runtime/descriptor.h"
#include "runtime/messages.h"
#include "runtime/pool.h"
#include "runtime/sandbox.h"
#include "runtime/session.h"
#include "serve/control_priv.h"
#include "serve/login_priv.h"
#include "smtpd/relay/relay.h"
#include "smtpd/smtpd.h"
#include "storage/acl.h"
#include "storage/dictionary.h"
#include "storage/expunged.h"
#include "storage/journal.h"
#include "storage/mailbox.h"
#include "storage/scrub.h"

enum { POOL_THREADS_MIN = 2, POOL_THREADS_MAX = 8 };

/* All of the process. */
struct back_role {
	struct store *store;
	struct login *login;
	struct descriptor *control;
	struct scrub *scrub;
	struct relay_runner *runner; /* on the first loop */
	struct child_loop *runner_loop;
};

/* A channel from a front's loop. After a front's death its old channels may end later than
 * the new ones begin. */
struct front_peer {
	struct back_loop *owner;
	struct channel *channel;
	struct smtpd_back *smtpd;
	struct login_desk *desk;
};

struct back_loop {
	struct child_loop child_loop; /* first */
	struct back back;
	struct login *login;
	struct relay_runner *runner; /* NULL on all loops but the first */
	struct program_desk *desk;   /* likewise */
	unsigned peers;		     /* channels that are open */
};

static struct back_loop *back_loop_of(struct child_loop *loop)
{
	return CONTAINER_OF(loop, struct back_loop, child_loop);
}

/* ---- channels ---- */

static void peer_free(struct front_peer *peer)
{
	if (peer->owner->runner)
		relay_runner_remove_channel(peer->owner->runner, peer->channel);
	smtpd_back_free(&peer->smtpd);
	login_desk_free(&peer->desk);
	channel_free(&peer->channel);
	peer->owner->peers--;
	free(peer);
}

static void on_message(struct channel *channel, uint16_t type, uint32_t conversation,
		       struct slice payload, int fd)
{
	struct front_peer *peer = channel_user(channel);
	bool good;
	switch (type) {
	case MESSAGE_AUTHENTICATE:
	case MESSAGE_SESSION:
	case MESSAGE_FORGET_TOKEN:
		good = login_desk_message(peer->desk, type, conversation, payload, fd);
		break;
	case MESSAGE_EVENT:
		good = fd < 0 && journal_tell_strangers(peer->owner->back.store, payload);
		if (fd >= 0)
			close(fd);
		break;
	case MESSAGE_POLICY:
	case MESSAGE_TLS_RESULT:
	case MESSAGE_DELIVERED:
	case MESSAGE_DELIVERY_CREDIT:
	case MESSAGE_FORM_WANTED:
	case MESSAGE_DELIVERY_ANSWERED:
	case MESSAGE_REPORTED:
		good = fd < 0 && peer->owner->runner &&
		       relay_runner_message(peer->owner->runner, channel, type, conversation,
					    payload);
		if (fd >= 0)
			close(fd);
		break;
	default:
		good = fd < 0 && smtpd_back_message(peer->smtpd, type, conversation, payload);
		if (fd >= 0)
			close(fd);
		break;
	}
	if (!good) {
		/* A front that says such things is broken, or somebody else's by now. */
		log_error(NULL, EVENT("bad-message"), NUM("type", type),
			  NUM("size_octets", payload.len));
		child_report(&peer->owner->child_loop, REPORT_BAD_FRONT);
		peer_free(peer);
	}
}

/* One that broke the rules is there still, and will get no other channel. */
static void on_closed(struct channel *channel)
{
	struct front_peer *peer = channel_user(channel);
	if (channel_is_foul(channel))
		child_report(&peer->owner->child_loop, REPORT_BAD_FRONT);
	peer_free(peer);
}

static void back_link(struct child_loop *child_loop, int fd)
{
	static const struct channel_events events = {
		.message = on_message,
		.closed = on_closed,
	};
	struct back_loop *loop = back_loop_of(child_loop);
	struct front_peer *peer = heap_alloc(sizeof(*peer));
	peer->owner = loop;
	peer->channel = channel_new(child_loop->loop, fd, &events, peer);
	channel_throttle(peer->channel);
	peer->smtpd = smtpd_back_new(&loop->back, peer->channel, login_tokens(loop->login));
	peer->desk = login_desk_new(loop->login, &loop->back, peer->channel);
	loop->peers++;
	if (loop->runner) { /* one loop has it; all loops of the front share what they know */
		relay_runner_add_channel(loop->runner, peer->channel);
		smtpd_tell_known(&loop->back, peer->channel);
	}
}

static void back_program(struct child_loop *child_loop, int fd, uint32_t uid, struct slice user)
{
	program_desk_take(back_loop_of(child_loop)->desk, fd, uid, user);
}

/* ---- the control socket ---- */

static void run_look(struct child_loop *child_loop, void *data)
{
	relay_runner_look(back_loop_of(child_loop)->runner);
}

static void on_control(void *user)
{
	struct back_role *role = user;
	uint8_t octets[CONTROL_OCTETS + 1]; /* one more, to see what is too long */
	ssize_t len;
	while ((len = recv(descriptor_fd(role->control), octets, sizeof(octets), MSG_DONTWAIT)) >=
	       0) {
		if (len != CONTROL_OCTETS)
			continue;
		uint32_t account_id = get_be32(octets + 1);
		switch (octets[0]) {
		case CONTROL_ACCOUNT: watch_notify_account(role->store, account_id); break;
		case CONTROL_RIGHTS: acl_notify_account(role->store, account_id); break;
		case CONTROL_QUEUE: child_post(role->runner_loop, run_look, NULL); break;
		}
	}
}

/* ---- start, reload, stop ---- */

/* The sandbox is shut around it, so it has to be there. */
static bool has_store(const char *state_dir, const char *files_dir)
{
	if (access(files_dir, F_OK) == 0)
		return true;
	fprintf(stderr,
		"bode: there is no store in %s yet: make it with `bode setup`, or with "
		"`bode domain add`\n",
		state_dir);
	return false;
}

static bool open_store(struct back_role *role, const char *state_dir)
{
	const char *why = NULL;
	if (store_open(state_dir, STORE_SERVE, &role->store, &why) == ERR_OK)
		return true;
	fprintf(stderr, "bode: %s\n", why ? why : "the store cannot be opened");
	return false;
}

static unsigned pool_threads(unsigned loops)
{
	if (loops < POOL_THREADS_MIN)
		return POOL_THREADS_MIN;
	return loops < POOL_THREADS_MAX ? loops : POOL_THREADS_MAX;
}

static void set_undelete(struct back_role *role, const struct config *config)
{
	enum { DAY_SECONDS = 24 * 3600 };
	store_set_undelete_seconds(role->store, config->undelete_days * DAY_SECONDS);
}

static bool back_start_role(struct child *child)
{
	struct back_role *role = heap_alloc(sizeof(*role));
	struct arena arena = { NULL };
	child->role = role;
	const char *state_dir = arena_string(&arena, buffer_slice(&child->texts[TEXT_STATE_DIR]));
	text_prepare_sandbox();
	/* Only the store, not what else is in the state directory: the key is there, too. */
	const char *files_dir = arena_format(&arena, "%s/store", state_dir);
	bool good = has_store(state_dir, files_dir) &&
		    sandbox_back(&child->order.user, files_dir) == ERR_OK &&
		    open_store(role, state_dir);
	arena_fini(&arena);
	if (!good)
		return false;

	/* From here on there are threads. */
	role->login = login_new(child->config);
	set_undelete(role, child->config);
	store_set_journal(role->store, child->config->journal_days,
			  child->config->journal_size_octets);
	store_start_dictionaries(role->store);
	store_start_writer(role->store);
	pool_set_threads(pool_threads(child->order.loops));
	role->scrub = scrub_new(role->store, child->control_loop);
	scrub_set_days(role->scrub, child->config->scrub_days);
	for (unsigned i = 0; i < child->order.loops; i++) {
		struct back_loop *loop = back_loop_of(child->loops[i]);
		loop->login = role->login;
		loop->back = (struct back){
			.loop = child->loops[i]->loop,
			.store = role->store,
			.config = child->config,
		};
	}
	role->runner_loop = child->loops[0];
	role->runner = relay_runner_new(&back_loop_of(role->runner_loop)->back);
	back_loop_of(role->runner_loop)->runner = role->runner;
	back_loop_of(role->runner_loop)->desk =
		program_desk_new(&back_loop_of(role->runner_loop)->back);
	if (child->control_fd >= 0)
		role->control =
			descriptor_new(child->control_loop, child->control_fd, on_control, role);
	return true;
}

static void run_renewal(struct child_loop *child_loop, void *data)
{
	back_loop_of(child_loop)->back.config = data;
}

static void back_reload(struct child *child)
{
	struct back_role *role = child->role;
	login_set_config(role->login, child->config);
	set_undelete(role, child->config);
	store_set_journal(role->store, child->config->journal_days,
			  child->config->journal_size_octets);
	scrub_set_days(role->scrub, child->config->scrub_days);
	for (unsigned i = 0; i < child->order.loops; i++)
		child_post(child->loops[i], run_renewal, (void *)(uintptr_t)child->config);
}

static void back_stop(struct child_loop *child_loop)
{
	if (back_loop_of(child_loop)->runner)
		relay_runner_stop(back_loop_of(child_loop)->runner);
	if (back_loop_of(child_loop)->desk)
		program_desk_stop(back_loop_of(child_loop)->desk);
	session_shutdown_all(child_loop->loop);
}

/* The front's sessions have transactions under way until its channels end. */
static bool back_is_drained(struct child_loop *child_loop)
{
	const struct back_loop *loop = back_loop_of(child_loop);
	return session_count(child_loop->loop) == 0 && loop->peers == 0 &&
	       (!loop->runner || relay_runner_is_idle(loop->runner)) &&
	       (!loop->desk || program_desk_is_empty(loop->desk));
}

/* What was submitted is committed before the store closes. */
static void back_finish(struct child *child)
{
	struct back_role *role = child->role;
	descriptor_free(&role->control);
	scrub_free(&role->scrub);
	relay_runner_free(&role->runner);
	program_desk_free(&back_loop_of(role->runner_loop)->desk);
	store_close(&role->store);
}

const struct child_class back_class = {
	.name = "back",
	.loop_octets = sizeof(struct back_loop),
	.start = back_start_role,
	.link = back_link,
	.program = back_program,
	.reload = back_reload,
	.stop = back_stop,
	.is_drained = back_is_drained,
	.finish = back_finish,
};
