/* runtime/envelope.h - what goes with a message besides its content: what MAIL said of it, and
 * for each recipient what RCPT said. Made by the session in the front, travels to the back and
 * from there to mda/ and into the queue. Values only; slices are borrowed; any thread.
 *
 * Its encoding is the only one: one envelope, one row of octets. Decoding trusts nothing. */
#pragma once

#include "base/arena.h"
#include "base/buffer.h"

/* BODY (RFC 6152, RFC 3030); a client that names none promises 7BIT, and many break it. */
enum envelope_body { ENVELOPE_7BIT, ENVELOPE_8BITMIME, ENVELOPE_BINARYMIME, ENVELOPE_BODY_COUNT };

/* RET (RFC 3461 section 4.3): what a notice of failure quotes. */
enum envelope_return { DSN_RETURN_UNSAID, DSN_RETURN_FULL, DSN_RETURN_HEADERS, DSN_RETURN_COUNT };

/* NOTIFY (RFC 3461 section 4.1), bits; NEVER stands alone. Nothing said: DSN_UNSAID, and
 * failures are told, delays may be. */
enum {
	DSN_UNSAID = 0,
	DSN_NEVER = 1,
	DSN_SUCCESS = 2,
	DSN_FAILURE = 4,
	DSN_DELAY = 8,
};

/* BY (RFC 2852): what to do with what is not delivered by then. */
enum deliver_by { DELIVER_BY_NONE, DELIVER_BY_RETURN, DELIVER_BY_NOTIFY, DELIVER_BY_COUNT };

enum {
	ENVELOPE_PATH_MAX_OCTETS = 1000,
	ENVID_MAX_OCTETS = 100, /* RFC 3461 section 4.4 */
	ORCPT_MAX_OCTETS = 500, /* RFC 3461 section 4.2 */
	PRIORITY_MIN = -9,	/* RFC 6710 section 4.2 */
	PRIORITY_MAX = 9,
	BY_MAX_SECONDS = 999999999, /* RFC 2852 section 4 */
};
/* The last second that a date has four digits for the year of: what is later is no time. */
#define ENVELOPE_UNIX_MAX INT64_C(253402300799)

struct envelope {
	struct slice reverse_path; /* without angle brackets; empty: the null sender */
	bool is_utf8;		   /* SMTPUTF8 (RFC 6531): address or header is in UTF-8 */
	bool requires_tls;	   /* REQUIRETLS (RFC 8689) */
	enum envelope_body body;
	enum envelope_return returns;
	struct slice envid;	 /* ENVID as it came, in xtext; empty: none */
	int8_t priority;	 /* MT-PRIORITY (RFC 6710) */
	int64_t hold_until_unix; /* FUTURERELEASE (RFC 4865); 0: at once */
	enum deliver_by deliver_by;
	bool traces_deliver_by;	  /* DELIVERBY's "T": tell of each relay */
	int64_t deliver_by_unix;  /* unless DELIVER_BY_NONE */
	uint32_t recipient_count; /* at least one */
	struct slice recipients;  /* encoded; envelope_next_recipient() walks them */
};

struct envelope_recipient {
	struct slice forward_path; /* without angle brackets and source route */
	struct slice orcpt; /* ORCPT as it came: "rfc822;" and xtext, or RFC 6533's; empty: none */
	uint8_t notify;	    /* DSN_ bits */
};

/* All but `recipients`; then envelope_encode_recipient() for each of recipient_count. */
void envelope_encode(const struct envelope *envelope, struct buffer *out);
void envelope_encode_recipient(const struct envelope_recipient *recipient, struct buffer *out);
/* The whole of `octets`. All recipients have been walked once when it is true, so that who walks
 * them later need not doubt. */
bool envelope_decode(struct slice octets, struct envelope *envelope_out);
/* Its slices live in the arena. */
void envelope_copy(const struct envelope *envelope, struct arena *arena,
		   struct envelope *envelope_out);
bool envelope_next_recipient(struct slice *recipients, struct envelope_recipient *recipient_out);
