/* imapd/language_priv.h - LANGUAGE: which languages there are, and which one is meant. In both. */
#pragma once

#include "base/arena.h"
#include "base/cursor.h"
#include "imapd/texts_priv.h"

enum language_command {
	LANGUAGE_COMMAND_BAD,
	LANGUAGE_COMMAND_ASKS, /* which there are */
	LANGUAGE_COMMAND_CHOOSES,
	LANGUAGE_COMMAND_CANNOT, /* none of those that are asked for is there */
};
/* The arguments of LANGUAGE, to their end. */
enum language_command take_language_command(struct cursor *args, struct arena *arena,
					    enum language *chosen_out);
/* The untagged LANGUAGE response: all there are, or the one that is used from now on. */
void respond_languages(struct buffer *out);
void respond_language(struct buffer *out, enum language language);
