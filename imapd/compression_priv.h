/* imapd/compression_priv.h - what a client and its session say to each other, deflated (RFC 4978).
 *
 * Memory: a busy connection has some 115 KiB, a resting one what the two sides may still refer
 * to: the last 4 KiB that we have said and up to 32 KiB of what the client has, usually far
 * less. On the session's loop. */
#pragma once

#include "base/buffer.h"
#include "base/cursor.h"

struct compression;
struct compression *compression_new(void);
void compression_free(struct compression **compression);

/* Inflates a piece of what has come; compression_plain() grows by it, by nothing when there is
 * no more. False: it is damaged, or the client has ended its stream. */
bool compression_take(struct compression *compression, struct cursor *in);
/* What has been inflated; the caller drops what it has used from its front. */
struct buffer *compression_plain(struct compression *compression);
/* Replaces what stands in `out` from `from` on by its deflated form, flushed. `is_last`: it is the end
 * of our stream. */
void compression_send(struct compression *compression, struct buffer *out, size_t from,
		      bool is_last);

enum compression_end {
	COMPRESSION_GOES_ON, /* all of the input belongs to it; more will come */
	COMPRESSION_ENDED,   /* `in` stands behind it */
	COMPRESSION_BROKEN,  /* it is damaged, or says something more */
};
/* The client has said all that it says compressed: takes what is left of its stream, and not an
 * octet behind it. */
enum compression_end compression_take_end(struct compression *compression, struct cursor *in);
/* Nothing is under way: gives back what can be had anew. */
void compression_rest(struct compression *compression);
