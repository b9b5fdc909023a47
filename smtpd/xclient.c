/* smtpd/xclient.c - XCLIENT, by which a mail proxy or filter says on whose behalf it speaks; as
 * Postfix has documented it. Runs in the front.
 *
 * Offered to the networks of [smtp] xclient alone, and by the address of the connection itself,
 * whoever it has spoken for before. The session starts over, with a greeting (220) and all that
 * comes before it. LOGIN is not
 * offered: who has signed in is the back's to say. */
#include "smtpd/session_priv.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "base/heap.h"
#include "mail/address.h"
#include "mail/xtext.h"

/* What is said of the client; the rest stays as it was. */
struct claims {
	struct peer peer;
	bool is_extended;
	struct slice client_name; /* empty: none */
	struct slice hostname;	  /* for the log */
};

bool smtp_may_claim(const struct smtp_session *s)
{
	const struct config *config = s->front->config;

	return !smtp_is_lmtp(s) &&
	       networks_contain(config->xclients, config->xclient_count, &s->connected_peer);
}

static bool is_unavailable(struct slice value)
{
	return slice_eq_nocase(value, SLICE("[UNAVAILABLE]")) ||
	       slice_eq_nocase(value, SLICE("[TEMPUNAVAIL]"));
}

static bool take_address(struct slice value, struct arena *arena, struct peer *peer)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(peer->port) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(peer->port) };
	struct slice prefix = SLICE("IPV6:");

	/* The unspecified address, which nobody has (RFC 4291 section 2.5.2): with none, the client
	 * would pass for a program of this machine. */
	if (is_unavailable(value)) {
		*peer = (struct peer){ .family = 6, .port = peer->port };
		return true;
	}
	if (slice_starts_nocase(value, prefix)) {
		value = slice_sub(value, prefix.len, value.len);
		if (inet_pton(AF_INET6, arena_string(arena, value), &v6.sin6_addr) != 1)
			return false;
		peer_from_sockaddr((const struct sockaddr *)&v6, peer);
		return true;
	}
	if (inet_pton(AF_INET, arena_string(arena, value), &v4.sin_addr) != 1)
		return false;
	peer_from_sockaddr((const struct sockaddr *)&v4, peer);
	return true;
}

static bool take_port(struct slice value, struct peer *peer)
{
	uint64_t port = 0;

	if (!is_unavailable(value) && !slice_to_u64(value, UINT16_MAX, &port))
		return false;
	peer->port = (uint16_t)port;
	return true;
}

/* The name that the client gave itself: it will stand in a trace header. */
static bool take_name(struct slice value, struct slice *name_out)
{
	struct cursor c = cursor_of(value);

	*name_out = SLICE_NONE;
	return is_unavailable(value) || (take_domain_or_literal(&c, name_out) && at_end(&c));
}

static bool take_claim(struct slice name, struct slice value, struct arena *arena,
		       struct claims *claims)
{
	if (value.len == 0 || memchr(value.ptr, '\0', value.len))
		return false;
	if (slice_eq_nocase(name, SLICE("ADDR")))
		return take_address(value, arena, &claims->peer);
	if (slice_eq_nocase(name, SLICE("PORT")))
		return take_port(value, &claims->peer);
	if (slice_eq_nocase(name, SLICE("HELO")))
		return take_name(value, &claims->client_name);
	if (slice_eq_nocase(name, SLICE("NAME"))) {
		claims->hostname = value;
		return true;
	}
	if (slice_eq_nocase(name, SLICE("PROTO"))) {
		claims->is_extended = slice_eq_nocase(value, SLICE("ESMTP"));
		return claims->is_extended || slice_eq_nocase(value, SLICE("SMTP"));
	}
	return false;
}

static bool is_not_blank(uint8_t c)
{
	return c != ' ';
}

static void start_over(struct smtp_session *s, const struct claims *claims)
{
	char peer[PEER_TEXT_MAX];

	smtp_sign_out(s);
	smtp_reset(s);
	/* What is asked about a client is asked about this one. */
	smtp_arrival_free(&s->arrival);
	s->has_arrived = false;
	smtp_set_state(s, SMTP_NEW);
	s->client.peer = claims->peer;
	s->is_extended = claims->is_extended;
	if (claims->client_name.len > 0) {
		free(s->client_name);
		s->client_name = heap_string(claims->client_name);
	}
	peer_format(&claims->peer, peer);
	log_info(&s->session.log, EVENT("speaks-for"), CSTR("peer", peer),
		 TEXT("name", claims->hostname), CSTR("helo", s->client_name));
}

/* 1*( SP attribute "=" xtext ) */
enum step smtp_xclient(struct smtp_session *s, struct cursor *args)
{
	struct claims claims = { .peer = s->client.peer, .is_extended = s->is_extended };
	struct arena *arena = &s->command_arena;
	struct slice word, value;

	if (at_end(args)) {
		smtp_reply(s, REPLY_NEEDS_ARGUMENT);
		return STEP_AGAIN;
	}
	while (take_while(args, is_not_blank, &word)) {
		size_t equals = slice_find_byte(word, 0, '=');
		if (!xtext_decode(slice_sub(word, equals + 1, word.len), arena, &value) ||
		    !take_claim(slice_sub(word, 0, equals), value, arena, &claims)) {
			smtp_reply(s, REPLY_BAD_ARGUMENT);
			return STEP_AGAIN;
		}
		skip_blanks(args);
	}
	start_over(s, &claims);
	return STEP_AGAIN;
}
