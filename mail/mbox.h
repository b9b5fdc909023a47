/* mail/mbox.h - messages in one file, mbox, in all its dialects: mboxo and mboxrd, which quote
 * lines that begin with "From ", mboxcl and mboxcl2, which say how long a message is.
 *
 * A message begins at a line "From sender date" at the start of the file or behind an empty
 * line. Where its header says Content-Length and another message or the end of the file follows
 * there, that is its end, whatever lines are in it. Reads through a window, so memory stays flat
 * whatever the file's size; nothing in it is believed. Any thread. */
#pragma once

#include "base/buffer.h"

/* Up to `len` octets from `offset` on; fewer only at the end. -1: they cannot be read. */
typedef int64_t mbox_read_fn(void *user, uint64_t offset, uint8_t *into, size_t len);

enum mbox_quoting {
	MBOX_QUOTING_AUTO, /* as RD, but what mboxcl2 has left unquoted shows that nothing is quoted */
	MBOX_QUOTING_O,	   /* one '>' before "From " only */
	MBOX_QUOTING_RD,   /* one '>' of any number before "From " */
	MBOX_QUOTING_NONE, /* mboxcl2 */
};

struct mbox_message {
	uint64_t from_at;  /* its From_ line */
	uint64_t start_at; /* behind it */
	uint64_t end_at;   /* the empty line that parts it from the next is no part of it */
	uint64_t next_at;
	int64_t date_unix; /* of the From_ line; 0 where that has none */
	enum mbox_quoting quoting;
};

struct mbox_reader;
struct mbox_reader *mbox_reader_new(mbox_read_fn *read, void *user, enum mbox_quoting quoting);
void mbox_reader_free(struct mbox_reader **reader);

enum mbox_result {
	MBOX_MESSAGE,
	MBOX_END,
	MBOX_NO_MBOX, /* there is something before the first From_ line; next() goes on behind it */
	MBOX_UNREADABLE, /* read() said so */
};
/* The next message, from `*at` on, which is 0 at the start and moves behind it. */
enum mbox_result mbox_next(struct mbox_reader *reader, uint64_t *at,
			   struct mbox_message *message_out);
/* The message as it was before it was put into an mbox, in pieces; `give` false: stop. False:
 * stopped, or it cannot be read. */
bool mbox_content(struct mbox_reader *reader, const struct mbox_message *message,
		  bool (*give)(void *user, struct slice octets), void *user);

/* "From " SP sender SP date. False: it is none. */
bool mbox_from_line_parse(struct slice line, int64_t *date_out);
/* "From sender Fri Nov 21 09:55:06 1997\n"; blanks in the sender become '_'. */
void mbox_from_line_format(struct slice sender, int64_t date_unix, struct buffer *out);

/* What programs note in the header of a message in an mbox: Status, X-Status, X-Keywords,
 * X-Mozilla-Status and -Keys. */
struct mbox_marks {
	uint8_t flags;		/* enum maildir_flag */
	bool is_internal;	/* no message: where IMAP servers keep notes of the mailbox */
	struct buffer keywords; /* words, each with a blank behind it */
};
/* Takes note of a header field of a message, and says whether it belongs to the mbox and not to
 * the message (these, and Content-Length and X-UID). */
bool mbox_marks_note(struct mbox_marks *marks, struct slice name, struct slice value);
