/* runtime/program_message.h - what a program of this machine says to the server over the socket of
 * [listen] sendmail, and what it hears: one message, in one go. Values only; any thread.
 *
 *   be32 length of the head, the head, then size_octets of the message, whose lines end with CRLF;
 *   what its header lacks the server adds
 *   the answer: an octet for each recipient, an enum err
 *
 * Who the program runs as is not said: the kernel is asked. Decoding trusts nothing. */
#pragma once

#include "base/buffer.h"
#include "base/err.h"

enum {
	PROGRAM_HEAD_MAX_OCTETS = 512 * 1024,
	PROGRAM_PATH_MAX_OCTETS = 1000,
};

struct program_message {
	/* This and the others: at most PROGRAM_PATH_MAX_OCTETS, none of them a control octet. Without
	 * angle brackets; empty: the null sender. */
	struct slice reverse_path;
	uint64_t size_octets;
	uint32_t recipient_count; /* at least one */
	struct slice recipients;  /* encoded */
};
struct program_recipient {
	struct slice forward_path;
	struct slice fallback; /* who gets it if nobody has that address; empty: nobody */
};

/* All but the recipients; then program_encode_recipient() for each. */
void program_encode(const struct program_message *message, struct buffer *out);
void program_encode_recipient(const struct program_recipient *recipient, struct buffer *out);
/* The whole head. When it is true all recipients have been walked once. */
bool program_decode(struct slice head, struct program_message *message_out);
bool program_next_recipient(struct slice *recipients, struct program_recipient *recipient_out);
