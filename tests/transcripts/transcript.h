/* tests/transcripts/transcript.h - a dialog as a file: one behaviour, readable beside the RFC.
 *
 *   # comment
 *   given ...            how the world is; anywhere (a message may arrive in mid-dialog)
 *   S: 250 2.1.0 *       the server's next line, without its CRLF
 *   C: MAIL FROM:<...>   what the client sends; CRLF is added
 *   tls                  the client starts TLS
 *   then ...             what must be true now
 *
 * README.md beside this file has all of it. */
#pragma once

#include "base/arena.h"

enum line_kind {
	LINE_GIVEN,
	LINE_THEN,
	LINE_SEND,	   /* C: with CRLF */
	LINE_SEND_OPEN,	   /* C<: without */
	LINE_EXPECT,	   /* S: */
	LINE_EXPECT_ANY,   /* S-any: this and the S-any lines after it, in whatever order */
	LINE_EXPECT_UNTIL, /* S-until: skips lines up to one that matches */
	LINE_TLS,
	LINE_SHUTDOWN, /* the server is told to stop */
};

struct line {
	enum line_kind kind;
	unsigned connection; /* from 1 */
	unsigned number;     /* in the file, from 1 */
	struct slice text;
	struct slice *block; /* the lines between <<WORD and WORD, without line ends */
	size_t block_count;
	bool has_block;
};

struct transcript {
	const char *file_name;
	struct line *lines;
	size_t count;
};

enum { TRANSCRIPT_CONNECTIONS_MAX = 9 };

/* False: cannot be read or is not a transcript; says so on standard output as TAP comment. */
bool transcript_read(const char *file_name, struct arena *arena, struct transcript *transcript_out);
