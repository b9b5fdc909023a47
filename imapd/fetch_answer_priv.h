/* imapd/fetch_answer_priv.h - the FETCH response for one message, made piece by piece.
 *
 * An answer can stop anywhere between two items and inside a literal, when there is enough output
 * or it has taken long enough, and go on in another read transaction. Memory is flat: bodies pass
 * through in pieces of a chunk. Any thread, one at a time. */
#pragma once

#include "imapd/content_priv.h"
#include "imapd/fetch_items_priv.h"
#include "storage/message.h"

enum answer_progress {
	ANSWER_COMPLETE,
	ANSWER_PAUSED, /* the slice is over */
	ANSWER_BROKEN, /* a promised literal cannot be kept: the connection must close */
};

/* What could not be answered; the command's tagged reply says so. Bits. */
enum answer_trouble {
	TROUBLE_EXPUNGED = 1,	 /* gone from the store */
	TROUBLE_DAMAGED = 2,	 /* stored octets do not match their checksum */
	TROUBLE_UNAVAILABLE = 4, /* the store failed */
	TROUBLE_ENCODING = 8,	 /* BINARY of an encoding that nobody knows */
};

/* What a slice of work may read of the store before others have their turn: about a millisecond. In
 * octets of body; other things are counted as what takes as long. */
enum {
	ANSWER_SLICE_OCTETS = 1024 * 1024,
	ANSWER_ENTRY_COST = 128,
	ANSWER_DIGEST_COST = 2048,
	ANSWER_TEXT_COST = 512,
};

/* A slice of work: where answers come from and go to, and how much of them. */
struct answer_slice {
	struct read *read;
	const struct mailbox *mailbox; /* for keywords' names; NULL where no flags are told */
	struct buffer *out;
	size_t full_octets; /* of `out`: no more is begun then */
	uint64_t spent;	    /* what was read: grows */
};
static inline bool answer_slice_is_full(const struct answer_slice *slice)
{
	return slice->out->len >= slice->full_octets;
}
static inline bool answer_slice_is_over(const struct answer_slice *slice)
{
	return answer_slice_is_full(slice) || slice->spent >= ANSWER_SLICE_OCTETS;
}

/* Zero-initialised: no message. One is used for all messages of a command. */
struct fetch_answer {
	const struct fetch_items *items;
	bool utf8;
	bool only_uids;	   /* UIDFETCH (RFC 9586) */
	bool tells_modseq; /* with flags that are news go UID and MODSEQ (RFC 7162 section 3.2.4) */
	struct message_entry entry;
	uint32_t seqnum;
	bool is_recent, tells_flags;

	size_t next_item;
	bool says_something;
	unsigned trouble; /* of all messages so far */

	/* From the digest, when an item needs it; in `arena`. */
	struct slice record; /* ptr NULL: not read yet */
	bool has_envelope, has_structure;
	struct mime_envelope envelope;
	struct mime_part *root;
	struct arena arena;

	/* The item that is under way. */
	enum { BODY_IDLE, BODY_RANGE, BODY_COUNT, BODY_SEND } body;
	struct octet_range range;     /* BODY_RANGE: still to be sent, of the stored message */
	struct octet_range source;    /* BODY_COUNT, BODY_SEND: encoded, of the stored message */
	const struct mime_part *part; /* its part; NULL: the whole message */
	struct content content;
	struct content_blob blob;
	uint64_t counted;	   /* BODY_COUNT: octets decoded so far */
	bool has_nul;		   /* BODY_COUNT: met */
	uint64_t to_skip, to_send; /* BODY_SEND: decoded octets */
	struct buffer scratch;
};

/* Begins "* 12 FETCH (" for `entry`. `tells_flags`: FLAGS goes with it, asked for or not. */
void answer_begin(struct fetch_answer *answer, const struct message_entry *entry, uint32_t seqnum,
		  bool is_recent, bool tells_flags, struct buffer *out);
/* Goes on until the answer is complete or the slice over. */
enum answer_progress answer_go_on(struct fetch_answer *answer, struct answer_slice *slice);
/* Ends one that was paused where the store has failed: the rest is left out. False: it cannot end so, a
 * literal having been promised, or flags that are news. */
bool answer_leave_off(struct fetch_answer *answer, struct buffer *out) MUST_USE;
void answer_fini(struct fetch_answer *answer);
