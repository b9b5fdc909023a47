/* imapd/id_priv.h - ID, which is answered in the front and in the back. */
#pragma once

#include "imapd/grammar_priv.h"

bool take_id_parameters(struct cursor *c, struct arena *arena);
#define IMAP_ID_LINE "* ID (\"name\" \"Bode\")\r\n"
