/* mail/downgrade.h - a message in a form that a server without 8BITMIME or BINARYMIME takes
 * (RFC 6152 section 3, RFC 3030 section 3).
 *
 * Bodies of parts that no such server may be given are encoded, and their labels changed; all else
 * stays octet for octet. Decoded, each part has what it had. A message that needs none of it is not
 * touched, though a label may say "8bit" of ASCII: a signature of DKIM would break. "binary" is no label
 * for such a server and is changed; in what is signed (RFC 1847) it stays.
 *
 * The message is read twice: once to find out what has to be done and how long the result gets, which
 * the other server is told first (RFC 1870), and again as it is sent. Memory is a few chunks and a
 * record for each part, whatever the size. One thread at a time. */
#pragma once

#include "base/buffer.h"
#include "base/err.h"
#include "mail/mime.h"

/* Where the message lies. Appends `len` octets from `offset` on; whole chunks of
 * DOWNGRADE_CHUNK_OCTETS are asked for, in ascending order for the most part. */
enum { DOWNGRADE_CHUNK_OCTETS = 64 * 1024 };
struct downgrade_source {
	enum err (*read)(void *user, uint64_t offset, size_t len, struct buffer *out);
	void *user;
};

enum downgrade_form {
	DOWNGRADE_TO_7BIT,	  /* as RFC 2045 section 2.7 has it */
	DOWNGRADE_BODIES_TO_7BIT, /* header fields may have octets above 127, which stay */
	DOWNGRADE_TO_8BIT,	  /* section 2.8; likewise */
};

enum downgrade_verdict {
	DOWNGRADE_NEEDLESS, /* it has that form */
	DOWNGRADE_PLANNED,
	/* It cannot be had without loss: */
	DOWNGRADE_HEADER, /* a header has octets above 127, NUL, or a CR that hides a delimiter */
	DOWNGRADE_SIGNED, /* what has to be encoded is signed (RFC 1847 section 2.1) */
	DOWNGRADE_FORBIDDEN, /* in message/partial or message/external-body (RFC 2046 section 5.2) */
	DOWNGRADE_ENCODING,  /* it is in an encoding that is not MIME's, such as uuencode */
	DOWNGRADE_LIMIT, /* more or deeper parts, or longer headers, than mail/mime.h looks into */
	DOWNGRADE_VERDICTS,
};

struct downgrade;
struct downgrade_outcome {
	enum downgrade_verdict verdict;
	struct downgrade *plan; /* with DOWNGRADE_PLANNED, else NULL; the caller's */
	uint64_t size_octets;	/* of the result, with DOWNGRADE_PLANNED */
	size_t encoded;		/* how many bodies */
	bool breaks_dkim;	/* there is a DKIM-Signature, which will not hold any more */
	bool leaves_header;	/* with octets above 127, in DOWNGRADE_BODIES_TO_7BIT */
};
/* `root` is the structure of the whole message; it may go afterwards. What lies before `start`, within
 * its header, is left out. ERR_DAMAGED where the structure is not one of this message; else what
 * reading fails with. */
enum err downgrade_plan(const struct downgrade_source *source, const struct mime_part *root,
			uint64_t start, enum downgrade_form form,
			struct downgrade_outcome *outcome_out) MUST_USE;
/* Appends more of the result: `about` so many octets, with one header or three times as much over it at
 * most; nothing at the end. */
enum err downgrade_read(struct downgrade *plan, const struct downgrade_source *source, size_t about,
			struct buffer *out) MUST_USE;
/* The next downgrade_read() begins anew; what is held of the message goes. */
void downgrade_rewind(struct downgrade *plan);
/* Accepts NULL, leaves NULL. */
void downgrade_free(struct downgrade **plan);
