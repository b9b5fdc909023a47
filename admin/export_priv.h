/* admin/export_priv.h - what the two formats of an export share. Runs in the admin's process. */
#pragma once

#include "admin/admin_priv.h"
#include "admin/progress.h"
#include "storage/message.h"
#include "storage/source.h"

struct exporter {
	struct admin *admin;
	uint32_t account_id;
	const char *path; /* of the new folder */
	struct progress *progress;
	struct arena arena; /* of the whole run */
	uint64_t skipped;
	bool is_over;
};

/* A mailbox as it was when its turn came. */
struct export_mailbox {
	struct mailbox mailbox;
	struct slice name;
	struct ranges crlf_uids; /* of messages whose originals had CRLF */
	uint64_t exported, skipped;
};

/* Ends the run: "bode: ..." */
void exporter_fail(struct exporter *exporter, const char *format, ...) PRINTF_LIKE(2, 3);
void exporter_skip(struct exporter *exporter, struct export_mailbox *mailbox, uint32_t uid,
		   enum err why);
/* Worth saying; no message is missing by it. */
void exporter_note(struct exporter *exporter, struct slice name, const char *what);
void exporter_skip_mailbox(struct exporter *exporter, struct slice name, const char *why);

/* Calls `visit` for each message in order of UID, in short reads, so that a running server's old
 * pages are not kept from use. `visit` false: stop. */
void export_walk(struct exporter *exporter, struct export_mailbox *mailbox,
		 bool (*visit)(void *user, const struct message_entry *entry), void *user);
/* The message's octets in pieces, line ends as the original had them. ERR_OK; else what cannot be
 * had; ERR_CANCELLED: `give` said false. */
enum err export_content(struct exporter *exporter, const struct export_mailbox *mailbox,
			const struct message_entry *entry,
			bool (*give)(void *user, struct slice octets), void *user) MUST_USE;

/* Each writes one mailbox; what cannot be written ends the run, what cannot be read is skipped. */
void export_maildir(struct exporter *exporter, struct export_mailbox *mailbox);
void export_mbox(struct exporter *exporter, struct export_mailbox *mailbox);
/* The list of subscriptions, beside the mailboxes. */
void export_subscriptions(struct exporter *exporter);

/* Writes all; false: said, over. */
bool export_write(struct exporter *exporter, FILE *file, struct slice octets);
bool export_close(struct exporter *exporter, FILE **file, const char *path);
