/* imapd/search_text_priv.h - looking for strings in the text of a message, whatever its size,
 * in memory that stays flat. Used by search_match.c alone. */
#pragma once

#include "imapd/search_match_priv.h"

/* The header of a message or part, raw, but for what is beyond CONTENT_HEADER_MAX_OCTETS. */
enum err text_read_header(struct matcher *m, const struct mime_part *part,
			  struct buffer *header) MUST_USE;
/* Whether the text, folded, holds the needle. Uses m->window. */
bool text_contains(struct matcher *m, struct slice utf8, const struct needle *needle);
/* Whether the value of a header field, decoded, does. Uses m->utf8, too. */
bool text_field_contains(struct matcher *m, struct slice value, const struct needle *needle);
/* Sets m->found for all BODY and TEXT keys of the program. Needs m->root. */
enum err text_look(struct matcher *m) MUST_USE;
