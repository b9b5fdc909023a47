/* mail/address.c - the addresses of the SMTP envelope, strictly.
 *
 * RFC 5321 sections 4.1.2 (paths), 4.1.3 (address literals), 4.5.1 (Postmaster) and 4.5.3.1
 * (limits, in octets also for UTF-8); RFC 6531 section 3.3 (SMTPUTF8). Runs in both. */
#include "mail/address.h"

#include <arpa/inet.h>

#include "mail/text_priv.h"

/* atext of RFC 5322 section 3.2.3, with UTF8-non-ascii, whose form is looked at once it is whole. */
static bool is_atext(uint8_t c)
{
	return ascii_is_alpha(c) || ascii_is_digit(c) || c >= 0x80 ||
	       (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

static bool is_let_dig(uint8_t c)
{
	return ascii_is_alpha(c) || ascii_is_digit(c);
}

static bool is_let_dig_hyphen(uint8_t c)
{
	return is_let_dig(c) || c == '-';
}

static bool is_utf8_let_dig_hyphen(uint8_t c)
{
	return is_let_dig_hyphen(c) || c >= 0x80;
}

/* dcontent = %d33-90 / %d94-126 */
static bool is_dcontent(uint8_t c)
{
	return (c >= 33 && c <= 90) || (c >= 94 && c <= 126);
}

static struct slice between(const uint8_t *start, const struct cursor *c)
{
	return slice_of(start, (size_t)(c->at - start));
}

/* sub-domain = Let-dig [Ldh-str], joined by "." */
static bool take_labels(struct cursor *c, bool (*is_member)(uint8_t), struct slice *domain_out)
{
	struct cursor at = *c;
	struct slice label;
	do {
		if (!take_while(&at, is_member, &label) || label.ptr[0] == '-' ||
		    label.ptr[label.len - 1] == '-')
			return false;
	} while (take_byte(&at, '.'));
	struct slice domain = between(c->at, &at);
	if (domain.len > ADDRESS_MAX_DOMAIN)
		return false;
	*domain_out = domain;
	*c = at;
	return true;
}

static bool take_domain(struct cursor *c, struct slice *domain_out)
{
	return take_labels(c, is_let_dig_hyphen, domain_out);
}

/* IPv4-address-literal = Snum 3("." Snum), the whole of `text` */
static bool is_ipv4(struct slice text)
{
	struct cursor c = cursor_of(text);
	for (int i = 0; i < 4; i++) {
		uint64_t number;
		if (i > 0 && !take_byte(&c, '.'))
			return false;
		const uint8_t *start = c.at;
		if (!take_number(&c, 255, &number) || c.at - start > 3)
			return false;
	}
	return at_end(&c);
}

/* IPv6-addr, the whole of `text`. The library also takes a "::" that stands for one group. */
static bool is_ipv6(struct slice text)
{
	char string[INET6_ADDRSTRLEN];
	struct in6_addr address;
	if (text.len == 0 || text.len >= sizeof(string) || memchr(text.ptr, '\0', text.len))
		return false;
	memcpy(string, text.ptr, text.len);
	string[text.len] = '\0';
	return inet_pton(AF_INET6, string, &address) == 1;
}

/* General-address-literal = Standardized-tag ":" 1*dcontent. No tag but IPv6 was ever
 * registered; what has another is well-formed, and nobody's. */
static bool is_general_literal(struct slice text)
{
	struct cursor c = cursor_of(text);
	struct slice tag;
	return take_while(&c, is_let_dig_hyphen, &tag) && tag.ptr[tag.len - 1] != '-' &&
	       !slice_eq_nocase(tag, SLICE("IPv6")) && take_byte(&c, ':') && !at_end(&c);
}

/* address-literal = "[" ( IPv4 / "IPv6:" IPv6 / General ) "]" */
static bool take_literal(struct cursor *c, struct slice *literal_out)
{
	struct cursor at = *c;
	struct slice inside;
	if (!take_byte(&at, '[') || !take_while(&at, is_dcontent, &inside) || !take_byte(&at, ']'))
		return false;
	struct slice literal = between(c->at, &at);
	bool known = slice_starts_nocase(inside, SLICE("IPv6:"))
			     ? is_ipv6(slice_sub(inside, 5, inside.len))
			     : is_ipv4(inside) || is_general_literal(inside);
	if (!known || literal.len > ADDRESS_MAX_DOMAIN)
		return false;
	*literal_out = literal;
	*c = at;
	return true;
}

bool take_domain_or_literal(struct cursor *c, struct slice *domain_out)
{
	return take_domain(c, domain_out) || take_literal(c, domain_out);
}

/* Dot-string = Atom *("." Atom) */
static bool take_dot_string(struct cursor *c, struct slice *local_out)
{
	struct cursor at = *c;
	struct slice atom;
	do {
		if (!take_while(&at, is_atext, &atom))
			return false;
	} while (take_byte(&at, '.'));
	*local_out = between(c->at, &at);
	*c = at;
	return true;
}

/* Quoted-string = DQUOTE *( qtextSMTP / quoted-pairSMTP ) DQUOTE: printable ASCII, of which
 * the quote and the backslash want a backslash before them. */
static bool take_quoted_string(struct cursor *c, struct arena *arena, struct slice *local_out)
{
	struct cursor at = *c;
	uint8_t text[ADDRESS_MAX_LOCAL];
	size_t len = 0;
	if (!take_byte(&at, '"'))
		return false;
	while (!take_byte(&at, '"')) {
		take_byte(&at, '\\');
		if (at_end(&at) || *at.at < 32 || *at.at == 127 || len == sizeof(text))
			return false;
		text[len++] = *at.at++;
	}
	*local_out = arena_copy(arena, slice_of(text, len));
	*c = at;
	return true;
}

/* Local-part = Dot-string / Quoted-string */
static bool take_local_part(struct cursor *c, struct arena *arena, struct slice *local_out)
{
	struct cursor at = *c;
	struct slice local;
	if (!take_dot_string(&at, &local) && !take_quoted_string(&at, arena, &local))
		return false;
	if (at.at - c->at > ADDRESS_MAX_LOCAL || !text_is_utf8(local))
		return false;
	*local_out = local;
	*c = at;
	return true;
}

/* A-d-l ":" = At-domain *( "," At-domain ) ":" */
static void skip_source_route(struct cursor *c)
{
	struct cursor at = *c;
	struct slice domain;
	do {
		if (!take_byte(&at, '@') || !take_domain(&at, &domain))
			return;
	} while (take_byte(&at, ','));
	if (take_byte(&at, ':'))
		*c = at;
}

/* U-labels by the rules of IDNA; the names that are looked up are A-labels (RFC 5890). */
static bool take_utf8_domain(struct cursor *c, struct arena *arena, struct slice *domain_out)
{
	struct cursor at = *c;
	struct slice domain, ignored;
	if (!take_labels(&at, is_utf8_let_dig_hyphen, &domain) ||
	    (!text_is_ascii(domain) && !domain_normalise(domain, arena, &ignored)))
		return false;
	*domain_out = domain;
	*c = at;
	return true;
}

static bool take_path(struct cursor *c, struct arena *arena, struct address *address_out)
{
	struct cursor at = *c;
	struct address address;
	if (!take_byte(&at, '<'))
		return false;
	skip_source_route(&at);
	if (!take_local_part(&at, arena, &address.local) || !take_byte(&at, '@') ||
	    !(take_utf8_domain(&at, arena, &address.domain) ||
	      take_literal(&at, &address.domain)) ||
	    !take_byte(&at, '>') || at.at - c->at > ADDRESS_MAX_PATH)
		return false;
	*address_out = address;
	*c = at;
	return true;
}

bool take_reverse_path(struct cursor *c, struct arena *arena, struct address *address_out)
{
	if (take_word_nocase(c, SLICE("<>"))) {
		*address_out = (struct address){ SLICE_NONE, SLICE_NONE };
		return true;
	}
	return take_path(c, arena, address_out);
}

bool take_forward_path(struct cursor *c, struct arena *arena, struct address *address_out)
{
	const uint8_t *start = c->at;
	if (take_word_nocase(c, SLICE("<Postmaster>"))) {
		*address_out = (struct address){ slice_of(start + 1, 10), SLICE_NONE };
		return true;
	}
	return take_path(c, arena, address_out);
}

bool address_parse(struct slice text, struct arena *arena, struct address *address_out)
{
	struct cursor c = cursor_of(text);
	struct address address;
	if (!take_local_part(&c, arena, &address.local) || !take_byte(&c, '@') ||
	    !(take_labels(&c, is_utf8_let_dig_hyphen, &address.domain) ||
	      take_literal(&c, &address.domain)) ||
	    !at_end(&c))
		return false;
	*address_out = address;
	return true;
}

bool address_is_ascii(const struct address *address)
{
	return text_is_ascii(address->local) && text_is_ascii(address->domain);
}

static bool is_dot_string(struct slice local)
{
	struct cursor c = cursor_of(local);
	struct slice taken;
	return take_dot_string(&c, &taken) && at_end(&c);
}

struct slice address_format(const struct address *address, struct arena *arena)
{
	struct slice local = address->local, domain = address->domain;
	if (local.len == 0 && domain.len == 0)
		return SLICE("");
	bool quoted = !is_dot_string(local);
	/* Each octet of the local part may want a backslash; two quotes and the "@". */
	uint8_t *text = arena_alloc(arena, 2 * local.len + domain.len + 3);
	uint8_t *at = text;
	if (quoted)
		*at++ = '"';
	for (size_t i = 0; i < local.len; i++) {
		if (local.ptr[i] == '"' || local.ptr[i] == '\\')
			*at++ = '\\';
		*at++ = local.ptr[i];
	}
	if (quoted)
		*at++ = '"';
	if (domain.len) {
		*at++ = '@';
		memcpy(at, domain.ptr, domain.len);
		at += domain.len;
	}
	return slice_of(text, (size_t)(at - text));
}
