/* tests/transcripts/expectation.h - what a transcript's lines may leave open, and what they keep. */
#pragma once

#include "base/buffer.h"

enum { NAMES_MAX = 64, NAME_MAX_OCTETS = 32 };

/* What {name} has caught. Zero-initialise; names_free() at the end. */
struct names {
	struct {
		char name[NAME_MAX_OCTETS];
		struct buffer value;
	} rows[NAMES_MAX];
	size_t count;
};
void names_free(struct names *names);

/* `*` stands for any octets, {name} for some (kept under that name), {=name} for those that
 * were kept, {*} for a star. A "* " that opens the pattern is IMAP's untagged response and
 * means itself. Names are kept only where the whole line fits. */
bool expectation_matches(struct slice pattern, struct slice line, struct names *names);

/* Appends what a client line means: \r \n \t \0 \\ \xNN, {=name}, {base64:TEXT} (TEXT with
 * escapes), {repeat COUNT TEXT}. Any other backslash or brace is itself. False: an unknown name
 * or a count that makes no sense. */
bool expectation_expand(struct slice text, const struct names *names, struct buffer *octets);
