/* mail/structure_text.h - the structure of a message in the words of IMAP's BODYSTRUCTURE (RFC 9051
 * section 7.5.2), made ready at arrival and kept beside the digest, so that telling it is little
 * more than a copy. Shorter than what a client reads: words that come in nearly every message are
 * one octet each. Any thread. */
#pragma once

#include "base/buffer.h"
#include "mail/mime.h"

void structure_text_encode(const struct mime_part *root, struct buffer *text);

/* How a client gets what is not the same for all: strings that cannot simply be quoted, and the
 * envelopes of messages inside (digest_decode_inner_envelope()). */
struct structure_telling {
	bool with_extension; /* BODYSTRUCTURE; without: BODY */
	void (*put_string)(struct structure_telling *telling, struct slice string,
			   struct buffer *out);
	/* False: it is damaged. */
	bool (*put_envelope)(struct structure_telling *telling, struct slice envelope,
			     struct buffer *out);
};
/* Appends what the client reads. Trusts nothing: false, and nothing appended, where the text is
 * damaged. */
bool structure_text_tell(struct slice text, struct structure_telling *telling, struct buffer *out);
