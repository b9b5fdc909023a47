/* storage/queue.h - mail that leaves: what is to be sent, to whom, when it is tried next, and what
 * the other side said so far.
 *
 * An entry is one message for up to QUEUE_RECIPIENTS_MAX recipients at one destination, so that one
 * that is down holds back its own mail only and each attempt writes one small record. Entries of a
 * message share its body with the mailboxes it was filed in: one blob, one count. Recipients who
 * are done with leave the entry; the last one takes it away. Reads on any thread; writes in a job. */
#pragma once

#include "base/arena.h"
#include "runtime/envelope.h"
#include "storage/store.h"

enum {
	QUEUE_RECIPIENTS_MAX = 100, /* what every server takes (RFC 5321 section 4.5.3.1.8) */
	QUEUE_ATTEMPTS_MAX = 32,    /* the newest are kept */
	QUEUE_WORDS_MAX_OCTETS = 512,
};

/* The destination of mail that waits for mailboxes of this host: no domain that mail could go to has
 * that name (RFC 6761 section 6.3). */
#define QUEUE_HERE "localhost"

struct queue_attempt {
	int64_t at_unix;
	struct slice remote; /* "mx.example.net [192.0.2.7]:25"; empty: it did not come so far */
	struct slice words;  /* the remote's own, or what went wrong */
};

struct queue_entry {
	uint64_t queue_id; /* never given again */
	uint64_t blob_id;
	uint64_t size_octets;
	uint32_t account_id; /* who submitted it; 0: nobody here (forwarded, or a report of ours) */
	struct slice destination; /* domain as A-labels, or an address literal; lower case */
	/* A domain of ours, where it leaves by an alias of that and the sender is a stranger: then the
	 * reverse-path is written anew for it (mda/srs.h). Empty: it is not. */
	struct slice forwarder;
	int64_t arrived_unix;
	int64_t next_unix_ms;
	/* By an administrator: not tried. When it is due all the same, its sender is told. */
	bool is_held;
	bool was_warned;
	uint32_t attempts_made;
	struct queue_attempt *attempts; /* the newest, in order */
	size_t attempt_count;
	struct envelope envelope; /* its own recipients are not looked at, these are: */
	struct envelope_recipient *recipients;
	size_t recipient_count;
};
/* From when it is tried: its arrival, or later (RFC 4865). */
static inline int64_t queue_start_unix(const struct queue_entry *entry)
{
	return entry->envelope.hold_until_unix > entry->arrived_unix
		       ? entry->envelope.hold_until_unix
		       : entry->arrived_unix;
}

/* Queues a message that is on the disk or comes with this batch (intake_commit()), as one entry or
 * more: `message` has any number of recipients at any number of destinations, in any order, or all at
 * `destination`, where that is QUEUE_HERE; queue_id and attempts are ignored. ERR_BAD_INPUT: a forward-path
 * without a domain, or an envelope that envelope_decode() would not read again; ERR_GONE: there is no such body. Nothing is written then. */
enum err queue_add(struct write *write, const struct queue_entry *message) MUST_USE;
/* Writes an entry anew that is there: its recipients, times, attempts. ERR_NOT_FOUND. */
enum err queue_put(struct write *write, const struct queue_entry *entry) MUST_USE;
/* With its reference to the body. ERR_NOT_FOUND. */
enum err queue_remove(struct write *write, uint64_t queue_id) MUST_USE;
/* Adds to the attempts of an entry, in `arena`; the oldest may go. Words are cut to their limit. */
void queue_note_attempt(struct queue_entry *entry, struct arena *arena, int64_t at_unix,
			struct slice remote, struct slice words);

/* Slices live in `arena`. ERR_NOT_FOUND, ERR_DAMAGED. */
enum err queue_get(struct read *read, uint64_t queue_id, struct arena *arena,
		   struct queue_entry *entry_out) MUST_USE;
/* In the order in which they were queued: *queue_id in/out, 0 to start. False at the end. One that
 * cannot be read is logged and passed over. */
bool queue_next(struct read *read, uint64_t *queue_id, struct arena *arena,
		struct queue_entry *entry_out);

/* Destinations that have entries, in order; `after` empty to start. */
bool queue_next_destination(struct read *read, struct slice after, struct arena *arena,
			    struct slice *destination_out);
/* A destination's entries: those of a higher priority first, then those that are due earlier.
 * Zero-initialise; false at the end. */
struct queue_place {
	uint8_t rank; /* PRIORITY_MAX - priority */
	int64_t next_unix_ms;
	uint64_t queue_id; /* 0: not begun */
};
bool queue_next_due(struct read *read, struct slice destination, struct queue_place *place);
/* Passes over the rest of this priority: for who has met one that is not due yet. */
void queue_place_skip_rank(struct queue_place *place);

/* The key of the addresses by which what comes back finds its way (mda/srs.h): made with the first
 * entry that has a forwarder, and the same ever after. False: there is none, or it cannot be read. */
enum { QUEUE_SECRET_OCTETS = 32 };
bool queue_secret(struct read *read, uint8_t secret_out[QUEUE_SECRET_OCTETS]);

/* changed() is called on `loop` after each commit of this process for every destination for which
 * entries came or changed. One watch a store. */
struct queue_watch {
	void (*changed)(struct queue_watch *watch, struct slice destination);
	struct loop *loop;
};
void queue_watch_begin(struct store *store, struct queue_watch *watch);
/* On the watch's loop; no changed() comes afterwards. */
void queue_watch_end(struct store *store, struct queue_watch *watch);
