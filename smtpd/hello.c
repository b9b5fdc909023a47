/* smtpd/hello.c - the greeting, HELO and EHLO (RFC 5321 sections 3.1, 3.2 and 4.1.1.1). Runs in
 * the front. LHLO is EHLO by another name (RFC 2033 section 4.1).
 *
 * Left out: any check of the name against the client's address. Section 4.1.4 forbids to
 * refuse mail for it. A name that is none (with an underscore, in another alphabet) is taken as
 * well unless [smtp] helo says otherwise: real clients have such. */
#include "smtpd/session_priv.h"

#include <stdlib.h>

#include "base/heap.h"
#include "mail/address.h"

enum step smtp_greet(struct smtp_session *s)
{
	buffer_add_format(&s->session.out, "220 %s %s Bode\r\n", s->front->config->hostname,
			  smtp_is_lmtp(s) ? "LMTP" : "ESMTP");
	smtp_set_state(s, SMTP_FRESH);
	return STEP_AGAIN;
}

/* Whatever it is, made fit to stand in a trace header. */
static bool take_odd_name(struct smtp_session *s, struct cursor *args, struct slice *name_out)
{
	struct slice word = cursor_rest(args);
	word = slice_sub(word, 0, slice_find_byte(word, 0, ' '));
	if (word.len == 0 || word.len > ADDRESS_MAX_DOMAIN)
		return false;
	uint8_t *name = arena_alloc(&s->command_arena, word.len);
	for (size_t i = 0; i < word.len; i++) {
		uint8_t c = word.ptr[i];
		bool is_plain = ascii_is_alpha(c) || ascii_is_digit(c) || c == '.' || c == '-' ||
				c == '_' || c == ':' || c == '[' || c == ']';
		name[i] = is_plain ? c : '?';
	}
	*name_out = slice_of(name, word.len);
	args->at += word.len;
	return true;
}

static bool is_strict(const struct smtp_session *s)
{
	return s->front->config->helo == HELO_STRICT && s->service == SERVICE_SMTP &&
	       !limits_trusts(s->front->limits, &s->client.peer);
}

/* What [smtp] helo = strict has against the name. */
static enum smtp_reply_name strict_refusal(const struct smtp_session *s, struct slice name)
{
	const struct front *front = s->front;
	if (!is_strict(s))
		return REPLY_NONE;
	if (slice_eq_nocase(name, slice_cstr(front->config->hostname)))
		return REPLY_HELO_IS_OURS;
	bool is_full = name.ptr[0] == '[' || slice_find_byte(name, 0, '.') < name.len;
	return is_full ? REPLY_NONE : REPLY_HELO_NOT_FULL;
}

/* The client's name, and perhaps words behind it: older clients were told to add them, and a
 * server is "to be prepared for this string to occur". False: refused, nothing has changed. */
static bool take_client_name(struct smtp_session *s, struct cursor *args)
{
	struct slice name;

	if (at_end(args)) {
		smtp_reply(s, REPLY_NEEDS_ARGUMENT);
		return false;
	}
	struct cursor odd = *args;
	bool is_name = take_domain_or_literal(args, &name) && (at_end(args) || next_is(args, ' '));
	if (!is_name && (is_strict(s) || !take_odd_name(s, &odd, &name))) {
		smtp_reply(s, REPLY_BAD_HELO);
		return false;
	}
	enum smtp_reply_name refusal = strict_refusal(s, name);
	if (refusal != REPLY_NONE) {
		smtp_reply(s, refusal);
		return false;
	}
	free(s->client_name);
	s->client_name = heap_string(name);
	/* As if RSET had been said (section 4.1.4). */
	smtp_reset(s);
	smtp_set_state(s, SMTP_READY);
	return true;
}

enum step smtp_helo(struct smtp_session *s, struct cursor *args)
{
	if (take_client_name(s, args)) {
		s->is_extended = false;
		buffer_add_format(&s->session.out, "250 %s\r\n", s->front->config->hostname);
	}
	return STEP_AGAIN;
}

/* Exactly what works on this connection now. HELP must be named, since section 4.5.1 does not
 * list it as required. */
enum step smtp_ehlo(struct smtp_session *s, struct cursor *args)
{
	struct buffer *out = &s->session.out;

	if (!take_client_name(s, args))
		return STEP_AGAIN;
	s->is_extended = true;
	buffer_add_format(out, "250-%s\r\n", s->front->config->hostname);
	smtp_announce(s, out);
	buffer_add_cstr(out, "250 HELP\r\n");
	return STEP_AGAIN;
}
