/* mda/placement.h - the recipients of a message, where each of them leads, and putting it there: into
 * mailboxes here, into the queue for those elsewhere. What a message that arrives (mda/filing.h) and
 * one that comes out of the queue (mda/release.h) have in common. Runs in the back and in the admin's
 * process. */
#pragma once

#include "mda/destination.h"
#include "mda/recipient.h"
#include "runtime/envelope.h"
#include "runtime/journal_event.h"

/* What the sender can be told once a recipient's message is placed (RFC 3461 section 5.2.7). */
enum placed_end {
	PLACED_ON,	  /* for one address elsewhere: who sends it there tells */
	PLACED_DELIVERED, /* in a mailbox, or with a list that is answered for by its owner */
	PLACED_EXPANDED, /* for the several that an alias stands for: of their success nobody tells */
};

/* One recipient of the envelope. */
struct placed_recipient {
	struct envelope_recipient envelope;
	enum err resolved; /* ERR_OK, or why it leads nowhere */
	enum err outcome;  /* as of the last placement_judge() */
	bool is_elsewhere; /* the address itself is; no alias led there */
	uint32_t *account_ids;
	size_t account_count;
	size_t *remotes; /* numbers in found.remotes */
	size_t remote_count;
	enum placed_end end;
};

/* Zero-initialise, but for `arena`, which all of it lives in. */
struct placement {
	struct arena *arena;
	struct destinations found; /* of all recipients together, each once */
	struct slice hostname;	   /* of this machine */
	struct placed_recipient *recipients;
	struct slice *known; /* of each, in the form of storage/submission.h */
	size_t recipient_count, recipient_cap;
	/* Of each account of `found`; from placement_find_inboxes() on. */
	uint64_t *inbox_ids;
	uint32_t *uids; /* of the message there, once it is placed */
	bool *is_taken; /* it gets the message */
	bool *is_noted; /* of each recipient: by placement_note() */
	bool *is_sent;	/* of each remote: it gets the message */
};

/* What is placed. */
struct placed_message {
	uint64_t blob_id;
	uint64_t size_octets;
	int64_t arrived_unix;
	uint32_t account_id; /* who submitted it; 0: nobody here */
	const struct envelope *envelope;
	/* Until envelope->hold_until_unix nobody gets it: those here wait in the queue as well, and
	 * where their addresses lead is asked again then. */
	bool is_held;
};

/* As filing_add_recipient(); where it fails, nothing is added unless `keep`: then the recipient is
 * there with that as his outcome. */
enum err placement_add(struct placement *placement, struct read *read, const struct sender *sender,
		       const struct envelope_recipient *recipient, bool keep) MUST_USE;
/* Where each account's INBOX is, so that the writer need not look. ERR_GONE: an account is no longer
 * there. */
enum err placement_find_inboxes(struct placement *placement, struct read *read) MUST_USE;
/* Who can have it now? With `each`, every recipient has an outcome of his own, and ERR_OK means that
 * there is one who can; without, what keeps it from one keeps it from all: ERR_QUOTA, ERR_GONE. */
enum err placement_judge(struct placement *placement, struct read *read,
			 const struct placed_message *message, bool each) MUST_USE;
/* In a job, behind placement_judge(): puts it into the mailboxes and the queue. */
enum err placement_write(struct write *write, struct placement *placement,
			 const struct placed_message *message) MUST_USE;
/* For the journal: where it went, for each recipient. */
void placement_note(struct write *write, const struct placement *placement,
		    const struct placed_message *message);
