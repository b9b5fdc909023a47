/* mail/xtext.h - text of the parameters of SMTP (RFC 3461 section 4): printable ASCII but "+" and
 * "=" is itself, anything else is "+" and two upper-case hexadecimal digits. Any thread. */
#pragma once

#include "base/arena.h"

/* False where it is none, octets above 127 included. */
bool xtext_decode(struct slice xtext, struct arena *arena, struct slice *text_out);
