/* imapd/search_sources_priv.h - which mailboxes an ESEARCH looks into (RFC 7377 section 2.2), and
 * which a NOTIFY is about (RFC 5465 section 6). */
#pragma once

#include "imapd/session_priv.h"
#include "storage/mailbox.h"

enum source_kind {
	SOURCE_SELECTED,
	SOURCE_PERSONAL, /* and "inboxes": mail may be filed into any of them */
	SOURCE_SUBSCRIBED,
	SOURCE_SUBTREE,
	SOURCE_SUBTREE_ONE,
	SOURCE_MAILBOXES,
};
struct search_source {
	enum source_kind kind;
	struct slice *names;
	size_t name_count;
	struct search_source *next;
};
/* One of them, with its names. */
bool take_search_source(struct cursor *c, struct arena *arena, bool utf8,
			struct search_source *source);
/* Whether a mailbox by that name is one of them; which one is selected, its caller knows. */
bool search_source_has(const struct search_source *source, struct slice name, bool is_subscribed);
/* Whether any at `top` or below it may be; `has_subscribed`: some of these are subscribed. */
bool search_source_reaches(const struct search_source *source, struct slice top,
			   bool has_subscribed);
/* "IN" SP "(" source-mbox ")" SP, or nothing: the selected mailbox. `utf8` as in take_mailbox().
 * Scope options are none that we know. */
bool take_search_sources(struct cursor *c, struct arena *arena, bool utf8,
			 struct search_source **sources_out);
/* Only the selected mailbox; whether it is among them. */
bool search_sources_are_selected(const struct search_source *sources);
bool search_sources_have_selected(const struct search_source *sources);
