/* imapd/notify_priv.h - NOTIFY (RFC 5465): what a client wants to be told, all the time.
 *
 * The session owns it, on its loop. What happens in other mailboxes comes from the store as news
 * (storage/mailbox.h), so a session that is told nothing reads nothing, and one that does not
 * listen keeps a bounded number of octets. */
#pragma once

#include "imapd/fetch_items_priv.h"
#include "imapd/search_sources_priv.h"
#include "imapd/session_priv.h"

/* RFC 5465 section 5; bits. */
enum notify_event {
	NOTIFY_MESSAGE_NEW = 1,
	NOTIFY_MESSAGE_EXPUNGE = 2,
	NOTIFY_FLAG_CHANGE = 4,
	NOTIFY_ANNOTATION_CHANGE = 8, /* messages have none here: never happens */
	NOTIFY_MAILBOX_NAME = 16,
	NOTIFY_SUBSCRIPTION_CHANGE = 32,
	NOTIFY_MAILBOX_METADATA_CHANGE = 64,
	NOTIFY_SERVER_METADATA_CHANGE = 128,
};
enum {
	NOTIFY_MESSAGE_EVENTS = NOTIFY_MESSAGE_NEW | NOTIFY_MESSAGE_EXPUNGE | NOTIFY_FLAG_CHANGE |
				NOTIFY_ANNOTATION_CHANGE,
	NOTIFY_LIST_EVENTS = NOTIFY_MAILBOX_NAME | NOTIFY_SUBSCRIPTION_CHANGE,
	NOTIFY_METADATA_EVENTS = NOTIFY_MAILBOX_METADATA_CHANGE | NOTIFY_SERVER_METADATA_CHANGE,
};

/* An event-group for mailboxes by name. */
struct notify_group {
	struct search_source source;
	unsigned events;
	struct notify_group *next;
};
/* What a NOTIFY command asks for. All zero: NONE. */
struct notify_request {
	bool wants_status;
	bool is_delayed; /* SELECTED-DELAYED */
	unsigned selected_events;
	bool has_items; /* of MessageNew in the selected mailbox */
	struct fetch_items items;
	struct notify_group *groups;
	unsigned other_events; /* of all groups */
};

enum notify_parsed {
	NOTIFY_PARSED,
	NOTIFY_MALFORMED,     /* BAD */
	NOTIFY_UNKNOWN_EVENT, /* NO [BADEVENT ...] */
	NOTIFY_TOO_MUCH,      /* NO [NOTIFICATIONOVERFLOW] */
};
/* notify_groups.c: the arguments of NOTIFY, to their end. What it gives points into them and
 * `arena`. */
enum notify_parsed take_notify_request(struct cursor *c, struct arena *arena, bool utf8,
				       struct notify_request *request_out);
/* The events that are wanted of a mailbox by that name; others' are no personal ones. */
unsigned notify_events_of(const struct notify_request *request, struct slice name,
			  bool is_subscribed, bool is_others);
/* Whether anything is wanted of mailboxes of others at `top` or below; `has_subscribed`: some of
 * these are subscribed. */
bool notify_reaches(const struct notify_request *request, struct slice top, bool has_subscribed);
/* "(MessageNew MessageExpunge ...)": all there are. */
#define NOTIFY_ALL_EVENTS                                         \
	"(MessageNew MessageExpunge FlagChange AnnotationChange " \
	"MailboxName SubscriptionChange MailboxMetadataChange "   \
	"ServerMetadataChange)"

/* notify_feed.c: the news of one account. */
struct notify_feed {
	struct notify *notify;
	struct watch watch;
	bool is_begun;
	bool has_news;	    /* in the watch */
	struct buffer news; /* taken from it, */
	size_t told_octets; /* of which so much has been told */
};
void notify_feed_begin(struct notify_feed *feed, struct notify *notify, uint32_t account_id);
/* May not have begun. */
void notify_feed_end(struct notify_feed *feed);
/* Takes what has come from the watch, once all that was taken before has been told. What is read
 * from the store to tell it is to be read afterwards. Returns all enum watch_kind of it. */
unsigned notify_feed_take(struct notify_feed *feed);
/* The next of what was taken; its names live until the next call. False: all has been told. */
bool notify_feed_next(struct notify_feed *feed, struct watch_news *news_out);
bool notify_feed_is_told(const struct notify_feed *feed);

struct notify {
	struct imap_session *s;
	struct arena arena; /* of the request */
	struct notify_request request;
	struct notify_feed own; /* of the session's account, while anything is wanted of it */
	bool has_news;		/* in some feed */
	bool has_view_news;
	bool tells_status; /* of NOTIFY SET STATUS, of the account's own mailboxes */
	/* When anything may have changed: the mailboxes that changed since `seen_modseq`, one after
	 * another. */
	bool walks;
	uint64_t seen_modseq, walk_modseq;
	struct buffer walked;	      /* the name last looked at */
	struct notify_others *others; /* NULL: nothing is wanted of mailboxes of others */
};

/* notify.c: there is news in some feed. */
void notify_wake(struct notify *notify);
/* What is to be told of the selected mailbox: all, as long as NOTIFY was never used. */
static inline unsigned notify_selected_events(const struct imap_session *s)
{
	return s->notify ? s->notify->request.selected_events : NOTIFY_MESSAGE_EVENTS;
}
static inline bool notify_tells_messages(const struct imap_session *s)
{
	return notify_selected_events(s) & NOTIFY_MESSAGE_NEW;
}
/* The attributes that go with a new message in the selected mailbox; NULL: none. */
static inline const struct fetch_items *notify_items(const struct imap_session *s)
{
	return s->notify && s->notify->request.has_items ? &s->notify->request.items : NULL;
}
/* The selected mailbox has changed. */
void notify_view_changed(struct imap_session *s);
/* Something is to be told, and no command is in the way. */
bool notify_is_due(const struct imap_session *s);
/* What has happened in other mailboxes. False: the output is full, or it is the others' turn, and more is
 * to be told before the client's next command. True: what was known at the beginning has been told;
 * notify_is_due() says whether there is more. */
bool notify_tell_others(struct imap_session *s);
/* Brings the selected mailbox up to date, if anything of it is wanted. */
void notify_sync_view(struct imap_session *s);
/* For imap_session.running, between commands. */
enum step notify_tell(struct imap_session *s, struct cursor *in);
/* What the store's job is to name as its origin. */
const struct watch *notify_origin(const struct imap_session *s);
/* The session has changed its subscription to a mailbox: its watch does not tell. */
void notify_subscribed(struct imap_session *s, struct slice name);
void notify_free(struct imap_session *s);

/* The highest MODSEQ of the account; 0: it is gone. */
uint64_t notify_account_modseq(struct read *read, uint32_t account_id);
/* notify_news.c: tells what has happened in other mailboxes, as far as it has been taken from the
 * feeds. False as with notify_tell_others(). */
bool notify_tell_news(struct notify *notify);
/* The STATUS lines that NOTIFY SET STATUS begins with: of the mailboxes behind `notify->walked`.
 * Fails where the store does. */
enum err notify_tell_status(struct notify *notify, bool *is_done_out) MUST_USE;
/* Where the store has failed nothing is wanted from now on, as if NOTIFY NONE had come (section 5.8): of
 * what was to be told by this read nobody knows what was missed. */
void notify_check_read(struct notify *notify, const struct read *read);
/* STATUS of a mailbox whose messages have changed, or that the client is told of first; where it is
 * wanted. */
void notify_tell_messages(struct notify *notify, struct read *read, const struct mailbox *mailbox,
			  unsigned kinds);
void notify_tell_first(struct notify *notify, struct read *read, const struct mailbox *mailbox);
enum { NOTIFY_ALL_MESSAGE_KINDS = WATCH_ARRIVED | WATCH_EXPUNGED | WATCH_FLAGS | WATCH_SEEN };
/* The mailbox above; none where it is at the top. */
struct slice notify_superior_of(struct slice name);

/* notify_others.c: the mailboxes of others that the client may look up. Watches their owners, where the
 * request may be about any of theirs. */
void notify_others_begin(struct notify *notify);
/* Looks for them, for less than a millisecond: to be called until it is done. ERR_LIMIT: they
 * are too many. Fails where the store does. */
enum err notify_others_look(struct notify *notify, bool *is_done_out) MUST_USE;
void notify_others_end(struct notify *notify);
/* Takes what has happened to them from the feeds. */
void notify_others_take(struct notify *notify);
/* Tells it, and what has become of the list and of the rights. False as with notify_tell_others(). */
bool notify_others_tell(struct notify *notify);
/* What NOTIFY SET begins with: \NoAccess (section 3.1), and STATUS, where that is wanted. Fails where the
 * store does. */
enum err notify_others_tell_first(struct notify *notify, bool *is_done_out) MUST_USE;
/* Those that the client has been told of. NULL: nothing is wanted of any. */
struct access_list;
const struct access_list *notify_others_rows(const struct notify *notify);
/* The account's rights on some of them have changed. */
void notify_others_stale(struct notify *notify);
/* So has its subscription to a mailbox of that name. */
void notify_others_subscribed(struct notify *notify, struct slice name);
