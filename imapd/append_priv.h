/* imapd/append_priv.h - an APPEND or REPLACE under way: append.c decides and files, append_data.c
 * takes its messages. In the back; the session owns it, in its command arena. */
#pragma once

#include "imapd/catenate_priv.h"
#include "imapd/grammar_priv.h"
#include "imapd/view_priv.h"

enum {
	/* Of one command. Beyond that a client is told to come again. */
	APPEND_MESSAGES_MAX = 1000,
	/* Of all its messages together: each literal and each URL, empty ones too. */
	APPEND_PARTS_MAX = 5000,
};

struct append_message {
	struct append_message *next;
	struct flag_list flags;
	int64_t internal_unix;
	bool is_catenated;
	enum { HEADER_NAME, HEADER_VALUE, HEADER_NEXT_LINE, HEADER_OVER } header; /* comes next */
	bool has_utf8_header;
	uint64_t size_octets; /* of what has come, and what is on its way */
	struct intake *intake;
	uint32_t uid; /* when it is filed */
};

/* What is expected next of the command. */
enum append_state {
	APPEND_MESSAGE,		/* a message, or the end */
	APPEND_AFTER_LITERAL,	/* its literal has come */
	APPEND_AFTER_UTF8,	/* the ")" behind it */
	APPEND_PART,		/* of CATENATE */
	APPEND_AFTER_PART,	/* one more, or the ")" */
	APPEND_AFTER_UTF8_PART, /* first its own ")" */
};

/* What a segment of the command, from one literal to the next, asks for. */
struct append_action {
	enum { ACTION_BEGIN, ACTION_URL, ACTION_END } kind;
	struct append_message *message; /* ACTION_BEGIN */
	struct slice url;
	struct append_action *next;
};

struct append {
	struct imap_session *s;
	bool is_replace;
	uint64_t replaced_mailbox_id; /* REPLACE: the message that goes */
	uint32_t replaced_uid;
	uint64_t replaced_octets;
	uint32_t account_id; /* whose session it is */
	uint32_t owner_id;   /* whose mailbox, and quota */
	uint64_t mailbox_id;
	struct flags_withheld withheld;
	bool may_read; /* that mailbox (result) */
	uint32_t uidvalidity;
	struct append_message *first, *last; /* the last one is on its way */
	size_t count;
	unsigned parts;	      /* of all of them */
	uint64_t size_octets; /* of all of them */

	enum append_state state;
	size_t segment;		       /* in the framed command: where the next one begins */
	bool has_literal;	       /* the segment ends in one, which is not taken yet */
	struct append_action *actions; /* still to be done, before that */
	struct catenation part;	       /* being copied */
	bool is_copying;
	uint64_t left_octets; /* of the literal */
	bool intake_waits;    /* for room() */
};

/* append.c. NULL: one more message, or a part of so many octets of the last one, may come. */
const char *append_why_not_message(const struct append *append,
				   const struct append_message *message);
const char *append_why_not_part(struct append *append, uint64_t octets);
/* All messages are whole. */
enum step append_file(struct imap_session *s);
/* None is filed. Where the client sends a literal unasked, its octets are skipped first. `why` is
 * static or in the command arena. */
enum step append_refuse(struct imap_session *s, const char *condition, const char *why);
/* That is what is going on. */
bool append_is_skipping(const struct imap_session *s);

/* append_data.c. What stands in the framed command from `from` on: false where it is not
 * grammatical, or ends in a literal that is no message's. */
bool append_take_segment(struct append *append, size_t from);
/* For imap_session.running: does what the segment asks for, then takes what follows. */
enum step append_go_on(struct imap_session *s, struct cursor *in);
/* What holds more than arena memory. */
void append_free_messages(struct append *append);
