/* serve/login.c - the back's answer to a login and a password, and to the token that it gave
 * for them. Runs in the back.
 *
 * RFC 4616 section 2 (authorization identity), RFC 4954 section 4 and RFC 9051 section 6.2.3
 * (what is refused must not tell why).
 *
 * Who asks for an account that does not exist waits as long as for a real one: the same
 * delay, then the same work against an empty hash. A password that was right a moment ago
 * skips the delay, so that guesses at a login do not slow its owner down; an address that has
 * guessed too often is refused before anything is looked at. */
#include "serve/login_priv.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "auth/password.h"
#include "auth/throttle.h"
#include "base/heap.h"
#include "base/log.h"
#include "imapd/imapd.h"
#include "mail/login.h"
#include "mda/sender.h"
#include "pop3d/pop3d.h"
#include "runtime/exempt.h"
#include "runtime/messages.h"
#include "runtime/pool.h"
#include "runtime/way_back.h"
#include "storage/account.h"
#include "storage/journal.h"

enum {
	TOKENS_MAX = 65536,
	FAILURES_MAX = 65536,
	VERIFIED_MAX = 4096,
	VERIFIED_KEEP_MS = 10 * 60 * 1000,
	CHECKS_MAX = 2000, /* of one channel at a time: each holds a password's memory */
};

struct login {
	struct token_table *tokens;
	struct throttle *throttle;
	struct verified_cache *verified;
	_Atomic(struct exempt *) exempt;
	/* Former ones: a loop may be asking them, and they are few. */
	struct exempt **former;
	size_t former_count;
};

struct login_desk {
	struct login *login;
	struct back *back;
	struct channel *channel;
	struct way_back *way_back;
	struct check *newest; /* under way */
	unsigned check_count;
};

/* One attempt to sign in, from question to answer. */
struct check {
	struct login_desk *desk; /* NULL: the channel is gone */
	struct login *login;
	struct back *back;
	struct check *newer, *older;
	uint32_t conversation;
	enum mail_protocol protocol;
	struct peer peer;
	uint32_t conn_id;
	bool secure;
	struct log log;
	struct timer *delay;
	struct work work;
	uint32_t account_id; /* 0: no such account */
	enum err outcome;
	struct arena arena;   /* wiped */
	struct slice address; /* for the throttle; empty: exempt */
	struct slice user;    /* local@domain in its normal form; as typed where it has none */
	struct slice hash;
	struct slice password;
	bool hides_client; /* mail that is submitted shall not tell where from */
};

static const char *protocol_word(enum mail_protocol protocol)
{
	static const char *const words[] = { "smtp", "imap", "pop3" };
	return words[protocol];
}

struct login *login_new(const struct config *config)
{
	struct login *login = heap_alloc(sizeof(*login));
	password_start();
	login->tokens = token_table_new(TOKENS_MAX);
	login->throttle = throttle_new(FAILURES_MAX);
	login->verified = verified_cache_new(VERIFIED_MAX, VERIFIED_KEEP_MS);
	login_set_config(login, config);
	return login;
}

void login_set_config(struct login *login, const struct config *config)
{
	struct exempt *former = atomic_exchange(&login->exempt, exempt_new(config));
	if (!former)
		return;
	login->former =
		heap_resize(login->former, (login->former_count + 1) * sizeof(struct exempt *));
	login->former[login->former_count++] = former;
}

void login_free(struct login **login)
{
	if (!*login)
		return;
	struct exempt *exempt = (*login)->exempt;
	exempt_free(&exempt);
	for (size_t i = 0; i < (*login)->former_count; i++)
		exempt_free(&(*login)->former[i]);
	free((*login)->former);
	token_table_free(&(*login)->tokens);
	throttle_free(&(*login)->throttle);
	verified_cache_free(&(*login)->verified);
	free(*login);
	*login = NULL;
}

struct token_table *login_tokens(struct login *login)
{
	return login->tokens;
}

struct login_desk *login_desk_new(struct login *login, struct back *back, struct channel *channel)
{
	struct login_desk *desk = heap_alloc(sizeof(*desk));
	*desk = (struct login_desk){ .login = login, .back = back, .channel = channel };
	desk->way_back = way_back_new(channel);
	return desk;
}

void login_desk_free(struct login_desk **desk)
{
	if (!*desk)
		return;
	for (struct check *check = (*desk)->newest; check; check = check->older)
		check->desk = NULL;
	way_back_cut((*desk)->way_back);
	way_back_release(&(*desk)->way_back);
	free(*desk);
	*desk = NULL;
}

/* ---- a check's way: delay, work, answer ---- */

static void check_free(struct check *check)
{
	if (check->desk) {
		if (check->newer)
			check->newer->older = check->older;
		else
			check->desk->newest = check->older;
		if (check->older)
			check->older->newer = check->newer;
		check->desk->check_count--;
	}
	timer_free(&check->delay);
	arena_wipe(&check->arena);
	free(check);
}

static void answer(struct channel *channel, uint32_t conversation,
		   const struct authenticated_message *message)
{
	struct buffer payload = { NULL };
	authenticated_encode(message, &payload);
	channel_send(channel, MESSAGE_AUTHENTICATED, conversation, buffer_slice(&payload), -1);
	buffer_wipe(&payload);
}

static void note(const struct check *check, enum err outcome)
{
	struct journal_event event = {
		.kind = outcome == ERR_OK ? JOURNAL_SIGNED_IN : JOURNAL_SIGN_IN_REFUSED,
		.service = slice_cstr(protocol_word(check->protocol)),
		.conn_id = check->conn_id,
		.peer = check->peer,
		.secure = check->secure,
		.login = check->user,
		.account_id = check->account_id,
	};
	if (outcome != ERR_OK)
		event.why = slice_cstr(outcome == ERR_BUSY ? "throttled" : err_word(outcome));
	journal_tell(check->back->store, &event);
}

static void check_answer(struct check *check, enum err outcome)
{
	struct token token = { { 0 } };
	char peer[PEER_TEXT_MAX];
	note(check, outcome);
	peer_format(&check->peer, peer);
	if (outcome == ERR_OK) {
		struct token_owner owner = { .account_id = check->account_id,
					     .protocol = check->protocol };
		memcpy(owner.login, check->user.ptr, check->user.len);
		if (check->desk)
			token_issue(check->login->tokens, &owner, &token);
		log_info(&check->log, EVENT("signed-in"), TEXT("login", check->user),
			 WORD("protocol", protocol_word(check->protocol)), CSTR("peer", peer));
	} else {
		log_warning(&check->log, EVENT("sign-in-refused"), TEXT("login", check->user),
			    WORD("protocol", protocol_word(check->protocol)), CSTR("peer", peer),
			    WORD("why", outcome == ERR_BUSY ? "throttled" : err_word(outcome)));
	}
	if (check->desk)
		answer(check->desk->channel, check->conversation,
		       &(struct authenticated_message){ outcome, token, check->hides_client });
	check_free(check);
}

static void verify(struct work *work)
{
	struct check *check = CONTAINER_OF(work, struct check, work);
	check->outcome = password_verify(check->hash, check->password);
}

static void on_verified(struct work *work)
{
	struct check *check = CONTAINER_OF(work, struct check, work);
	struct login *login = check->login;
	/* An empty hash is never right; this says it once more where it matters most. */
	if (check->outcome == ERR_OK && check->account_id == 0)
		check->outcome = ERR_DENIED;
	if (check->outcome == ERR_OK) {
		throttle_succeeded(login->throttle, check->address, check->user);
		verified_cache_add(login->verified, check->user, check->hash, check->password);
	} else if (check->outcome == ERR_DENIED) {
		throttle_failed(login->throttle, check->address, check->user);
	}
	check_answer(check, check->outcome);
}

static void check_verify(void *user)
{
	struct check *check = user;
	if (!check->desk) { /* nobody waits for it any more */
		check_free(check);
		return;
	}
	check->work.run = verify;
	check->work.done = on_verified;
	pool_submit(check->back->loop, &check->work);
}

/* Fills in account and hash; they stay empty for an account that does not exist. */
static enum err look_up(struct check *check)
{
	struct account account;
	struct read *read = read_begin(check->back->store);
	enum err err = account_find(read, check->user, &check->arena, &account);
	if (err == ERR_OK) {
		check->account_id = account.account_id;
		check->hash = arena_copy(&check->arena, account.password_hash);
		check->hides_client = check->protocol == PROTOCOL_SMTP &&
				      sender_hides_client(read, account.account_id);
	}
	read_end(&read);
	return err == ERR_NOT_FOUND ? ERR_OK : err;
}

static void check_begin(struct check *check, const struct authenticate_message *message)
{
	struct login *login = check->login;
	struct slice user, authorize_as;
	bool known = login_normalise(message->login, &check->arena, &user) &&
		     user.len < sizeof(((struct token_owner *)0)->login);
	check->user = known ? user : arena_copy(&check->arena, message->login);
	/* Nobody acts for somebody else here. */
	if (message->authorize_as.len > 0 &&
	    !(login_normalise(message->authorize_as, &check->arena, &authorize_as) &&
	      slice_eq(authorize_as, check->user)))
		known = false;

	uint64_t delay_ms = throttle_delay_ms(login->throttle, check->address, check->user);
	if (delay_ms == UINT64_MAX) {
		check_answer(check, ERR_BUSY);
		return;
	}
	enum err err = known ? look_up(check) : ERR_OK;
	if (err != ERR_OK) {
		check_answer(check, err);
		return;
	}
	if (check->account_id != 0 &&
	    verified_cache_contains(login->verified, check->user, check->hash, check->password)) {
		check_answer(check, ERR_OK);
		return;
	}
	if (delay_ms == 0) {
		check_verify(check);
		return;
	}
	check->delay = timer_new(check->back->loop, check_verify, check);
	timer_start(check->delay, delay_ms);
}

/* ---- messages ---- */

static bool take_authenticate(struct login_desk *desk, uint32_t conversation, struct slice payload)
{
	struct authenticate_message message;
	if (!authenticate_decode(payload, &message))
		return false;
	if (desk->check_count >= CHECKS_MAX) {
		answer(desk->channel, conversation,
		       &(struct authenticated_message){ .outcome = ERR_BUSY });
		return true;
	}
	struct check *check = heap_alloc(sizeof(*check));
	check->desk = desk;
	check->login = desk->login;
	check->back = desk->back;
	check->older = desk->newest;
	if (check->older)
		check->older->newer = check;
	desk->newest = check;
	desk->check_count++;
	check->conversation = conversation;
	check->protocol = message.protocol;
	check->peer = message.client.peer;
	check->conn_id = message.client.conn_id;
	check->secure = message.client.secure;
	snprintf(check->log.conn, sizeof(check->log.conn), "%s-%x", protocol_word(message.protocol),
		 message.client.conn_id);
	check->password = arena_copy(&check->arena, message.password);
	if (!exempt_contains(desk->login->exempt, &check->peer))
		check->address = slice_of(check->peer.address, check->peer.family == 4	 ? 4
							       : check->peer.family == 6 ? 16
											 : 0);
	check_begin(check, &message);
	return true;
}

/* Takes `fd`. The token is good for one session. */
static bool take_session(struct login_desk *desk, uint32_t conversation, struct slice payload,
			 int fd)
{
	struct session_message message;
	struct token_owner owner;
	if (fd == -1)
		return false;
	if (!session_message_decode(payload, &message) || message.protocol == PROTOCOL_SMTP) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	if (fd == CHANNEL_FD_LOST) {
		/* Closed already, so the client is cut off; the others go on. */
		log_error(NULL, EVENT("session-refused"), WORD("why", "no-descriptors"),
			  WORD("protocol", protocol_word(message.protocol)));
		token_forget(desk->login->tokens, &message.token);
		return true;
	}
	if (!token_find(desk->login->tokens, &message.token, &owner) ||
	    owner.protocol != message.protocol) {
		/* It may have been forgotten among too many others; the client is cut off. */
		log_warning(NULL, EVENT("session-refused"), WORD("why", "no-such-token"),
			    WORD("protocol", protocol_word(message.protocol)));
		close(fd);
		return true;
	}
	token_forget(desk->login->tokens, &message.token);
	if (message.protocol == PROTOCOL_IMAP)
		imapd_session_start(desk->back, fd, &message, owner.account_id, desk->way_back,
				    conversation);
	else
		pop3d_session_start(desk->back, fd, &message, owner.account_id);
	return true;
}

static bool take_forget_token(struct login_desk *desk, struct slice payload)
{
	struct token token;
	if (!forget_token_decode(payload, &token))
		return false;
	token_forget(desk->login->tokens, &token);
	return true;
}

bool login_desk_message(struct login_desk *desk, uint16_t type, uint32_t conversation,
			struct slice payload, int fd)
{
	if (type == MESSAGE_SESSION)
		return take_session(desk, conversation, payload, fd);
	if (fd >= 0) {
		close(fd);
		return false;
	}
	if (type == MESSAGE_AUTHENTICATE)
		return take_authenticate(desk, conversation, payload);
	return type == MESSAGE_FORGET_TOKEN && take_forget_token(desk, payload);
}
