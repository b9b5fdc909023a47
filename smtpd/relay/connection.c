/* smtpd/relay/connection.c - a connection to another server, between the core that speaks and the
 * stream that carries it. Runs in the front.
 *
 * After a message it is kept for a few seconds: more mail for the same place needs no new one. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/heap.h"
#include "smtpd/relay/sender_priv.h"

static void act(struct connection *connection, enum client_wish wish);
static void lost(struct connection *connection, const char *why);

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
	timer_free(&connection->patience.timer);
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
	const char *why = connection_secure(connection);
	if (why)
		lost(connection, why);
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

static uint64_t now_ms(const struct connection *connection)
{
	return loop_now_ms(connection->sender->front->loop);
}

static void wait(struct connection *connection)
{
	patience_wait(&connection->patience, &connection->client, connection->outgoing != NULL,
		      now_ms(connection));
}

/* True: the connection is gone. */
static bool rest(struct connection *connection)
{
	if (connection->sender->is_stopping || connection_is_worn(connection)) {
		connection_quit(connection);
		return true;
	}
	return false;
}

static void leave(struct connection *connection)
{
	assert(connection->outgoing);
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
	if (connection->outgoing && client->accepted_count > 0)
		outgoing_note_answer(connection->outgoing);
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
			assert(outgoing);
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
	patience_begin(&connection->patience, now_ms(connection));
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
	/* The server has not heard of it yet. */
	patience_begin(&connection->patience, now_ms(connection));
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
	struct connection *connection = stream_user(stream);
	connection_note_secured(connection);
	if (connection->client.options.is_secure) /* from the start: the greeting comes now */
		patience_wait_anew(&connection->patience, &connection->client, now_ms(connection));
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
	struct client *client = &connection->client;
	if (!connection->outgoing && client->state == CLIENT_READY)
		connection_quit(connection);
	else if (patience_goes_on(&connection->patience, client, now_ms(connection)))
		act(connection, client_ask_no_more(client));
	else
		lost(connection, client->state == CLIENT_FORM
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
	connection->patience.timer = timer_new(sender->front->loop, on_timer, connection);
	patience_begin(&connection->patience, now_ms(connection));
	wait(connection);
	log_info(&connection->log, EVENT("relay-connected"), CSTR("to", connection->remote));
	if (options.is_secure)
		secure(connection); /* which may be its end */
}
