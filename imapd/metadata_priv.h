/* imapd/metadata_priv.h - annotations, as LIST and the framing of commands need them. */
#pragma once

#include "imapd/access_priv.h"
#include "imapd/grammar_priv.h"
#include "imapd/session_priv.h"
#include "storage/annotation.h"
#include "storage/mailbox.h"

/* Any of these, with RIGHT_LOOKUP (RFC 5464 section 3.3). */
enum { METADATA_RIGHTS = RIGHT_READ | RIGHT_SEEN | RIGHT_WRITE | RIGHT_INSERT | RIGHT_POST };
/* Names of entries, in small letters, each once; at most ANNOTATIONS_MAX. */
struct entry_list {
	struct slice *names;
	size_t count;
	bool is_cut; /* there were more */
};
/* "(" entry *(SP entry) ")" */
bool take_entry_list(struct cursor *c, struct arena *arena, struct entry_list *list_out);
/* The METADATA line of a mailbox, NIL for what has no value (RFC 9590). */
void respond_metadata(struct imap_session *s, struct read *read, const struct mailbox *mailbox,
		      const struct entry_list *list);
/* METADATA that only names an entry which has changed (section 4.4.2); an empty mailbox name: the
 * server's. */
void respond_metadata_changed(struct imap_session *s, struct slice mailbox, struct slice name);
/* The framed literal is a value of SETMETADATA: a literal8 may be one, and one that is too large
 * has a refusal of its own (NULL: it may come). */
bool imap_metadata_meets_literal(struct imap_session *s, const char **why_not_out);
