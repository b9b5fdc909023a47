/* mda/submission.h - the header of a message that is submitted (RFC 6409 sections 6 and 8): the
 * author is one that the account, or the user of this machine, may send as, Date and Message-ID are there, Bcc is not. Runs in the
 * back and in the admin's process; on one thread. */
#pragma once

#include "base/buffer.h"
#include "mda/filing.h"
#include "mda/sender.h"

struct submission;

enum { SUBMISSION_HEADER_MAX_OCTETS = 256 * 1024 };

/* `sender` is copied, but for its configuration; where he is not bound (mda/sender.h), anybody may
 * be the author, and the store may be NULL. `author` is the address that stands in for a From that is missing. */
struct submission *submission_new(struct store *store, const struct sender *sender,
				  struct slice author);
/* The next octets of the message, cut anyhow; those that may go on are appended to `out`: nothing
 * while the header is on its way, then all of it as it shall be. ERR_BAD_INPUT: the sender may not
 * send as who the header says; ERR_LIMIT: the header is too long; a failure of the store. */
enum err submission_feed(struct submission *submission, struct slice octets,
			 struct buffer *out) MUST_USE;
/* The message is at its end; it may have been all header. Errors as above. */
enum err submission_finish(struct submission *submission, struct buffer *out) MUST_USE;
/* On to the filing, by way of the submission where there is one (NULL: nobody's header has to be looked
 * at). `is_end`: with these octets, which may be none, the message is at its end. `is_full_out` is set
 * where filing_feed() wants no more for now, else left alone. Errors as above. */
enum err submission_file(struct submission *submission, struct filing *filing, struct slice octets,
			 bool is_end, bool *is_full_out) MUST_USE;
void submission_free(struct submission **submission); /* accepts NULL, leaves NULL */
