/* imapd/search_context_priv.h - searches whose results are kept up to date (RFC 5267 section 4.3).
 * They belong to the view, on the session's loop. */
#pragma once

#include "imapd/collect_priv.h"
#include "imapd/fetch_items_priv.h"
#include "imapd/search_keys_priv.h"
#include "imapd/view_priv.h"

struct search_context;

/* A search that is to go on. */
struct search_update {
	struct slice tag;
	struct slice mailbox_name; /* where ESEARCH names it; ptr NULL: elsewhere */
	bool uid;
	enum charset_form form;
	struct slice text;  /* its program, as the client wrote it */
	struct slice items; /* the fetch-att list of RFC 5465 section 7, likewise; ptr NULL: none */
	const struct search_program *program;
	const struct ranges *found;	 /* the result so far: UIDs */
	const struct collection *sorted; /* the same in the order of SORT; NULL: a SEARCH */
};

/* Whether a context of this tag lives. */
bool search_context_exists(const struct imap_view *view, struct slice tag);
/* Keeps the search going on. Called while the command that asked for it runs. False: there are
 * too many, or it would have to keep or read too much. */
bool search_context_add(struct imap_view *view, const struct search_update *update);
/* "* NO [NOUPDATE tag]": nothing more will be told of it. */
void search_context_refuse(struct imap_view *view, struct slice tag);
/* How many runs all of them keep. */
uint64_t search_contexts_runs(const struct imap_view *view);
void search_contexts_free(struct imap_view *view);

/* For view_tell(), false where enough has been done or said for once: what has vanished, before that
 * is told; */
bool search_contexts_tell_vanished(struct imap_view *view) MUST_USE;
/* what has changed or arrived is looked at, and told later. */
bool search_contexts_look(struct imap_view *view) MUST_USE;
bool search_contexts_tell_changed(struct imap_view *view) MUST_USE;

/* Whether any of them wants FETCH responses for new messages; and which items it wants of one that
 * it has just found. */
bool search_contexts_want_items(const struct imap_view *view);
void search_contexts_add_items(const struct imap_view *view, uint32_t uid,
			       struct fetch_items *items, struct arena *arena);
