/* smtpd/relay/client.c - a connection to another server, up to the point where it takes mail
 * (RFC 5321 sections 3.1, 3.2, 4.1.1.1; STARTTLS of RFC 3207; LMTP of RFC 2033). Runs in the front.
 *
 * What the server says is text of a stranger: it is framed, limited and cleaned, and never trusted
 * to be polite. */
#include "smtpd/relay/client_priv.h"

#include <stdarg.h>
#include <stdio.h>

#include "auth/scram_client.h"

void client_init(struct client *client, const struct client_options *options, struct log *log)
{
	*client = (struct client){ .options = *options, .log = log };
	client->is_secure = options->is_secure;
}

void client_fini(struct client *client)
{
	reply_reader_fini(&client->reader);
	buffer_free(&client->trouble);
	buffer_wipe(&client->out);
	arena_fini(&client->arena);
	scram_client_free(&client->scram);
}

uint64_t client_timeout_ms(const struct client *client)
{
	enum { MINUTE_MS = 60 * 1000 };
	switch (client->state) {
	case CLIENT_READY: return 10 * 1000; /* ours: kept for more mail */
	case CLIENT_GO: return 2 * MINUTE_MS;
	case CLIENT_CONTENT: return 3 * MINUTE_MS;
	case CLIENT_END: return 10 * MINUTE_MS;
	case CLIENT_SECURING: return 1 * MINUTE_MS;
	case CLIENT_QUIT:
	case CLIENT_OVER: return 10 * 1000;
	default: return 5 * MINUTE_MS;
	}
}

static void say_hello(struct client *client, enum client_state state)
{
	client->state = state;
	client->features = 0;
	client->size_max_octets = 0;
	buffer_add_format(&client->out, "%s %s\r\n",
			  client->options.is_lmtp ? "LHLO"
			  : state == CLIENT_EHLO  ? "EHLO"
						  : "HELO",
			  client->options.hostname);
}

/* ---- the end ---- */

enum client_wish client_close(struct client *client, const char *why, const struct reply *reply)
{
	struct buffer *words = &client->trouble;
	buffer_clear(words);
	if (reply)
		reply_words(reply, DELIVERY_WORDS_MAX_OCTETS, words);
	else
		reply_clean(slice_cstr(why), DELIVERY_WORDS_MAX_OCTETS, words);
	if (client->is_busy) {
		client_fail_rest(client, DELIVERY_LATER, reply ? reply->code : 0,
				 reply ? NULL : "4.4.2", buffer_slice(words));
		/* While the message is being converted it has nothing to answer, and waits for us. */
		if (!client->accepted_count && !client->mail_refused &&
		    client->state != CLIENT_FORM)
			client->is_down = true;
	}
	client->state = CLIENT_OVER;
	return CLIENT_IS_OVER;
}

void client_abandon(struct client *client, const char *why)
{
	if (client->state == CLIENT_OVER)
		return;
	/* With BDAT or a dot sent, the server may have taken it all the same. */
	if (client->is_busy && client->state == CLIENT_END)
		client->is_uncertain = true;
	client_close(client, why, NULL);
}

void client_quit(struct client *client)
{
	buffer_add_cstr(&client->out, "QUIT\r\n");
	client->state = CLIENT_QUIT;
}

/* ---- features ---- */

static uint32_t auth_features(struct slice words)
{
	uint32_t features = 0;
	while (words.len > 0) {
		size_t end = slice_find_byte(words, 0, ' ');
		struct slice word = slice_sub(words, 0, end);
		words = slice_sub(words, end + 1, words.len);
		if (slice_eq_nocase(word, SLICE("PLAIN")))
			features |= FEATURE_AUTH_PLAIN;
		else if (slice_eq_nocase(word, SLICE("LOGIN")))
			features |= FEATURE_AUTH_LOGIN;
		else if (slice_eq_nocase(word, SLICE("SCRAM-SHA-256")))
			features |= FEATURE_AUTH_SCRAM;
	}
	return features;
}

static void note_feature(struct client *client, struct slice line)
{
	static const struct {
		const char *name;
		uint32_t feature;
	} known[] = {
		{ "STARTTLS", FEATURE_STARTTLS },
		{ "PIPELINING", FEATURE_PIPELINING },
		{ "CHUNKING", FEATURE_CHUNKING },
		{ "8BITMIME", FEATURE_8BITMIME },
		{ "BINARYMIME", FEATURE_BINARYMIME },
		{ "SMTPUTF8", FEATURE_SMTPUTF8 },
		{ "DSN", FEATURE_DSN },
		{ "ENHANCEDSTATUSCODES", FEATURE_ENHANCED },
		{ "MT-PRIORITY", FEATURE_PRIORITY },
		{ "DELIVERBY", FEATURE_DELIVERBY },
		{ "REQUIRETLS", FEATURE_REQUIRETLS },
	};
	size_t end = slice_find_byte(line, 0, ' ');
	struct slice name = slice_sub(line, 0, end);
	struct slice value = slice_trim(slice_sub(line, end, line.len));
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (slice_eq_nocase(name, slice_cstr(known[i].name)))
			client->features |= known[i].feature;
	if (slice_eq_nocase(name, SLICE("SIZE"))) {
		client->features |= FEATURE_SIZE;
		if (!slice_to_u64(value, UINT64_MAX, &client->size_max_octets))
			client->size_max_octets = 0;
	} else if (slice_eq_nocase(name, SLICE("DELIVERBY"))) {
		uint64_t seconds = 0;
		/* Several numbers may stand there; the first is what counts (RFC 2852 section 3). */
		value.len = slice_find_byte(value, 0, ',');
		(void)slice_to_u64(value, BY_MAX_SECONDS, &seconds);
		client->by_min_seconds = (uint32_t)seconds;
	} else if (slice_eq_nocase(name, SLICE("AUTH"))) {
		client->features |= auth_features(value);
	}
}

/* The first line is the server's name. */
static void note_features(struct client *client, struct slice text)
{
	bool is_first = true;
	while (text.len > 0) {
		size_t end = slice_find_byte(text, 0, '\n');
		if (!is_first)
			note_feature(client, slice_trim(slice_sub(text, 0, end)));
		is_first = false;
		text = slice_sub(text, end + 1, text.len);
	}
}

/* ---- the beginning ---- */

enum client_wish client_set_ready(struct client *client)
{
	client->state = CLIENT_READY;
	client->was_greeted = true;
	return CLIENT_IS_READY;
}

/* What the server can do is known. */
static enum client_wish after_hello(struct client *client)
{
	if (!client->is_secure && client->options.tls != CLIENT_TLS_NONE) {
		if (client->features & FEATURE_STARTTLS) {
			buffer_add_cstr(&client->out, "STARTTLS\r\n");
			client->state = CLIENT_STARTTLS;
			return CLIENT_WANTS_INPUT;
		}
		if (client->options.tls == CLIENT_TLS_MUST) {
			client->lacks_tls = true;
			return client_close(client,
					    "the server does not offer TLS, which is "
					    "demanded here",
					    NULL);
		}
	}
	if (client->options.user && !client->is_signed_in)
		return client_auth_begin(client);
	return client_set_ready(client);
}

static enum client_wish hello_reply(struct client *client, const struct reply *reply)
{
	if (reply->code / 100 == 2) {
		if (client->state == CLIENT_EHLO)
			note_features(client, reply->text);
		return after_hello(client);
	}
	/* Older than ESMTP (RFC 5321 section 3.2). */
	if (client->state == CLIENT_EHLO && reply->code / 100 == 5 && !client->options.is_lmtp) {
		say_hello(client, CLIENT_HELO);
		return CLIENT_WANTS_INPUT;
	}
	return client_close(client, NULL, reply);
}

static enum client_wish starttls_reply(struct client *client, const struct reply *reply)
{
	if (reply->code == 220) {
		client->state = CLIENT_SECURING;
		return CLIENT_WANTS_TLS;
	}
	if (client->options.tls == CLIENT_TLS_MUST) {
		client->lacks_tls = true;
		return client_close(client, NULL, reply);
	}
	client->options.tls = CLIENT_TLS_NONE; /* offered and refused: then in the clear */
	return after_hello(client);
}

/* All that was said before the handshake is forgotten (RFC 3207 section 4.2). */
enum client_wish client_secured(struct client *client)
{
	client->is_secure = true;
	say_hello(client, CLIENT_EHLO);
	return CLIENT_WANTS_INPUT;
}

static enum client_wish greeting(struct client *client, const struct reply *reply)
{
	if (reply->code != 220)
		return client_close(client, NULL, reply);
	say_hello(client, CLIENT_EHLO);
	return CLIENT_WANTS_INPUT;
}

static enum client_wish take_reply(struct client *client, const struct reply *reply)
{
	client->steps++;
	/* The server leaves, whatever was asked (RFC 5321 section 3.8). */
	if (reply->code == 421 && client->state != CLIENT_QUIT)
		return client_close(client, NULL, reply);
	switch (client->state) {
	case CLIENT_GREETING: return greeting(client, reply);
	case CLIENT_EHLO:
	case CLIENT_HELO: return hello_reply(client, reply);
	case CLIENT_STARTTLS: return starttls_reply(client, reply);
	case CLIENT_AUTH: return client_auth_reply(client, reply);
	case CLIENT_ENVELOPE:
	case CLIENT_GO:
	case CLIENT_CONTENT:
	case CLIENT_END: return client_mail_reply(client, reply);
	case CLIENT_RESET:
		return reply->code / 100 == 2 ? client_set_ready(client)
					      : client_close(client, NULL, reply);
	case CLIENT_SECURING:
		return client_close(client, "the server spoke without being asked", NULL);
	case CLIENT_READY:
	case CLIENT_FORM:
	case CLIENT_QUIT:
	case CLIENT_OVER: break;
	}
	client->state = CLIENT_OVER;
	return CLIENT_IS_OVER;
}

/* Whatever it is: it would be taken for the reply to what is said next. */
static enum client_wish close_unasked(struct client *client, struct cursor *in)
{
	in->at = in->end;
	return client_close(client, "the server spoke without being asked", NULL);
}

enum client_wish client_feed(struct client *client, struct cursor *in)
{
	enum client_wish wish =
		client->state == CLIENT_CONTENT ? CLIENT_WANTS_CONTENT : CLIENT_WANTS_INPUT;
	struct reply reply;
	if ((client->state == CLIENT_READY || client->state == CLIENT_FORM) && !at_end(in))
		return close_unasked(client, in);
	while (client->state != CLIENT_OVER) {
		switch (reply_take(&client->reader, in, &reply)) {
		case REPLY_PARTIAL: return wish;
		case REPLY_BROKEN:
			if (client->is_busy && client->state == CLIENT_END)
				client->is_uncertain = true;
			return client_close(client, "the server does not speak SMTP", NULL);
		case REPLY_TAKEN: break;
		}
		size_t said_octets = client->out.len;
		wish = take_reply(client, &reply);
		if (at_end(in) || client->state == CLIENT_OVER || wish == CLIENT_WANTS_TLS) {
			; /* the last one; or what follows is of no interest */
		} else if (wish == CLIENT_HAS_RESULT) {
			client->has_surplus = true;
			in->at = in->end;
		} else if (wish == CLIENT_IS_READY || client->out.len > said_octets) {
			/* All was answered, and what is said now has not even gone out. */
			client->was_greeted &= client->is_busy;
			return close_unasked(client, in);
		}
		if (wish != CLIENT_WANTS_INPUT && wish != CLIENT_WANTS_CONTENT)
			return wish;
	}
	return CLIENT_IS_OVER;
}
