/* imapd/preview_priv.h - a few words of a message, for a list (RFC 8970). In the back. */
#pragma once

#include "imapd/content_priv.h"

/* Appends the preview, in UTF-8 on one line; nothing where there is no text to show. */
enum err preview_make(const struct mime_part *root, struct content_source *source,
		      struct buffer *utf8, uint64_t *read_octets) MUST_USE;
