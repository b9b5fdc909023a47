/* tests/transcripts/world.c - sets a server up in one thread and takes it down again. */
#include "tests/transcripts/world.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "auth/password.h"
#include "base/heap.h"
#include "imapd/imapd.h"
#include "mda/sender.h"
#include "pop3d/pop3d.h"
#include "runtime/certificate.h"
#include "runtime/relay.h"
#include "runtime/session.h"
#include "runtime/way_back.h"
#include "smtpd/smtpd.h"
#include "storage/journal.h"

enum { DEADLINE_MS = 10000 };

/* The clock that no test sets. */
static int64_t real_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t world_deadline_ms(void)
{
	return real_ms() + DEADLINE_MS;
}

bool world_is_past(int64_t deadline_ms)
{
	return real_ms() > deadline_ms;
}

void world_identity_make(struct world_identity *identity)
{
	*identity = (struct world_identity){ 0 };
	if (certificate_self_sign(WORLD_HOSTNAME, &identity->certificate_pem, &identity->key_pem) !=
	    ERR_OK)
		abort();
}

static void make_pair(int fds_out[2])
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds_out) != 0) {
		perror("socketpair");
		abort();
	}
}

/* The back's answer to a sign-in. The comparison is plain: Argon2id has tests of its own. */
static void answer_authenticate(struct world *world, struct channel *channel, uint32_t conversation,
				const struct authenticate_message *m)
{
	struct authenticated_message answer = { .outcome = ERR_DENIED };
	struct buffer payload = { 0 };
	const struct world_account *account = world_find_account(world, m->login);
	bool may = m->authorize_as.len == 0 || slice_eq_nocase(m->authorize_as, m->login);
	if (account && may && slice_eq(slice_cstr(account->password), m->password)) {
		struct token_owner owner = { .account_id = account->account_id,
					     .protocol = m->protocol };
		snprintf(owner.login, sizeof(owner.login), "%s", account->login);
		token_issue(world->tokens, &owner, &answer.token);
		struct read *read = read_begin(world->store);
		answer.hides_client = sender_hides_client(read, account->account_id);
		read_end(&read);
		answer.outcome = ERR_OK;
	}
	authenticated_encode(&answer, &payload);
	channel_send(channel, MESSAGE_AUTHENTICATED, conversation, buffer_slice(&payload), -1);
	buffer_free(&payload);
}

static bool start_session(struct world *world, uint32_t conversation, struct slice payload, int fd)
{
	struct session_message m;
	struct token_owner owner;
	if (fd < 0 || !session_message_decode(payload, &m))
		return false;
	if (!token_find(world->tokens, &m.token, &owner) || owner.protocol != m.protocol)
		return false;
	token_forget(world->tokens, &m.token);
	if (m.protocol == PROTOCOL_IMAP)
		imapd_session_start(&world->back, fd, &m, owner.account_id, world->way_back,
				    conversation);
	else
		pop3d_session_start(&world->back, fd, &m, owner.account_id);
	return true;
}

static void back_hears(struct channel *channel, uint16_t type, uint32_t conversation,
		       struct slice payload, int fd)
{
	struct world *world = channel_user(channel);
	struct authenticate_message authenticate;
	struct token token;
	bool good = true;
	switch (type) {
	case MESSAGE_AUTHENTICATE:
		good = authenticate_decode(payload, &authenticate);
		if (good)
			answer_authenticate(world, channel, conversation, &authenticate);
		break;
	case MESSAGE_SESSION: good = start_session(world, conversation, payload, fd); break;
	case MESSAGE_EVENT: good = journal_tell_strangers(world->back.store, payload); break;
	case MESSAGE_FORGET_TOKEN:
		good = forget_token_decode(payload, &token);
		if (good)
			token_forget(world->tokens, &token);
		break;
	default: good = smtpd_back_message(world->smtpd, type, conversation, payload); break;
	}
	if (!good) {
		printf("# the front sent a message (type %u) that breaks the rules\n", type);
		abort();
	}
}

static void back_lost(struct channel *channel)
{
	printf("# the front gave up the channel\n");
	abort();
}

static const struct channel_events back_events = { .message = back_hears, .closed = back_lost };

void world_back_leaves(struct world *world)
{
	if (!world->channel)
		return;
	smtpd_back_free(&world->smtpd);
	way_back_cut(world->way_back);
	way_back_release(&world->way_back);
	channel_free(&world->channel);
	/* The front has heard of it when this returns. */
	while (link_is_up(world->front.link))
		world_turn(world, 5);
}

/* INI text of the settings, each under its section: a key given twice would be an error, so a
 * setting replaces the default of the same name. */
static struct config *make_config(const char *dir, const struct slice *settings,
				  size_t setting_count)
{
	struct buffer text = { 0 };
	static const char *const sections[] = { "server", "auth", "addresses", "limits", "smtp" };
	for (size_t s = 0; s < ARRAY_LEN(sections); s++) {
		struct slice section = slice_cstr(sections[s]);
		bool hostname = false;
		buffer_add_format(&text, "[%s]\n", sections[s]);
		for (size_t i = 0; i < setting_count; i++) {
			struct cursor c = cursor_of(settings[i]);
			struct slice name;
			if (!take_word_nocase(&c, section) || !take_byte(&c, '.') ||
			    !take_until_byte(&c, ' ', &name))
				continue;
			hostname |= slice_eq(name, SLICE("hostname"));
			buffer_add_format(&text, "%.*s = %.*s\n", SLICE_ARG(name),
					  SLICE_ARG(slice_trim(cursor_rest(&c))));
		}
		if (s == 0) {
			buffer_add_format(&text, "state_dir = %s\n", dir);
			if (!hostname)
				buffer_add_cstr(&text, "hostname = " WORLD_HOSTNAME "\n");
		}
	}
	struct config *config = config_parse("transcript", buffer_slice(&text), stdout);
	buffer_free(&text);
	return config;
}

static bool open_store(struct world *world)
{
	const char *why = NULL;
	struct store *made = NULL;
	enum err err = store_open(world->dir, STORE_CREATE, &made, &why);
	if (err == ERR_OK) {
		store_close(&made);
		err = store_open(world->dir, STORE_SERVE, &world->store, &why);
	}
	if (err != ERR_OK)
		printf("# the store cannot be opened: %s\n", why ? why : err_word(err));
	return err == ERR_OK;
}

bool world_start(struct world *world, const struct world_identity *identity, const char *dir,
		 enum config_service service, const struct slice *settings, size_t setting_count)
{
	const char *why;
	int pair[2];
	*world = (struct world){ .identity = identity };
	world->dir = heap_string(slice_cstr(dir));
	world->config = make_config(dir, settings, setting_count);
	if (!world->config || !open_store(world))
		return false;
	store_start_writer(world->store);
	world->loop = loop_new(0);
	world->back = (struct back){ world->loop, world->store, world->config };
	world->tokens = token_table_new(64);
	world->front = (struct front){ .loop = world->loop, .config = world->config };
	world->front.tls = tls_server_context(buffer_slice(&identity->certificate_pem),
					      buffer_slice(&identity->key_pem), &why);
	if (!world->front.tls)
		abort();
	make_pair(pair);
	world->front.link = link_new(world->loop);
	link_connect(world->front.link, pair[0]);
	world->channel = channel_new(world->loop, pair[1], &back_events, world);
	world->way_back = way_back_new(world->channel);
	world->smtpd = smtpd_back_new(&world->back, world->channel, world->tokens);
	for (unsigned i = 0; i <= TRANSCRIPT_CONNECTIONS_MAX; i++) {
		struct connection *connection = &world->connections[i];
		connection->wire.fd = -1;
		connection->service = service;
		/* Documentation addresses (RFC 5737): strangers, not of this machine. */
		connection->peer = (struct peer){ .address = { 192, 0, 2, (uint8_t)i },
						  .family = 4,
						  .port = (uint16_t)(40000 + i) };
	}
	return true;
}

bool world_turn(struct world *world, unsigned wait_ms)
{
	bool something = false;
	loop_run_once(world->loop, wait_ms);
	for (unsigned i = 1; i <= TRANSCRIPT_CONNECTIONS_MAX; i++)
		something |= wire_read(&world->connections[i].wire);
	return something;
}

struct settling {
	struct job job;
	bool is_over;
};

static enum err settle_run(struct write *write, struct job *job)
{
	return ERR_OK;
}

static void settle_done(struct job *job)
{
	CONTAINER_OF(job, struct settling, job)->is_over = true;
}

/* Until all jobs that were handed to the writer have come home. */
static void settle(struct world *world)
{
	struct settling settling = {
		.job = { .run = settle_run, .done = settle_done, .loop = world->loop },
	};
	store_submit(world->store, &settling.job);
	while (!settling.is_over)
		loop_run_once(world->loop, 5);
}

bool world_stop(struct world *world)
{
	bool clean = true;
	int64_t deadline_ms = world_deadline_ms();
	for (unsigned i = 1; i <= TRANSCRIPT_CONNECTIONS_MAX; i++)
		wire_close(&world->connections[i].wire);
	while (session_count(world->loop) > 0 || relay_count(world->loop) > 0) {
		if (world_is_past(deadline_ms)) {
			printf("# %u sessions and %u relays outlive their clients\n",
			       session_count(world->loop), relay_count(world->loop));
			clean = false;
			break;
		}
		world_turn(world, 5);
	}
	if (!clean)
		return false;
	world_back_leaves(world);
	link_free(&world->front.link);
	tls_context_release(&world->front.tls);
	/* What was closed says so in a later turn. */
	for (unsigned i = 0; i < 3; i++)
		loop_run_once(world->loop, 0);
	/* Chunks of a message that was refused are on their way for longer than its session; the
	 * last to come home has them removed. */
	settle(world);
	settle(world);
	store_close(&world->store);
	loop_free(world->loop);
	token_table_free(&world->tokens);
	config_free(world->config);
	free(world->dir);
	return true;
}

/* A stream that waits for its handshake, as serve/ does it for the services with implicit TLS. */
struct arrival {
	struct world *world;
	enum config_service service;
};

static void start_front(struct world *world, struct stream *stream, enum config_service service)
{
	switch (service) {
	case SERVICE_IMAP:
	case SERVICE_IMAPS: imapd_login_start(&world->front, stream, service); break;
	case SERVICE_POP3:
	case SERVICE_POP3S: pop3d_login_start(&world->front, stream, service); break;
	default: smtpd_start(&world->front, stream, service); break;
	}
}

static void arrival_secured(struct stream *stream)
{
	struct arrival *arrival = stream_user(stream);
	struct world *world = arrival->world;
	enum config_service service = arrival->service;
	free(arrival);
	start_front(world, stream, service);
}

static void arrival_ended(struct stream *stream, enum stream_end how)
{
	free(stream_user(stream));
	stream_close(stream);
}

static void arrival_input(struct stream *stream, struct cursor *in)
{
}

static void arrival_drained(struct stream *stream)
{
}

static const struct stream_events arrival_events = { .input = arrival_input,
						     .drained = arrival_drained,
						     .secured = arrival_secured,
						     .ended = arrival_ended };

bool world_handshake(struct world *world, unsigned number)
{
	struct wire *wire = &world->connections[number].wire;
	int64_t deadline_ms = world_deadline_ms();
	int status;
	wire_start_tls(wire);
	while ((status = wire_handshake(wire)) == 0 && !world_is_past(deadline_ms))
		loop_run_once(world->loop, 5);
	if (status != 1)
		printf("# the TLS handshake failed\n");
	return status == 1;
}

static bool is_implicit(enum config_service service)
{
	return service == SERVICE_SUBMISSIONS || service == SERVICE_IMAPS ||
	       service == SERVICE_POP3S;
}

static bool connect_front(struct world *world, unsigned number, int fd)
{
	struct connection *connection = &world->connections[number];
	struct arrival *arrival = heap_alloc(sizeof(*arrival));
	*arrival = (struct arrival){ world, connection->service };
	struct stream *stream = stream_new(world->loop, fd, &arrival_events, arrival);
	stream_set_peer(stream, &connection->peer);
	if (connection->secure || is_implicit(connection->service)) {
		stream_start_tls(stream, world->front.tls);
		return world_handshake(world, number);
	}
	arrival_secured(stream);
	return true;
}

/* The back's session alone, as if its client had just signed in. Takes the answer to that. */
static bool connect_back(struct world *world, unsigned number, int fd)
{
	struct connection *connection = &world->connections[number];
	bool imap = connection->service == SERVICE_IMAP || connection->service == SERVICE_IMAPS;
	struct slice want = imap ? SLICE("A0 OK ") : SLICE("+OK ");
	int64_t deadline_ms = world_deadline_ms();
	struct session_message m = {
		.client = { .peer = connection->peer, .secure = true, .conn_id = number },
		.protocol = imap ? PROTOCOL_IMAP : PROTOCOL_POP3,
		.tag = imap ? SLICE("A0") : SLICE_NONE,
	};
	if (imap)
		imapd_session_start(&world->back, fd, &m, connection->signed_in->account_id, NULL,
				    0);
	else
		pop3d_session_start(&world->back, fd, &m, connection->signed_in->account_id);
	while (!world_is_past(deadline_ms)) {
		struct slice unread = wire_unread(&connection->wire);
		struct cursor c = cursor_of(unread);
		struct slice line;
		while (take_crlf_line(&c, &line)) {
			bool untagged = imap && slice_starts_nocase(line, SLICE("* "));
			if (!untagged && !slice_starts_nocase(line, want)) {
				printf("# signing in was answered: %.*s\n", SLICE_ARG(line));
				return false;
			}
			if (!untagged) {
				wire_take(&connection->wire, (size_t)(c.at - unread.ptr));
				return true;
			}
		}
		world_turn(world, 5);
	}
	printf("# signing in was not answered\n");
	return false;
}

bool world_connect(struct world *world, unsigned number)
{
	struct connection *connection = &world->connections[number];
	int pair[2];
	make_pair(pair);
	connection->opened = true;
	wire_open(&connection->wire, pair[0]);
	return connection->signed_in ? connect_back(world, number, pair[1])
				     : connect_front(world, number, pair[1]);
}

struct world_job {
	struct job job;
	enum err (*run)(struct write *write, void *user);
	void *user;
	bool done;
};

static enum err job_run(struct write *write, struct job *job)
{
	struct world_job *world_job = CONTAINER_OF(job, struct world_job, job);
	return world_job->run(write, world_job->user);
}

static void job_done(struct job *job)
{
	CONTAINER_OF(job, struct world_job, job)->done = true;
}

enum err world_write(struct world *world, enum err (*run)(struct write *write, void *user),
		     void *user)
{
	struct world_job job = { .job = { .run = job_run, .done = job_done, .loop = world->loop },
				 .run = run,
				 .user = user };
	store_submit(world->store, &job.job);
	while (!job.done)
		world_turn(world, 5);
	return job.job.outcome;
}

const struct world_account *world_find_account(const struct world *world, struct slice login)
{
	for (size_t i = 0; i < world->account_count; i++)
		if (slice_eq_nocase(slice_cstr(world->accounts[i].login), login))
			return &world->accounts[i];
	return NULL;
}
