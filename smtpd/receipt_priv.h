/* smtpd/receipt_priv.h - telling a sender that his message lies in its mailboxes here, where he has
 * asked for it (RFC 3461 section 4.1, NOTIFY=SUCCESS). Runs in the back. */
#pragma once

#include "mda/filing.h"
#include "storage/back.h"

struct receipt;

/* A message was filed, for the recipients of its envelope, which stays. NULL: nobody asked to be told, or
 * there is nobody to tell. Else done() is called once, when the report is on the disk, or cannot be. */
struct receipt *receipt_begin(struct back *back, const struct envelope *envelope,
			      const struct filing *filed, uint64_t blob_id,
			      void (*done)(void *user), void *user);
/* After done(), or instead of it. Accepts NULL, leaves NULL. */
void receipt_free(struct receipt **receipt);
