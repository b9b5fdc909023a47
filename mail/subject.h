/* mail/subject.h - the base subject, by which messages are sorted and threaded (RFC 5256
 * section 2.1). Any thread. */
#pragma once

#include "base/buffer.h"

/* Appends the base subject of a Subject field's value, in UTF-8. True where it was one of a reply
 * or a forward: "Re:", "Fwd:", "(fwd)", "[Fwd: ...]" have been taken away. */
bool subject_base(struct slice value, struct buffer *utf8);
