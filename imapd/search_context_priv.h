/* imapd/search_context_priv.h - searches whose results are kept up to date (RFC 5267 section 4.3).
 * They belong to the view, on the session's loop. */
#pragma once

#include "imapd/search_keys_priv.h"
#include "imapd/view_priv.h"

struct search_context;

/* Whether a context of this tag lives. */
bool search_context_exists(const struct imap_view *view, struct slice tag);
/* Keeps the search going on: `text` is its program as the client wrote it, `found` its result so
 * far. Called while the command that asked for it runs. False: there are too many, or it would
 * have to read too much. */
bool search_context_add(struct imap_view *view, struct slice tag, bool uid, struct slice text,
			const struct search_program *program, const struct ranges *found);
void search_context_cancel(struct imap_view *view, struct slice tag);
void search_contexts_free(struct imap_view *view);

/* For view_tell(): what has vanished, before that is told; what has changed or arrived since,
 * afterwards. */
void search_contexts_tell_vanished(struct imap_view *view);
void search_contexts_tell_changed(struct imap_view *view);
