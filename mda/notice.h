/* mda/notice.h - a report (mda/report.h) about a message of the store, on its way to the message's
 * sender: the same for mail that came, that leaves, and that an administrator takes away. Runs in the
 * back and in the admin's process. */
#pragma once

#include "mda/filing.h"
#include "mda/report.h"

struct notice {
	struct store *store;
	struct loop *loop;
	const struct config *config;
	/* The message that it is about; its sender is not the null sender (RFC 5321 section 4.5.5). */
	const struct envelope *envelope;
	uint64_t blob_id, size_octets;
	uint64_t queue_id; /* for the journal; 0: none */
	int64_t arrived_unix, retry_until_unix;
	const struct report_recipient *recipients;
	size_t recipient_count;
	/* As filing_new() and filing_set_also(). */
	void (*filed)(void *user, enum err outcome, uint64_t blob_id);
	enum err (*also)(struct write *write, void *user); /* may be NULL */
	void *user;
};

/* ERR_OK: it is being committed, and `filing_out` is the caller's. Otherwise `filing_out` is NULL:
 * the sender cannot be told (errors as filing_add_recipient()), or the store has failed. Values of
 * `notice` are not looked at any more. */
enum err notice_file(const struct notice *notice, struct filing **filing_out) MUST_USE;
