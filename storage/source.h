/* storage/source.h - what an import has brought into a mailbox, so that a second run brings only
 * what is new.
 *
 * Each imported message leaves a row beside the mailbox's entries, written in the transaction
 * that filed it, under the name that the message had where it came from. The row stays when the
 * message is expunged here, and goes with the mailbox. Reads on any thread; writes in a job. */
#pragma once

#include "base/ranges.h"
#include "storage/store.h"

/* How the original ended its lines; here they end with CRLF. */
enum source_form {
	SOURCE_CRLF = 1,
	SOURCE_LF = 2,
	SOURCE_MIXED = 3,   /* cannot be had back as it was */
	SOURCE_ADOPTED = 4, /* no message: a UIDVALIDITY that a mailbox has taken over */
};

enum { SOURCE_NAME_OCTETS = 16 };
/* Names in ascending order are cheapest. Which they are is the importer's business. */
struct source_name {
	uint8_t octets[SOURCE_NAME_OCTETS];
};
struct source_record {
	uint32_t uid; /* that the message was given here */
	enum source_form form;
};

/* ERR_NOT_FOUND, ERR_DAMAGED. */
enum err source_find(struct read *read, uint64_t mailbox_id, const struct source_name *name,
		     struct source_record *record_out) MUST_USE;
enum err source_add(struct write *write, uint64_t mailbox_id, const struct source_name *name,
		    const struct source_record *record) MUST_USE;
/* The UIDs of all that came in that form, into an empty set. */
void source_uids(struct read *read, uint64_t mailbox_id, enum source_form form,
		 struct ranges *uids_out);
