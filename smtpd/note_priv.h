/* smtpd/note_priv.h - what front and back note alike in the journal. */
#pragma once

/* Of a message that is not taken as a whole; one event for each. */
enum { NOTE_RECIPIENTS_MAX = 20 };
