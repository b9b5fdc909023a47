/* admin/imap_client.c - IMAP from the other side: framing of responses (RFC 9051 section 2.2.2),
 * STARTTLS, signing in by AUTHENTICATE PLAIN (RFC 4616) or LOGIN. Everything that comes is a
 * stranger's: lines and literals have limits, contents pass through.
 *
 * Left out: compression, other mechanisms. Runs in the admin's process. */
#include "admin/imap_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/base64.h"
#include "base/heap.h"
#include "runtime/dial.h"
#include "runtime/stream.h"

enum {
	CONNECT_MS = 30 * 1000,
	SILENCE_MS = 5 * 60 * 1000,
	IN_HIGH_OCTETS = 512 * 1024,
	LINE_MAX_OCTETS = 16 << 20, /* SEARCH of a million messages is one line */
	LITERAL_MAX_OCTETS = 64 * 1024,
	PIECE_MAX_OCTETS = 64 * 1024,
	TURN_MS = 1000,
};

struct imap_client {
	struct loop *loop;
	struct stream *stream;
	struct tls_context *tls;
	char *host;
	struct buffer in; /* from in_at on */
	size_t in_at;
	struct buffer line;  /* the response being read */
	struct buffer piece; /* of a content, while it is taken */
	struct buffer capabilities, text;
	unsigned last_tag;
	bool is_paused, is_over, is_secured, went_on;
	char problem[256];
};

static void set_problem(struct imap_client *client, const char *what)
{
	if (!client->is_over)
		snprintf(client->problem, sizeof(client->problem), "%s", what);
	client->is_over = true;
}

/* ---- the stream ---- */

static void on_input(struct stream *stream, struct cursor *in)
{
	struct imap_client *client = stream_user(stream);
	buffer_add(&client->in, cursor_rest(in));
	in->at = in->end;
	if (client->in.len - client->in_at >= IN_HIGH_OCTETS) {
		client->is_paused = true;
		stream_pause(stream);
	}
}

static void on_drained(struct stream *stream)
{
}

static void on_secured(struct stream *stream)
{
	((struct imap_client *)stream_user(stream))->is_secured = true;
}

static void on_timeout(struct stream *stream)
{
	set_problem(stream_user(stream), "it has not answered for five minutes");
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
		set_problem(client, why);
	} else if (how == STREAM_TLS) {
		set_problem(client, "TLS failed: perhaps it speaks none on this port");
	} else {
		set_problem(client, "it closed the connection");
	}
}

static const struct stream_events stream_events = { on_input, on_drained, on_secured, on_timeout,
						    on_ended };

static struct slice unread(const struct imap_client *client)
{
	return slice_sub(buffer_slice(&client->in), client->in_at, client->in.len);
}

static void consume(struct imap_client *client, size_t octets)
{
	client->in_at += octets;
	if (client->in_at == client->in.len) {
		buffer_clear(&client->in);
		client->in_at = 0;
	} else if (client->in_at >= IN_HIGH_OCTETS) {
		buffer_drop_front(&client->in, client->in_at);
		client->in_at = 0;
	}
	if (client->is_paused && client->in.len - client->in_at < IN_HIGH_OCTETS) {
		client->is_paused = false;
		stream_resume(client->stream);
	}
}

/* More input than `had` octets that wait already. */
static bool wait_for_more(struct imap_client *client, size_t had)
{
	while (!client->is_over && unread(client).len <= had) {
		if (client->is_paused) {
			client->is_paused = false;
			stream_resume(client->stream);
		}
		loop_run_once(client->loop, TURN_MS);
	}
	return unread(client).len > had;
}

/* ---- responses ---- */

/* Text of the line up to its end, which goes to client->line; the line end is taken. */
static bool read_text(struct imap_client *client)
{
	size_t looked_at = 0;
	for (;;) {
		struct slice in = unread(client);
		size_t end = slice_find_byte(in, looked_at, '\n');
		if (end < in.len) {
			size_t len = end > 0 && in.ptr[end - 1] == '\r' ? end - 1 : end;
			buffer_add(&client->line, slice_sub(in, 0, len));
			consume(client, end + 1);
			return true;
		}
		looked_at = in.len;
		if (in.len + client->line.len > LINE_MAX_OCTETS) {
			set_problem(client, "it sent a line that does not end");
			return false;
		}
		if (!wait_for_more(client, looked_at))
			return false;
	}
}

/* "{123}" or "~{123}" at the line's end, which is cut off. */
static bool cut_literal(struct imap_client *client, uint64_t *octets_out)
{
	struct slice line = buffer_slice(&client->line);
	size_t at = line.len;
	if (at < 3 || line.ptr[at - 1] != '}')
		return false;
	for (at--; at > 0 && ascii_is_digit(line.ptr[at - 1]); at--)
		;
	if (at == 0 || line.ptr[at - 1] != '{' ||
	    !slice_to_u64(slice_sub(line, at, line.len - 1 - at), INT64_MAX, octets_out))
		return false;
	client->line.len = at - 1;
	if (client->line.len > 0 && client->line.data[client->line.len - 1] == '~')
		client->line.len--;
	return true;
}

static bool take_content(struct imap_client *client, uint64_t octets,
			 const struct imap_events *events, void *user)
{
	while (octets > 0) {
		if (!wait_for_more(client, 0))
			return false;
		/* A copy: who takes it may wait, and what comes in meanwhile moves the rest. */
		size_t len = octets < PIECE_MAX_OCTETS ? octets : PIECE_MAX_OCTETS;
		buffer_clear(&client->piece);
		buffer_add(&client->piece, slice_sub(unread(client), 0, len));
		struct slice piece = buffer_slice(&client->piece);
		if (events && events->content)
			events->content(user, piece);
		octets -= piece.len;
		consume(client, piece.len);
	}
	return true;
}

static void add_quoted(struct buffer *out, struct slice text)
{
	buffer_add_byte(out, '"');
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] == '"' || text.ptr[i] == '\\')
			buffer_add_byte(out, '\\');
		buffer_add_byte(out, text.ptr[i]);
	}
	buffer_add_byte(out, '"');
}

static bool take_literal(struct imap_client *client, uint64_t octets)
{
	if (octets > LITERAL_MAX_OCTETS) {
		set_problem(client, "it sent a literal that is far too large");
		return false;
	}
	if (client->line.len > LINE_MAX_OCTETS) {
		set_problem(client, "it sent a line that does not end");
		return false;
	}
	while (unread(client).len < octets)
		if (!wait_for_more(client, unread(client).len))
			return false;
	add_quoted(&client->line, slice_sub(unread(client), 0, octets));
	consume(client, octets);
	return true;
}

static bool is_content(struct slice line)
{
	struct cursor c = cursor_of(line);
	uint64_t number;
	return take_word_nocase(&c, SLICE("* ")) && take_number(&c, UINT32_MAX, &number) &&
	       take_word_nocase(&c, SLICE(" FETCH ")) && line.len > 7 &&
	       slice_eq_nocase(slice_sub(line, line.len - 7, 7), SLICE("BODY[] "));
}

static bool read_response(struct imap_client *client, const struct imap_events *events, void *user)
{
	uint64_t octets;
	buffer_clear(&client->line);
	if (!read_text(client))
		return false;
	while (cut_literal(client, &octets)) {
		struct slice line = buffer_slice(&client->line);
		if (is_content(line)) {
			if (events && events->content_begin)
				events->content_begin(user, slice_sub(line, 2, line.len), octets);
			if (!take_content(client, octets, events, user))
				return false;
			buffer_add_cstr(&client->line, "{}");
		} else if (!take_literal(client, octets)) {
			return false;
		}
		if (!read_text(client))
			return false;
	}
	return true;
}

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
			set_problem(client, "it ended the session");
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
		if (!read_response(client, events, user))
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

void imap_add_string(struct buffer *out, struct slice text)
{
	add_quoted(out, text);
}

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
		if (!read_response(client, NULL, NULL) ||
		    understand(client, tag, NULL, NULL, outcome))
			return false;
	}
	return true;
}

static bool refuse_login(struct imap_client *client, enum imap_outcome outcome)
{
	char why[200];
	if (outcome != IMAP_BROKEN) {
		snprintf(why, sizeof(why), "it refused user or password: %.*s",
			 SLICE_ARG(slice_sub(buffer_slice(&client->text), 0, 120)));
		for (char *c = why; *c; c++)
			if ((uint8_t)*c < ' ' || *c == 0x7f)
				*c = '?';
		set_problem(client, why);
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
		loop_run_once(client->loop, TURN_MS);
	return client->is_secured;
}

static bool start_tls(struct imap_client *client)
{
	if (!ask_capabilities(client))
		return false;
	if (!imap_client_can(client, "STARTTLS")) {
		if (peer_is_loopback(stream_peer(client->stream)))
			return true;
		set_problem(client, "it offers no STARTTLS, and a password does not travel "
				    "unprotected; try imaps://");
		return false;
	}
	unsigned tag = imap_client_send(client, "STARTTLS");
	if (imap_client_wait(client, tag, NULL, NULL) != IMAP_OK)
		return false;
	/* Said before TLS, so perhaps by an attacker (RFC 9051 section 6.2.1). */
	buffer_clear(&client->capabilities);
	buffer_clear(&client->in);
	client->in_at = 0;
	return wait_secured(client) && ask_capabilities(client);
}

static bool greet(struct imap_client *client)
{
	if (!read_response(client, NULL, NULL))
		return false;
	struct slice line = buffer_slice(&client->line);
	if (!slice_starts_nocase(line, SLICE("* OK"))) {
		set_problem(client, "its greeting is not that of an IMAP server");
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

/* ---- words ---- */

static bool is_word_octet(uint8_t c)
{
	return c > ' ' && c != '(' && c != ')' && c != '"';
}

bool imap_take_word(struct cursor *at, struct arena *arena, struct slice *word_out)
{
	struct cursor c = *at;
	skip_blanks(&c);
	if (!take_byte(&c, '"')) {
		if (!take_while(&c, is_word_octet, word_out))
			return false;
		*at = c;
		return true;
	}
	size_t len = 0;
	const uint8_t *end = c.at;
	while (end < c.end && *end != '"')
		end += *end == '\\' && end + 1 < c.end ? 2 : 1;
	uint8_t *text = arena_alloc(arena, (size_t)(end - c.at) + 1);
	while (!at_end(&c) && *c.at != '"') {
		if (*c.at == '\\' && c.at + 1 < c.end)
			c.at++;
		text[len++] = *c.at++;
	}
	if (!take_byte(&c, '"'))
		return false;
	*word_out = slice_of(text, len);
	*at = c;
	return true;
}
