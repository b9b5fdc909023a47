/* admin/imap_client.c - IMAP from the other side: connecting, STARTTLS, signing in by AUTHENTICATE
 * PLAIN (RFC 4616) or LOGIN, commands and what becomes of them. What comes is read by
 * imap_response.c.
 *
 * Left out: compression, other mechanisms. Runs in the admin's process. */
#include "admin/imap_client_priv.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "admin/shown.h"
#include "base/base64.h"
#include "base/heap.h"
#include "runtime/dial.h"

enum {
	CONNECT_MS = 30 * 1000,
	SILENCE_MS = 5 * 60 * 1000,
};

void imap_client_fail(struct imap_client *client, const char *what)
{
	if (!client->is_over)
		snprintf(client->problem, sizeof(client->problem), "%s", what);
	client->is_over = true;
}

/* ---- the stream ---- */

static void on_drained(struct stream *stream)
{
}

static void on_secured(struct stream *stream)
{
	((struct imap_client *)stream_user(stream))->is_secured = true;
}

static void on_timeout(struct stream *stream)
{
	imap_client_fail(stream_user(stream), "it has not answered for five minutes");
}

static void on_ended(struct stream *stream, enum stream_end how)
{
	struct imap_client *client = stream_user(stream);
	enum tls_refusal kind;
	const char *refusal = how == STREAM_TLS ? stream_tls_refusal(stream, &kind) : NULL;
	char why[200];
	if (refusal) {
		snprintf(why, sizeof(why),
			 "its certificate is not trusted (%s); name its authority with --ca",
			 refusal);
		imap_client_fail(client, why);
	} else if (how == STREAM_TLS) {
		imap_client_fail(client, "TLS failed: perhaps it speaks none on this port");
	} else {
		imap_client_fail(client, "it closed the connection");
	}
}

static const struct stream_events stream_events = { imap_response_feed, on_drained, on_secured,
						    on_timeout, on_ended };

/* ---- answers ---- */

/* CAPABILITY comes as a response of its own and as a code in others. */
static void note_capabilities(struct imap_client *client, struct slice line)
{
	static const struct slice word = { (const uint8_t *)"CAPABILITY ", 11 };
	size_t at = 0;
	if (!slice_starts_nocase(line, word)) {
		at = slice_find(line, 0, SLICE("[CAPABILITY "));
		if (at++ == line.len)
			return;
	}
	struct slice list = slice_sub(line, at + word.len, line.len);
	list = slice_sub(list, 0, slice_find_byte(list, 0, ']'));
	buffer_clear(&client->capabilities);
	buffer_add_byte(&client->capabilities, ' ');
	buffer_add(&client->capabilities, list);
	buffer_add_byte(&client->capabilities, ' ');
}

bool imap_client_can(const struct imap_client *client, const char *capability)
{
	struct slice all = buffer_slice(&client->capabilities), word = slice_cstr(capability);
	for (size_t at = 0; at < all.len; at++)
		if (all.ptr[at] == ' ' &&
		    slice_starts_nocase(slice_sub(all, at + 1, all.len), word) &&
		    at + 1 + word.len < all.len && all.ptr[at + 1 + word.len] == ' ')
			return true;
	return false;
}

static enum imap_outcome outcome_of(struct imap_client *client, struct cursor *c)
{
	enum imap_outcome outcome = take_word_nocase(c, SLICE("OK"))   ? IMAP_OK
				    : take_word_nocase(c, SLICE("NO")) ? IMAP_NO
								       : IMAP_BAD;
	skip_blanks(c);
	buffer_clear(&client->text);
	buffer_add(&client->text, cursor_rest(c));
	note_capabilities(client, cursor_rest(c));
	return outcome;
}

/* True: the command of `tag` has its answer. */
static bool understand(struct imap_client *client, unsigned tag, const struct imap_events *events,
		       void *user, enum imap_outcome *outcome_out)
{
	struct slice line = buffer_slice(&client->line);
	struct cursor c = cursor_of(line);
	uint64_t number;
	if (take_word_nocase(&c, SLICE("* "))) {
		struct slice rest = cursor_rest(&c);
		note_capabilities(client, rest);
		if (slice_starts_nocase(rest, SLICE("BYE")))
			imap_client_fail(client, "it ended the session");
		if (events && events->untagged)
			events->untagged(user, rest);
		return false;
	}
	if (line.len > 0 && line.ptr[0] == '+') {
		client->went_on = true;
		return false;
	}
	if (!take_byte(&c, 'b') || !take_number(&c, UINT32_MAX, &number) || !take_byte(&c, ' '))
		return false;
	*outcome_out = outcome_of(client, &c);
	return number == tag;
}

enum imap_outcome imap_client_wait(struct imap_client *client, unsigned tag,
				   const struct imap_events *events, void *user)
{
	enum imap_outcome outcome = IMAP_BROKEN;
	do
		if (!imap_response_read(client, events, user))
			return IMAP_BROKEN;
	while (!understand(client, tag, events, user, &outcome));
	return outcome;
}

struct slice imap_client_text(const struct imap_client *client)
{
	return buffer_slice(&client->text);
}

const char *imap_client_problem(const struct imap_client *client)
{
	return client->problem[0] ? client->problem : "it broke off";
}

/* ---- commands ---- */

static void send_raw(struct imap_client *client, struct slice octets)
{
	if (!client->is_over)
		stream_write(client->stream, octets);
}

unsigned imap_client_send(struct imap_client *client, const char *format, ...)
{
	char *text = NULL;
	struct buffer command = { 0 };
	va_list args;
	va_start(args, format);
	int len = vasprintf(&text, format, args);
	va_end(args);
	buffer_add_format(&command, "b%u ", ++client->last_tag);
	if (len >= 0)
		buffer_add(&command, slice_of(text, (size_t)len));
	buffer_add_cstr(&command, "\r\n");
	send_raw(client, buffer_slice(&command));
	buffer_free(&command);
	free(text);
	return client->last_tag;
}

/* Until the server wants the rest of the command (true) or has refused it. */
static bool wait_to_go_on(struct imap_client *client, unsigned tag, enum imap_outcome *outcome)
{
	client->went_on = false;
	while (!client->went_on) {
		*outcome = IMAP_BROKEN;
		if (!imap_response_read(client, NULL, NULL) ||
		    understand(client, tag, NULL, NULL, outcome))
			return false;
	}
	return true;
}

static bool refuse_login(struct imap_client *client, enum imap_outcome outcome)
{
	struct buffer why = { 0 };
	if (outcome != IMAP_BROKEN) {
		buffer_add_cstr(&why, "it refused user or password: ");
		add_shown(&why, slice_sub(buffer_slice(&client->text), 0, 120));
		buffer_add_byte(&why, '\0');
		imap_client_fail(client, (const char *)why.data);
		buffer_free(&why);
	}
	return false;
}

/* RFC 4616: NUL user NUL password. */
static enum imap_outcome login_plain(struct imap_client *client, struct slice user,
				     struct slice password)
{
	struct buffer plain = { 0 }, encoded = { 0 };
	enum imap_outcome outcome;
	unsigned tag = imap_client_send(client, "AUTHENTICATE PLAIN");
	if (wait_to_go_on(client, tag, &outcome)) {
		buffer_reserve(&plain, user.len + password.len + 2);
		buffer_add_byte(&plain, 0);
		buffer_add(&plain, user);
		buffer_add_byte(&plain, 0);
		buffer_add(&plain, password);
		buffer_reserve(&encoded, (plain.len + 3) * 2);
		base64_encode(buffer_slice(&plain), &encoded);
		buffer_add_cstr(&encoded, "\r\n");
		send_raw(client, buffer_slice(&encoded));
		outcome = imap_client_wait(client, tag, NULL, NULL);
	}
	buffer_wipe(&plain);
	buffer_wipe(&encoded);
	return outcome;
}

/* By literals, which may hold anything (RFC 9051 section 6.2.3). */
static enum imap_outcome login_literal(struct imap_client *client, struct slice user,
				       struct slice password)
{
	enum imap_outcome outcome;
	struct buffer next = { 0 };
	unsigned tag = imap_client_send(client, "LOGIN {%zu}", user.len);
	if (wait_to_go_on(client, tag, &outcome)) {
		buffer_add(&next, user);
		buffer_add_format(&next, " {%zu}\r\n", password.len);
		send_raw(client, buffer_slice(&next));
		if (wait_to_go_on(client, tag, &outcome)) {
			send_raw(client, password);
			send_raw(client, SLICE("\r\n"));
			outcome = imap_client_wait(client, tag, NULL, NULL);
		}
	}
	buffer_free(&next);
	return outcome;
}

static bool ask_capabilities(struct imap_client *client)
{
	if (client->capabilities.len > 0)
		return true;
	unsigned tag = imap_client_send(client, "CAPABILITY");
	return imap_client_wait(client, tag, NULL, NULL) == IMAP_OK;
}

bool imap_client_login(struct imap_client *client, struct slice user, struct slice password)
{
	if (!ask_capabilities(client))
		return false;
	enum imap_outcome outcome = imap_client_can(client, "AUTH=PLAIN")
					    ? login_plain(client, user, password)
					    : login_literal(client, user, password);
	if (outcome != IMAP_OK)
		return refuse_login(client, outcome);
	/* What a server can do it may say anew now; else it has to be asked anew. */
	if (slice_find(imap_client_text(client), 0, SLICE("[CAPABILITY ")) == client->text.len)
		buffer_clear(&client->capabilities);
	return ask_capabilities(client);
}

/* ---- life ---- */

static bool wait_secured(struct imap_client *client)
{
	stream_start_tls_client(client->stream, client->tls,
				&(struct tls_demand){ .host = client->host });
	while (!client->is_over && !client->is_secured)
		loop_run_once(client->loop, IMAP_TURN_MS);
	return client->is_secured;
}

static bool start_tls(struct imap_client *client)
{
	if (!ask_capabilities(client))
		return false;
	if (!imap_client_can(client, "STARTTLS")) {
		if (peer_is_loopback(stream_peer(client->stream)))
			return true;
		imap_client_fail(client, "it offers no STARTTLS, and a password does not travel "
					 "unprotected; try imaps://");
		return false;
	}
	unsigned tag = imap_client_send(client, "STARTTLS");
	if (imap_client_wait(client, tag, NULL, NULL) != IMAP_OK)
		return false;
	/* Said before TLS, so perhaps by an attacker (RFC 9051 section 6.2.1). */
	buffer_clear(&client->capabilities);
	imap_response_forget(client);
	return wait_secured(client) && ask_capabilities(client);
}

static bool greet(struct imap_client *client)
{
	if (!imap_response_read(client, NULL, NULL))
		return false;
	struct slice line = buffer_slice(&client->line);
	if (!slice_starts_nocase(line, SLICE("* OK"))) {
		imap_client_fail(client, "its greeting is not that of an IMAP server");
		return false;
	}
	note_capabilities(client, line);
	return true;
}

struct imap_client *imap_client_open(struct loop *loop, const struct imap_client_options *options,
				     const char **why_out)
{
	static char why[256];
	int fd = dial_tcp(options->host, options->port, CONNECT_MS, why_out);
	if (fd < 0)
		return NULL;
	struct imap_client *client = heap_alloc(sizeof(*client));
	client->loop = loop;
	client->host = heap_string(slice_cstr(options->host));
	client->tls = tls_context_hold(options->tls);
	client->stream = stream_new(loop, fd, &stream_events, client);
	stream_set_idle_ms(client->stream, SILENCE_MS);
	bool good = options->tls_at_once ? wait_secured(client) && greet(client)
					 : greet(client) && start_tls(client);
	if (good)
		return client;
	snprintf(why, sizeof(why), "%s", imap_client_problem(client));
	*why_out = why;
	imap_client_close(&client);
	return NULL;
}

void imap_client_close(struct imap_client **client_at)
{
	struct imap_client *client = *client_at;
	*client_at = NULL;
	if (!client)
		return;
	stream_abort(client->stream);
	loop_run_once(client->loop, 0);
	tls_context_release(&client->tls);
	buffer_free(&client->in);
	buffer_free(&client->line);
	buffer_free(&client->piece);
	buffer_free(&client->capabilities);
	buffer_free(&client->text);
	free(client->host);
	free(client);
}
