/* mda/filing.h - files one message into the mailboxes of its recipients, and into the queue for
 * those who are elsewhere: one blob, one transaction, all or nothing. Runs in the back and in the admin's process. */
#pragma once

#include "mda/recipient.h"
#include "runtime/envelope.h"
#include "storage/blob.h"
#include "storage/journal.h"

struct filing;

/* `filed` is called once, on `loop`, in a later turn than filing_commit(). ERR_OK: on disk in
 * every mailbox and in the queue. ERR_QUOTA (the account's), ERR_GONE (an account was removed meanwhile) and the
 * others: in none. `room` follows a filing_feed() that returned false. `envelope` is
 * copied; of its recipients those count that filing_add_recipient() names. Until its
 * hold_until_unix the message waits in the queue, for recipients here as well. */
struct filing *filing_new(struct store *store, struct loop *loop, const struct envelope *envelope,
			  void (*filed)(void *user, enum err outcome, uint64_t blob_id),
			  void (*room)(void *user), void *user);
/* A recipient of the envelope, its path normalised or not. ERR_NOT_FOUND: it is no path; other
 * errors as recipient_resolve(). At least one before the commit. */
enum err filing_add_recipient(struct filing *filing, struct read *read, const struct sender *sender,
			      const struct envelope_recipient *recipient) MUST_USE;
/* Each recipient has an outcome of his own, and ERR_OK means that one of them at least gets the
 * message. Before the commit. */
void filing_set_outcomes(struct filing *filing);
/* What became of a recipient, by the number of the call that added him, once filed() has said
 * ERR_OK. `why_out`: of FILING_REFUSED. */
enum filing_fate {
	FILING_REFUSED,
	FILING_FILED, /* in a mailbox here, or given to a list that is answered for by its owner */
	FILING_EXPANDED, /* in mailboxes and the queue, for the several that an alias stands for */
	FILING_QUEUED,
};
enum filing_fate filing_fate(const struct filing *filing, size_t recipient, enum err *why_out);
/* Where it goes, as of the recipients that were added. */
const struct destinations *filing_destinations(const struct filing *filing);
/* Something more for the same transaction: runs last; what it refuses, refuses all. It is given
 * filing_new()'s `user`, and may run more than once, as a job does. */
void filing_set_also(struct filing *filing, enum err (*also)(struct write *write, void *user));
/* For the journal: service, connection, client and login of where the message came from. Without
 * this nothing is noted. */
void filing_set_origin(struct filing *filing, const struct journal_event *origin);
/* Instead, of a report: the journal hears that the sender of that message, and of that entry of the
 * queue, was told. */
void filing_set_notice_of(struct filing *filing, uint64_t blob_id, uint64_t queue_id);
/* The Message-ID, once the commit was asked for; ptr NULL: none, or not known. */
struct slice filing_message_id(const struct filing *filing);
/* What the envelope says of content and addresses, for who knows it only now. Before the commit. */
void filing_set_form(struct filing *filing, enum envelope_body body, bool is_utf8);
/* As intake_feed(). */
bool filing_feed(struct filing *filing, struct slice octets);
uint64_t filing_size_octets(const struct filing *filing);
void filing_commit(struct filing *filing);
/* Instead of commit, or after filed(). During a commit, filed() is suppressed and the memory
 * freed when the job has come home. Accepts NULL, leaves NULL. */
void filing_free(struct filing **filing);
