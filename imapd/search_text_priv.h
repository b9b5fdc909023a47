/* imapd/search_text_priv.h - looking for strings in the text of a message, whatever its size,
 * in memory that stays flat. Used by search_match.c alone. */
#pragma once

#include "imapd/search_match_priv.h"

/* The header of a message or part, raw, but for what is beyond CONTENT_HEADER_MAX_OCTETS. */
enum err text_read_header(struct matcher *m, const struct mime_part *part,
			  struct buffer *header) MUST_USE;
/* Whether the folded text holds the folded needle. Uses m->window. */
bool text_contains(struct matcher *m, struct slice utf8, struct slice needle);
/* Sets m->found for all BODY and TEXT keys of the program. Needs m->root. */
enum err text_look(struct matcher *m) MUST_USE;
