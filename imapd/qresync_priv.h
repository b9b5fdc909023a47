/* imapd/qresync_priv.h - what a client that comes back must be told (RFC 7162 section 3.2). */
#pragma once

#include "imapd/grammar_priv.h"
#include "imapd/view_priv.h"

/* The parameters of SELECT and EXAMINE. */
struct select_parameters {
	bool condstore;
	bool has_qresync;
	uint32_t uidvalidity; /* the rest is void where it is another now */
	uint64_t modseq;
	bool has_known_uids;
	struct sequence_set known_uids;
	bool has_match; /* sequence numbers and the UIDs that the client had them for */
	struct sequence_set match_seqnums, match_uids;
};
/* [SP "(" select-param *(SP select-param) ")"], to the end of the command */
bool take_select_parameters(struct cursor *c, struct arena *arena,
			    struct select_parameters *parameters_out);

/* A look at all entries of a mailbox, a part at a time: what the change log no longer tells. Nothing
 * is to be looked at where it is zero-initialised. */
struct qresync_walk {
	uint64_t since_modseq;
	struct ranges known; /* UIDs that are of interest */
	uint32_t next_uid;   /* 0: it is over */
};
/* Notes in the view what a QRESYNC parameter asks for; view_tell() tells it. What of it needs a walk
 * is left to `walk_out`. */
enum err qresync_note(struct imap_view *view, struct read *read,
		      const struct select_parameters *parameters,
		      struct qresync_walk *walk_out) MUST_USE;
/* Looks at the next entries, for about a millisecond. ERR_OK and walk->next_uid != 0: there are
 * more. */
enum err qresync_walk_on(struct imap_view *view, struct qresync_walk *walk) MUST_USE;
void qresync_walk_fini(struct qresync_walk *walk);
/* Notes what of `uids` (any numbers) has vanished after `since_modseq`: all that is not there,
 * where the store does not reach back so far. UIDs up to `matched_uid` are known to be right. */
enum err qresync_note_vanished(struct imap_view *view, struct read *read, uint64_t since_modseq,
			       const struct ranges *uids, uint32_t matched_uid) MUST_USE;
