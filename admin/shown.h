/* admin/shown.h - text of strangers on a terminal: nothing in it is more than text. */
#pragma once

#include <stdio.h>

#include "base/buffer.h"

/* Appends it as printable UTF-8; each control character, C1 ones (U+0080 to U+009F) as well, and
 * each octet that is no UTF-8 is "?". */
void add_shown(struct buffer *out, struct slice text);
/* The same, to a stream. */
void print_shown(FILE *out, struct slice text);
