/* imapd/texts_priv.h - texts for people, in the language that the client has chosen. In both. */
#pragma once

#include "base/buffer.h"

enum language {
	LANGUAGE_DEFAULT, /* "i-default": what everybody is thought to understand (RFC 2277) */
	LANGUAGE_ENGLISH,
	LANGUAGE_GERMAN,
	LANGUAGES,
};

/* A text without a response code; as it is where the catalogue has none. */
const char *text_in(enum language language, const char *english);
/* The same behind a response code, which stays as it is. */
void respond_text(struct buffer *out, enum language language, const char *text);
