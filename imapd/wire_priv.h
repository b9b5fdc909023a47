/* imapd/wire_priv.h - strings on their way to the client (RFC 9051 sections 4.3 and 9).
 *
 * A string is quoted where that is possible and short, else a literal. `utf8` says whether
 * the client has enabled what allows UTF-8 inside quotes (IMAP4rev2); without it, octets
 * above 127 go as a literal, which may hold any octet but NUL. A literal cannot hold NUL
 * (CHAR8), so NUL leaves as the octet 0x80: one for one, so that sizes and offsets stay true.
 * Who needs such a message exactly asks for BINARY[]. */
#pragma once

#include "base/buffer.h"

enum {
	WIRE_QUOTED_MAX_OCTETS = 1024, /* longer ones are literals: no client buffers a line long */
	WIRE_NUL = 0x80,
};

/* string = quoted / literal */
void wire_string(struct buffer *out, struct slice s, bool utf8);
/* nstring = string / nil: NIL where s.ptr is NULL. */
void wire_nstring(struct buffer *out, struct slice s, bool utf8);
/* astring: an atom where it is one, and not the word NIL. */
void wire_astring(struct buffer *out, struct slice s, bool utf8);
/* "{" number64 "}" CRLF */
void wire_literal_begin(struct buffer *out, uint64_t size_octets);
/* Replaces NUL by WIRE_NUL in what the buffer holds from `from` on. */
void wire_mask_nuls(struct buffer *out, size_t from);
