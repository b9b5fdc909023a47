/* imapd/notify_others_priv.h - the mailboxes of others that a NOTIFY may be about, and whose they are:
 * between notify_others.c, which tells of them, and notify_others_list.c, which finds them. On the
 * session's loop. */
#pragma once

#include "imapd/access_priv.h"
#include "imapd/notify_priv.h"

/* Whose mailboxes are watched. */
struct others_owner {
	struct notify_feed feed;
	struct others_owner *next;
	bool is_wanted; /* found when the list was made last */
	/* When anything may have changed: the mailboxes that changed since `seen_modseq`. */
	bool compares;
	size_t compared; /* rows of the list */
	uint64_t seen_modseq, compare_modseq;
};

struct others_list {
	struct arena arena;
	struct access_list rows;	 /* in it: with RIGHT_LOOKUP, in order of name */
	const struct access_row **by_id; /* the same, in order of number */
};

struct notify_others {
	struct notify *notify;
	struct watch anyone;	     /* on rights given to all */
	struct others_owner *owners; /* in order of account id */
	bool misses_news;	     /* something has happened that it cannot tell */
	bool rests;		     /* no list is begun until `rest` fires */
	struct timer *rest;	     /* NULL: none yet */
	bool is_stale;		     /* names or rights may have changed since the list was begun */
	struct others_list known; /* to the client, but for what of `fresh` is still to be told */
	struct others_list fresh;
	enum { FRESH_NONE, FRESH_GROWS, FRESH_WHOLE } fresh_state;
	struct access_gathering gathering; /* while `fresh` grows */
	struct others_owner **owner_at;	   /* the owners come in order */
	unsigned wanted_count;
	size_t told; /* rows of `fresh`, then of `known` */
};

/* Begins `fresh`, which says from now on what has become of the list. */
void others_list_begin(struct notify_others *others);
/* Goes on with it, for less than a millisecond. What is read of an owner is read after the watch on him
 * began; what changes between two of these calls makes the list stale. ERR_LIMIT: it is too long. Where it
 * fails, by that or with the store, there is no `fresh`, and the list is stale. */
enum err others_list_go_on(struct notify_others *others) MUST_USE;
/* `fresh` has been told: it is what the client knows. */
void others_list_adopt(struct notify_others *others);
/* The mailbox of that number; NULL: it is not in the list. */
const struct access_row *others_list_row(const struct others_list *list, uint64_t mailbox_id);
void others_list_free(struct notify_others *others);
void others_owner_free(struct others_owner *owner);
