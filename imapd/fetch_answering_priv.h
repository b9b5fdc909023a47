/* imapd/fetch_answering_priv.h - one item of a FETCH response while it is made: for the files that
 * make items, and nobody else. Any thread, one at a time. */
#pragma once

#include "imapd/fetch_answer_priv.h"
#include "imapd/respond_priv.h"

/* What a function that makes an item is handed. */
struct answering {
	struct fetch_answer *answer;
	const struct fetch_item *item;
	struct answer_slice *slice;
	struct buffer *out; /* the slice's */
	size_t mark;	    /* out's length before the item */
	bool said;	    /* says_something before the item */
};

enum answer_trouble answer_trouble_of(enum err err);
/* The item is left out, as if it had not been asked for. */
enum answer_progress answer_leave_out(struct answering *a, enum answer_trouble trouble);
/* "BODY[1.HEADER]<0> " */
void answer_put_name(struct answering *a);
/* Of a section that the message has not. */
enum answer_progress answer_put_nil(struct answering *a);
/* From the digest, once a message. */
enum err answer_load_structure(struct answering *a) MUST_USE;

static inline struct octet_range answer_clip(const struct answering *a, struct octet_range range)
{
	return section_clip(a->item->is_partial ? &a->item->partial : NULL, range);
}

/* fetch_section.c: BODY[...] and its forms. */
enum answer_progress answer_put_section(struct answering *a);
/* Into answer->scratch: a header is read whole, but for a monstrous one. */
enum err answer_read_header(struct answering *a, struct octet_range range) MUST_USE;

/* fetch_binary.c: BINARY and BINARY.SIZE. */
enum answer_progress answer_put_binary(struct answering *a);
