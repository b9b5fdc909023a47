/* imapd/search_mailboxes_priv.h - the mailboxes that an ESEARCH looks into (RFC 7377 section 2.2): which those
 * are that its sources name. On the session's loop. */
#pragma once

#include "imapd/access_priv.h"
#include "imapd/search_sources_priv.h"

/* Found in turns: each is one call, for less than a millisecond, in a read of its own. So they are of no
 * one moment; but what was there under one name, to be read, from the first to the last is among them,
 * and nothing is so twice. */
struct search_mailboxes {
	const struct search_source *sources;
	uint32_t account_id;
	uint64_t selected_id; /* 0: none is selected */
	uint32_t selected_owner_id;
	struct arena *arena; /* of `ids` */
	/* Zero-initialised from here on. */
	uint64_t *ids; /* when it is whole: one's own and then others', in order of name */
	size_t count, cap;
	bool is_whole;
	struct buffer after; /* the last name of one's own that was looked at */
	bool has_own;	     /* all of them */
	struct access_gathering others;
	size_t looked; /* rows of that, when it is whole */
};
/* Fails where the store does. */
enum err search_mailboxes_find_on(struct search_mailboxes *mailboxes, struct read *read) MUST_USE;
/* The ids stay. */
void search_mailboxes_fini(struct search_mailboxes *mailboxes);
