/* mail/address.h - mail addresses as SMTP and header fields write them.
 *
 * Two grammars: the strict one of the envelope (RFC 5321 section 4.1.2) and the lenient one
 * of header fields (RFC 5322 section 3.4 with its obsolete forms), which never fails: what
 * makes no sense is kept as text, so that no message is unreadable. Any thread. */
#pragma once

#include "base/arena.h"
#include "base/cursor.h"

/* local-part@domain, both without the quoting that SMTP may want. */
struct address {
	struct slice local; /* unquoted: "john smith" is the ten octets john smith */
	/* as written; "[192.0.2.1]" with its brackets for an address literal */
	struct slice domain;
};

/* RFC 5321 section 4.5.3.1, in octets as written: the local part with its quotes, the path
 * with its angle brackets and source route. */
enum { ADDRESS_MAX_LOCAL = 64, ADDRESS_MAX_DOMAIN = 255, ADDRESS_MAX_PATH = 256 };

/* Path = "<" [ A-d-l ":" ] Mailbox ">"; a source route is parsed and dropped (RFC 5321
 * appendix C). The reverse path may also be empty "<>": then both slices are empty.
 * `arena` holds what had to be unquoted; the rest points into the input. Take nothing on
 * failure. Both parts may be in UTF-8 (RFC 6531 section 3.3): who has not been promised that
 * asks address_is_ascii(). A domain in UTF-8 is one that domain_normalise() takes. */
bool take_reverse_path(struct cursor *c, struct arena *arena, struct address *address_out);
/* The forward path; also "<Postmaster>" without a domain (section 4.5.1): domain is empty. */
bool take_forward_path(struct cursor *c, struct arena *arena, struct address *address_out);
/* Mailbox = Local-part "@" ( Domain / address-literal ), alone. For the command line and SASL;
 * it may be in UTF-8 as well, and its domain may be none that domain_normalise() takes. */
bool address_parse(struct slice text, struct arena *arena, struct address *address_out);
/* Domain or address literal, as EHLO has it (section 4.1.1.1). */
bool take_domain_or_literal(struct cursor *c, struct slice *domain_out);
bool address_is_ascii(const struct address *address);
/* "local@domain" with the local part quoted where it must be; only the local part where the
 * domain is empty; "" for the empty reverse path. */
struct slice address_format(const struct address *address, struct arena *arena);

/* A domain's one form for comparing and for keys: A-labels, lower case, no final dot
 * (RFC 5890, by libidn2). False where it is none: an address literal is none either. */
bool domain_normalise(struct slice domain, struct arena *arena, struct slice *domain_out);
/* The local part's one form for our own lookups: lower case, and in Unicode's form C with the case
 * folded where it is not ASCII (RFC 6531). RFC 5321 section 2.4 leaves it to the receiving host;
 * nobody wants two mailboxes Bob and bob. Idempotent; never fails. */
struct slice local_normalise(struct slice local, struct arena *arena);

/* One entry of an address list in the shape of an IMAP ENVELOPE (RFC 9051 section 7.5.2):
 * an empty group name ends a group. The slices are as stored, not decoded (RFC 2047), but
 * without quotes, comments and folding: they hold no NUL, CR or LF. */
struct header_address {
	struct slice name;    /* display name, unquoted; ptr NULL: none */
	struct slice route;   /* source route; ptr NULL: none */
	struct slice mailbox; /* local part, or the group's name; ptr NULL: end of group */
	struct slice host;    /* ptr NULL: start or end of a group; empty: no domain was given */
};
/* A list ends there; what follows is left out. A group that was open is closed all the same. */
enum { ADDRESS_LIST_MAX = 10000 };
/* Parses the value of a From, To, ... field. Never fails; *count_out may be 0. Every group
 * that starts also ends. All of it lives in `arena`. */
struct header_address *address_list_parse(struct slice value, struct arena *arena,
					  size_t *count_out);
