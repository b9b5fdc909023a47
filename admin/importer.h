/* admin/importer.h - what all sources of an import share: mailboxes to fill, messages filed
 * through the writer many to a commit, what was skipped and why, the table at the end.
 *
 * A source walks through its mailboxes; for each it opens a target, asks of each message whether
 * it was imported before, and if not feeds it. A message and the note that it was imported are
 * one transaction, so a run that was killed goes on where it was, and nothing comes twice.
 * Memory is bounded by what is on its way: IMPORT_WAY_MESSAGES and IMPORT_WAY_OCTETS. One thread,
 * besides the writer's. */
#pragma once

#include "admin/admin_priv.h"
#include "storage/message.h"
#include "storage/source.h"

enum {
	IMPORT_WAY_MESSAGES = 2048,
	IMPORT_WAY_OCTETS = 32 << 20,
	IMPORT_KEYWORDS_MAX = MAILBOX_KEYWORDS_MAX, /* of one message */
};

struct importer;
struct import_target;
struct import_item;

struct importer_options {
	const char *user;
	const char *into; /* NULL: names as they are */
	bool json;
};
/* Opens the store as who runs the command, since the source may be readable to him alone. NULL:
 * said what is wrong. */
struct importer *importer_new(struct admin *admin, const struct importer_options *options);
struct loop *importer_loop(struct importer *importer);
/* So many more messages will be looked at. */
void importer_expect(struct importer *importer, uint64_t messages);
/* Something went wrong that ends the run: the source stops. */
bool importer_is_over(const struct importer *importer);
/* Ends the run: "bode: ..." */
void importer_fail(struct importer *importer, const char *format, ...) PRINTF_LIKE(2, 3);
/* Waits for all that is under way, prints the skipped and the table, frees. Returns the exit
 * status. */
int importer_finish(struct importer **importer);

struct import_mailbox {
	struct slice name; /* UTF-8 with '/'; the whole of it, before --into */
	enum special_use special_use;
	/* Kept where the mailbox here is still empty; 0: not known. */
	uint32_t uidvalidity, uidnext;
	bool subscribe; /* where it is made by this import */
};
/* Finds or makes the mailbox. NULL: it cannot be had; said and counted as skipped, or over. Stays
 * valid until the end; the last opened is the one to feed. */
struct import_target *importer_open(struct importer *importer,
				    const struct import_mailbox *mailbox);
/* The end of this mailbox: waits for its messages, then sees to uidnext. */
void importer_close(struct importer *importer, struct import_target *target);
/* By the name in the source, or the mailbox as it is here. */
void importer_subscribe(struct importer *importer, struct slice name);
void importer_subscribe_target(struct importer *importer, struct import_target *target);

/* Was the message of this name imported into this mailbox before? Counts it as there. */
bool importer_knows(struct importer *importer, struct import_target *target,
		    const struct source_name *name);

struct import_message {
	struct source_name name;
	uint32_t uid; /* 0: none to keep */
	uint8_t flags;
	enum source_form form;
	int64_t internal_unix;
	struct slice keywords[IMPORT_KEYWORDS_MAX]; /* those that are none are left out */
	size_t keyword_count;
	const char *where; /* for the list of the skipped */
};
/* The strings are copied. Waits while too much is under way. */
struct import_item *import_begin(struct importer *importer, struct import_target *target,
				 const struct import_message *message);
/* Octets as they are in the source; line feeds become CRLF. Waits where it has to. */
void import_feed(struct import_item *item, struct slice octets);
/* Says anew what was said at the begin: a server may tell of a message behind its content. */
void import_describe(struct import_item *item, const struct import_message *message);
void import_commit(struct import_item **item);
/* Instead: what there was of it is forgotten. */
void import_abandon(struct import_item **item);

/* Not imported: said at once. `where` may be a path or "mailbox, UID 7".
 * `target` may be NULL where no mailbox can be told. */
void importer_skip(struct importer *importer, struct import_target *target, const char *where,
		   const char *why);

/* The same, with errno's words behind `doing`. */
void importer_skip_errno(struct importer *importer, struct import_target *target, const char *where,
			 const char *doing);

/* Worth saying, and nothing is missing by it. */
void importer_note(struct importer *importer, const char *where, const char *what);
