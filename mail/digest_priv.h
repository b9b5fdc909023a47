/* mail/digest_priv.h - what digest.c and structure_text.c write alike. */
#pragma once

#include "mail/digest.h"

/* Little-endian base 128, the high bit set on all octets but the last. */
void add_base128(struct buffer *b, uint64_t number);
bool take_base128(struct cursor *c, uint64_t *number_out);
void add_envelope(struct buffer *b, const struct mime_envelope *envelope);
