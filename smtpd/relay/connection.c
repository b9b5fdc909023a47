/* smtpd/relay/connection.c - a connection to another server, between the core that speaks and the
 * stream that carries it. Runs in the front.
 *
 * After a message it is kept for a few seconds: more mail for the same place needs no new one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/heap.h"
#include "smtpd/relay/sender_priv.h"

static void act(struct connection *connection, enum client_wish wish);
static void lost(struct connection *connection, const char *why);

enum {
	DELIVERY_MS = 3600 * 1000,  /* for one message, however its server draws that out, */
	DELIVERY_OCTETS_PER_MS = 8, /* and for its content what a slow line needs */
	/* For so long and for so many messages it stands for what DNS, policy and certificate said when
	 * it began. */
	KEPT_MS = 5 * 60 * 1000,
	KEPT_MESSAGES = 100,
};

/* ---- life ---- */

static void destroy(struct connection *connection)
{
	struct relay_sender *sender = connection->sender;
	if (connection->previous)
		connection->previous->next = connection->next;
	else
		sender->connections = connection->next;
	if (connection->next)
		connection->next->previous = connection->previous;
	if (connection->outgoing)
		connection->outgoing->connection = NULL;
	timer_free(&connection->timer);
	client_fini(&connection->client);
	if (connection->password)
		wipe(connection->password, strlen(connection->password));
	free(connection->password);
	free(connection->key);
	free(connection->host);
	free(connection);
}

void connection_abort(struct connection *connection)
{
	stream_abort(connection->stream);
	destroy(connection);
}

static void flush(struct connection *connection)
{
	struct buffer *out = &connection->client.out;
	if (out->len == 0)
		return;
	stream_write(connection->stream, buffer_slice(out));
	if (connection->client.state == CLIENT_AUTH)
		buffer_wipe(out);
	else
		buffer_clear(out);
}

void connection_quit(struct connection *connection)
{
	client_quit(&connection->client);
	flush(connection);
	/* Its answer is of no interest; the stream waits a little for the end. */
	stream_close(connection->stream);
	destroy(connection);
}

/* ---- what the core wants ---- */

static void secure(struct connection *connection)
{
	struct relay_sender *sender = connection->sender;
	const struct outgoing *outgoing = connection->outgoing;
	const struct demand *demand = &connection->demand;
	char place[sizeof(connection->remote) + DNS_NAME_MAX_OCTETS + 2];
	snprintf(place, sizeof(place), "%s %s", connection->key, connection->remote);
	struct tls_demand tls = { .host = connection->host,
				  .proof = demand->proof,
				  .is_lenient = demand->is_lenient,
				  .sessions = sender->sessions,
				  .place = place };
	struct tls_context *context = sender->trust.opportunistic;
	if (demand->proof == TLS_PROOF_NAME)
		context = outgoing->route.kind == ROUTE_TO_SMARTHOST ? sender->trust.smarthost
								     : sender->trust.authorities;
	if (!context && demand->is_lenient) {
		context = sender->trust.opportunistic;
		tls.proof = TLS_PROOF_NONE;
	}
	if (!context) {
		lost(connection,
		     "this server has no list of authorities to check the other server's "
		     "certificate against");
		return;
	}
	connection->is_handshaking = true;
	if (demand->proof == TLS_PROOF_DANE) {
		const struct exchanger *exchanger = &outgoing->exchanger;
		const struct dane *dane = exchanger->dane;
		char *destination = heap_string(outgoing->message.destination);
		char *canonical = heap_string(exchanger->canonical);
		tls.host = dane->base;
		tls.records = dane->records;
		tls.record_count = dane->record_count;
		/* RFC 7672 section 3.2.2: the next hop's name, which is the destination's only where
		 * that is looked up. */
		tls.names[tls.name_count++] = dane->base;
		tls.names[tls.name_count++] =
			outgoing->route.kind == ROUTE_BY_DNS ? destination : connection->host;
		if (exchanger->canonical.len > 0)
			tls.names[tls.name_count++] = canonical;
		stream_start_tls_client(connection->stream, context, &tls);
		free(destination);
		free(canonical);
		return;
	}
	stream_start_tls_client(connection->stream, context, &tls);
}

/* As much as the stream takes now. */
static enum client_wish pump(struct connection *connection)
{
	enum client_wish wish = CLIENT_WANTS_CONTENT;
	while (wish == CLIENT_WANTS_CONTENT &&
	       stream_queued(connection->stream) < STREAM_HIGH_WATER_OCTETS) {
		struct slice octets = outgoing_content(connection->outgoing);
		if (octets.len == 0)
			return wish;
		wish = client_content(&connection->client, octets);
		outgoing_content_done(connection->outgoing, octets.len);
		flush(connection);
	}
	if (wish == CLIENT_WANTS_CONTENT)
		stream_want_drained(connection->stream);
	return wish;
}

/* The end of the connection. */
static void over(struct connection *connection)
{
	struct outgoing *outgoing = connection->outgoing;
	struct client *client = &connection->client;
	if (client->lacks_tls)
		results_note(connection, TLS_RESULT_NO_STARTTLS,
			     "TLS is demanded, and was not to be had");
	if (outgoing) {
		connection->outgoing = NULL;
		outgoing->connection = NULL;
		if (client->lacks_tls && demand_is_senders(outgoing))
			outgoing_try_fitter(
				outgoing, "5.7.10",
				"the way to the other server cannot be encrypted as the "
				"sender demands (REQUIRETLS)");
		else if (!client->was_greeted)
			outgoing_try_next(outgoing, buffer_slice(&client->trouble));
		else if (!client->heard && !connection->is_fresh)
			outgoing_retry(outgoing);
		else
			outgoing_report(outgoing, client, connection->remote);
	}
	flush(connection);
	stream_close(connection->stream);
	destroy(connection);
}

/* ---- time ---- */

/* For one message, from now on. */
static void set_deadline(struct connection *connection)
{
	const struct outgoing *outgoing = connection->outgoing;
	connection->deadline_ms = loop_now_ms(connection->sender->front->loop) + DELIVERY_MS +
				  outgoing->message.size_octets / DELIVERY_OCTETS_PER_MS;
}

/* The time of what is waited for begins when that begins, or goes on by a whole step. A server that
 * sends an octet now and then has no more of it than one that is silent. */
static void wait(struct connection *connection)
{
	const struct client *client = &connection->client;
	uint64_t now_ms = loop_now_ms(connection->sender->front->loop);
	uint64_t wait_ms = client_timeout_ms(client);
	uint64_t left_ms = connection->deadline_ms > now_ms ? connection->deadline_ms - now_ms : 0;
	if (connection->waits && client->state == connection->waiting_state &&
	    client->steps == connection->waiting_steps)
		return;
	connection->waits = true;
	connection->waiting_state = client->state;
	connection->waiting_steps = client->steps;
	/* All of it is out: who leaves now sends it once more to people who have it (RFC 5321 section
	 * 4.5.3.2.6). */
	bool has_deadline = connection->outgoing && client->state != CLIENT_END;
	timer_start(connection->timer, has_deadline && left_ms < wait_ms ? left_ms : wait_ms);
}

static bool is_worn(const struct connection *connection)
{
	uint64_t now_ms = loop_now_ms(connection->sender->front->loop);
	return connection->message_count >= KEPT_MESSAGES ||
	       now_ms - connection->began_ms >= KEPT_MS;
}

/* True: the connection is gone. */
static bool rest(struct connection *connection)
{
	if (connection->sender->is_stopping || is_worn(connection)) {
		connection_quit(connection);
		return true;
	}
	return false;
}

static void leave(struct connection *connection)
{
	connection->outgoing->connection = NULL;
	connection->outgoing = NULL;
	connection_quit(connection);
}

/* True: the server cannot be given the message, which goes elsewhere (RFC 8689 section 4.2.1). */
static bool leave_unfit(struct connection *connection)
{
	struct outgoing *outgoing = connection->outgoing;
	const char *status;
	const char *why = client_lacks_tls(&connection->client, &outgoing->message, &status);
	if (!why)
		return false;
	leave(connection);
	outgoing_try_fitter(outgoing, status, why);
	return true;
}

/* True: nor in the form that it takes (RFC 6152 section 3). */
static bool leave_unformed(struct connection *connection)
{
	struct outgoing *outgoing = connection->outgoing;
	if (!outgoing_lacks_form(outgoing, client_form(&connection->client)))
		return false;
	leave(connection);
	if (outgoing->exchangers)
		outgoing_try_fitter(outgoing, outgoing->lacking_status, outgoing->lacking_words);
	else /* this connection was kept: nobody was looked for yet */
		outgoing_retry(outgoing);
	return true;
}

/* Where the form that a connection before this one asked for is still to come, the content that is there
 * will be another's. */
static enum client_wish begin(struct connection *connection)
{
	const struct outgoing *outgoing = connection->outgoing;
	return client_begin(&connection->client, &outgoing->message, outgoing->waits_for_form);
}

static void act(struct connection *connection, enum client_wish wish)
{
	struct client *client = &connection->client;
	for (;;) {
		flush(connection);
		switch (wish) {
		case CLIENT_WANTS_TLS:
			wait(connection);
			secure(connection);
			return;
		case CLIENT_IS_READY:
			if (!client->is_secure)
				results_note(connection, TLS_RESULT_NO_STARTTLS, "not offered");
			if (connection->outgoing && leave_unfit(connection))
				return;
			if (connection->outgoing) {
				wish = begin(connection);
				continue;
			}
			if (rest(connection))
				return;
			break;
		case CLIENT_WANTS_FORM:
			if (leave_unformed(connection))
				return;
			outgoing_want_form(connection->outgoing, client_form(client));
			break;
		case CLIENT_WANTS_CONTENT:
			wish = pump(connection);
			if (wish != CLIENT_WANTS_CONTENT)
				continue;
			break;
		case CLIENT_HAS_RESULT: {
			struct outgoing *outgoing = connection->outgoing;
			connection->outgoing = NULL;
			outgoing->connection = NULL;
			connection->is_fresh = false;
			connection->message_count++;
			outgoing_report(outgoing, client, connection->remote);
			wish = client_next(client);
			continue;
		}
		case CLIENT_IS_OVER: over(connection); return;
		case CLIENT_WANTS_INPUT: break;
		}
		break;
	}
	wait(connection);
}

void connection_assign(struct connection *connection, struct outgoing *outgoing)
{
	connection->outgoing = outgoing;
	outgoing->connection = connection;
	outgoing->exchanger = connection->exchanger;
	set_deadline(connection);
	act(connection, begin(connection));
}

void connection_go_on(struct connection *connection)
{
	if (connection->client.state == CLIENT_CONTENT)
		act(connection, CLIENT_WANTS_CONTENT);
}

void connection_formed(struct connection *connection)
{
	if (connection->client.state != CLIENT_FORM)
		return;
	set_deadline(connection); /* it may be longer now, and the server has not heard of it yet */
	act(connection, client_formed(&connection->client, &connection->outgoing->message));
}

/* ---- the stream ---- */

static void on_input(struct stream *stream, struct cursor *in)
{
	struct connection *connection = stream_user(stream);
	act(connection, client_feed(&connection->client, in));
}

static void on_drained(struct stream *stream)
{
	connection_go_on(stream_user(stream));
}

static void on_secured(struct stream *stream)
{
	static const char *const proofs[] = {
		[TLS_PROOF_NAME] = "name", [TLS_PROOF_NONE] = "none", [TLS_PROOF_DANE] = "dane"
	};
	struct connection *connection = stream_user(stream);
	enum tls_refusal kind;
	const char *refusal = stream_tls_refusal(stream, &kind);
	connection->is_handshaking = false;
	connection->client.is_proven = demand_proves(&connection->demand);
	log_info(&connection->log, EVENT("relay-secured"),
		 CSTR("version", stream_tls_version(stream)),
		 CSTR("cipher", stream_tls_cipher(stream)),
		 WORD("proof", refusal ? "failed" : proofs[connection->demand.proof]),
		 NUM("resumed", stream_tls_is_resumed(stream)));
	results_note(connection, refusal ? results_kind(kind) : TLS_RESULT_GOOD, refusal);
	if (refusal) /* a policy that is being tested: the mail goes all the same */
		log_info(&connection->log, EVENT("relay-unproven"), CSTR("why", refusal));
	if (connection->client.options.is_secure) /* from the start: the greeting comes now */
		timer_start(connection->timer, client_timeout_ms(&connection->client));
	else
		act(connection, client_secured(&connection->client));
}

static void lost(struct connection *connection, const char *why)
{
	struct outgoing *outgoing = connection->outgoing;
	/* However it ended: many a server that takes no version or cipher of ours just hangs up. */
	if (connection->is_handshaking)
		results_note(connection, TLS_RESULT_FAILED, why);
	/* Encryption was only an offer: once more without (RFC 7435 section 4.3). */
	if (connection->is_handshaking && connection->client.options.tls == CLIENT_TLS_MAY &&
	    outgoing) {
		log_info(&connection->log, EVENT("relay-without-tls"), CSTR("why", why));
		connection->outgoing = NULL;
		outgoing->connection = NULL;
		outgoing->in_the_clear = true;
		stream_abort(connection->stream);
		destroy(connection);
		outgoing_start(outgoing);
		return;
	}
	client_abandon(&connection->client, why);
	over(connection);
}

static void on_ended(struct stream *stream, enum stream_end how)
{
	struct connection *connection = stream_user(stream);
	enum tls_refusal kind = TLS_NOT_REFUSED;
	const char *refusal = how == STREAM_TLS ? stream_tls_refusal(stream, &kind) : NULL;
	char why[256] = "the server closed the connection";
	if (how == STREAM_TLS && connection->is_handshaking)
		results_note(connection, results_kind(kind),
			     refusal ? refusal : "the handshake failed");
	if (refusal)
		snprintf(why, sizeof(why), "the server's certificate was refused: %s", refusal);
	else if (how == STREAM_TLS)
		snprintf(why, sizeof(why), "the encryption of the connection failed");
	else if (how == STREAM_RESET)
		snprintf(why, sizeof(why), "the connection broke");
	/* A fault of what was secure already is one of this connection, not of the server. */
	connection->client.lacks_tls = how == STREAM_TLS && connection->is_handshaking;
	lost(connection, why);
}

static void on_timer(void *user)
{
	struct connection *connection = user;
	if (!connection->outgoing && connection->client.state == CLIENT_READY)
		connection_quit(connection);
	else
		lost(connection, connection->client.state == CLIENT_FORM
					 ? "the message was not converted in time"
					 : "the server did not answer in time");
}

/* ---- beginning ---- */

static struct client_options options_of(const struct outgoing *outgoing)
{
	const struct relay_sender *sender = outgoing->sender;
	const struct config *config = sender->front->config;
	struct client_options options = {
		.hostname = config->hostname,
		.is_lmtp = outgoing->route.is_lmtp,
		.tls = outgoing->in_the_clear ? CLIENT_TLS_NONE : outgoing->demand.tls,
		.is_secure = outgoing->demand.is_implicit,
	};
	if (outgoing->route.kind == ROUTE_TO_SMARTHOST && config->smarthost_user &&
	    sender->password.len > 0) {
		options.user = config->smarthost_user;
	}
	return options;
}

void connection_begin(struct relay_sender *sender, int fd, struct outgoing *outgoing)
{
	static const struct stream_events events = {
		.input = on_input,
		.drained = on_drained,
		.secured = on_secured,
		.ended = on_ended,
	};
	struct connection *connection = heap_alloc(sizeof(*connection));
	struct client_options options = options_of(outgoing);
	char address[PEER_TEXT_MAX];
	connection->sender = sender;
	connection->outgoing = outgoing;
	outgoing->connection = connection;
	connection->is_fresh = true;
	connection->began_ms = loop_now_ms(sender->front->loop);
	connection->key = heap_string(outgoing->route.key);
	peer_format(&outgoing->exchanger.address, address);
	connection->host = outgoing->exchanger.host.len > 0 ? heap_string(outgoing->exchanger.host)
							    : heap_string(slice_cstr(address));
	connection->exchanger.address = outgoing->exchanger.address;
	connection->demand = outgoing->demand;
	memcpy(connection->remote, outgoing->remote, sizeof(connection->remote));
	snprintf(connection->log.conn, sizeof(connection->log.conn), "relay-%x",
		 (unsigned)++sender->last_conn_id);
	connection->next = sender->connections;
	if (connection->next)
		connection->next->previous = connection;
	sender->connections = connection;
	/* A reload wipes the sender's. */
	if (options.user)
		options.password = connection->password =
			heap_string(buffer_slice(&sender->password));
	client_init(&connection->client, &options, &connection->log);
	connection->stream = stream_new(sender->front->loop, fd, &events, connection);
	connection->timer = timer_new(sender->front->loop, on_timer, connection);
	set_deadline(connection);
	wait(connection);
	log_info(&connection->log, EVENT("relay-connected"), CSTR("to", connection->remote));
	if (options.is_secure)
		secure(connection); /* which may be its end */
}

enum tls_level connection_level(const struct connection *connection)
{
	if (!stream_is_secure(connection->stream))
		return TLS_LEVEL_NONE;
	return connection->demand.proven_by != TLS_POLICY_NONE ? TLS_LEVEL_PROVEN
							       : TLS_LEVEL_ENCRYPTED;
}

/* A better one may have been reached meanwhile, which is expected of all from then on. */
static bool is_good_enough(const struct connection *connection, const struct outgoing *outgoing)
{
	if (outgoing->message.tls_optional)
		return true;
	return !connection->demand.is_lax &&
	       (outgoing->route.kind != ROUTE_BY_DNS ||
		connection_level(connection) >= outgoing->message.known_level);
}

struct connection *connection_find(const struct outgoing *outgoing)
{
	const char *status;
	for (struct connection *c = outgoing->sender->connections; c; c = c->next)
		if (!c->outgoing && c->client.state == CLIENT_READY &&
		    slice_eq(slice_cstr(c->key), outgoing->route.key) && !is_worn(c) &&
		    is_good_enough(c, outgoing) &&
		    !client_lacks_tls(&c->client, &outgoing->message, &status))
			return c;
	return NULL;
}
