/* imapd/framing_priv.h - where a command ends: CRLF lines and the literals between them
 * (RFC 9051 sections 2.2.1 and 4.3, RFC 7888). In the front and in the back.
 *
 * A framed command is one contiguous slice, without its last CRLF, in which each literal
 * stands as on the wire: "{" number ["+"] "}" CRLF and its octets. Grammar (grammar_priv.h)
 * reads it from there, so that a slice of a literal points into the command. */
#pragma once

#include "base/buffer.h"
#include "base/cursor.h"

/* literal = "{" number64 ["+"] "}", literal8 = "~" before it */
struct literal {
	uint64_t size_octets;
	bool client_waits; /* synchronizing: nothing comes before our "+" */
	bool is_literal8;
};

enum framed {
	FRAMED_NOTHING, /* all of the input is taken, more is needed */
	FRAMED_COMMAND, /* framing_command() is whole */
	FRAMED_LITERAL, /* a line ended in a literal's header: framing_accept() or _refuse() */
	FRAMED_REFUSED, /* all of a refused command has been skipped; framing->why says why */
};

enum framing_refusal {
	FRAMING_FINE,
	FRAMING_TOO_LONG,	   /* the command or one of its literals */
	FRAMING_BARE_LINE_FEED,	   /* a line that does not end in CRLF */
	FRAMING_REFUSED_BY_CALLER, /* framing_refuse() */
};

/* Zero-initialised: nothing received, nothing owned. */
struct framing {
	struct buffer text;	/* what has come of the command */
	struct literal literal; /* after FRAMED_LITERAL */
	uint64_t literal_left;	/* octets of the literal still to be taken or skipped */
	size_t line_start;	/* in text: of the line being received */
	size_t tag_within; /* of a command that is being skipped: the octets kept for its tag */
	bool is_skipping;  /* the command is refused; its rest goes nowhere */
	uint64_t skipped_octets; /* of it, in literals, as announced */
	bool is_whole;		 /* the next framing_next() starts a new command */
	uint8_t why;		 /* enum framing_refusal */
};

/* Takes input up to the next thing that its caller must know. `limit_octets` bounds
 * framing->text: what is longer is skipped and refused. */
enum framed framing_next(struct framing *f, struct cursor *in, size_t limit_octets);
static inline struct slice framing_command(const struct framing *f)
{
	return buffer_slice(&f->text);
}
/* Of it, the last line: what came after the last literal. */
static inline struct slice framing_line(const struct framing *f)
{
	return slice_sub(framing_command(f), f->line_start, f->text.len - f->line_start);
}
/* After FRAMED_LITERAL: whether the command with it stays within the limit. */
bool framing_literal_fits(const struct framing *f, size_t limit_octets);
/* After FRAMED_LITERAL: its octets become part of the command. The caller sends the "+". */
void framing_accept(struct framing *f);
/* After FRAMED_LITERAL: the command is refused. True: the client waits for the verdict, so
 * the command is over now. False: its rest will come and is skipped; FRAMED_REFUSED follows. */
bool framing_refuse(struct framing *f);
/* After FRAMED_LITERAL: the caller takes the literal's octets itself, then what follows them
 * as one more line, through framing_next(): framing_line(). What of the command stands before
 * `from` is kept; 0: all of it. */
void framing_skip_literal(struct framing *f, size_t from);
/* The tag of a command that goes no further, as far as it can be told; "*" where it cannot. */
struct slice framing_tag(const struct framing *f);
/* Nothing received, nothing owned. */
void framing_reset(struct framing *f);
/* literal header, last on its line. Takes nothing when there is none. */
bool take_literal_header(struct cursor *c, struct literal *literal_out);
