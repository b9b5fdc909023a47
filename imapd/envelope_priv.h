/* imapd/envelope_priv.h - the ENVELOPE of a message as a client reads it. */
#pragma once

#include "base/buffer.h"
#include "mail/mime.h"

/* Appends the parenthesized list of RFC 9051 section 7.5.2; `utf8` as in respond_priv.h. */
void envelope_render(struct buffer *out, const struct mime_envelope *envelope, bool utf8);
