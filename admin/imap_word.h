/* admin/imap_word.h - words of a line in IMAP, for who speaks it as a client. */
#pragma once

#include "base/arena.h"
#include "base/buffer.h"
#include "base/cursor.h"

/* Appends a quoted string. */
void imap_add_string(struct buffer *out, struct slice text);
/* An atom (also "\Flag" and "BODY[]"), or a quoted string, which is unquoted into `arena`. */
bool imap_take_word(struct cursor *c, struct arena *arena, struct slice *word_out);
