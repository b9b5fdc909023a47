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

/* Notes in the view what a QRESYNC parameter asks for; view_tell() tells it. */
enum err qresync_note(struct imap_view *view, struct read *read,
		      const struct select_parameters *parameters) MUST_USE;
/* Notes what of `uids` (any numbers) has vanished after `since_modseq`: all that is not there,
 * where the store does not reach back so far. UIDs up to `matched_uid` are known to be right. */
enum err qresync_note_vanished(struct imap_view *view, struct read *read, uint64_t since_modseq,
			       const struct ranges *uids, uint32_t matched_uid) MUST_USE;
/* The members of the view whose MODSEQ is above `since_modseq`. `uids_out` starts empty. */
enum err qresync_changed(const struct imap_view *view, struct read *read, uint64_t since_modseq,
			 struct ranges *uids_out) MUST_USE;
