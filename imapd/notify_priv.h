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
/* "(MessageNew MessageExpunge ...)": all there are. */
#define NOTIFY_ALL_EVENTS                                         \
	"(MessageNew MessageExpunge FlagChange AnnotationChange " \
	"MailboxName SubscriptionChange MailboxMetadataChange "   \
	"ServerMetadataChange)"

struct notify {
	struct imap_session *s;
	struct arena arena; /* of the request */
	struct notify_request request;
	struct watch watch; /* on the whole account, while anything is wanted of it */
	bool is_watching;
	bool has_news; /* in the watch */
	bool has_view_news;
	/* What is being told. */
	struct buffer news;
	size_t told_octets;
	/* When anything may have changed: the mailboxes that changed since `seen_modseq`, one after
	 * another. */
	bool walks;
	uint64_t seen_modseq, walk_modseq;
	struct buffer walked;	      /* the name last looked at */
	struct notify_others *others; /* NULL: nothing is wanted of mailboxes of others */
};

/* notify.c. What is to be told of the selected mailbox: all, as long as NOTIFY was never used. */
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
/* What has happened in other mailboxes. False: the output is full. */
bool notify_tell_others(struct imap_session *s);
/* For imap_session.running, between commands. */
enum step notify_tell(struct imap_session *s, struct cursor *in);
/* What the store's job is to name as its origin. */
const struct watch *notify_origin(const struct imap_session *s);
void notify_free(struct imap_session *s);

/* The highest MODSEQ of the account; 0: it is gone. */
uint64_t notify_account_modseq(struct read *read, uint32_t account_id);
/* notify_news.c: tells what has happened in other mailboxes. False: the output is full. */
bool notify_tell_news(struct notify *notify);
/* The STATUS lines that NOTIFY SET STATUS begins with: of the mailboxes behind `notify->walked`.
 * False: the output is full. */
bool notify_tell_status(struct notify *notify);
/* As if NOTIFY NONE had come (section 5.8). */
void notify_overflow(struct notify *notify);
/* STATUS of a mailbox whose messages have changed, or that the client is told of first; where it is
 * wanted. */
void notify_tell_messages(struct notify *notify, struct read *read, const struct mailbox *mailbox,
			  unsigned kinds);
void notify_tell_first(struct notify *notify, struct read *read, const struct mailbox *mailbox);
enum { NOTIFY_ALL_MESSAGE_KINDS = WATCH_ARRIVED | WATCH_EXPUNGED | WATCH_FLAGS | WATCH_SEEN };
/* The mailbox above; none where it is at the top. */
struct slice notify_superior_of(struct slice name);
/* notify.c: there is news in some watch. */
void notify_wake(struct notify *notify);

/* notify_others.c: the mailboxes of others that the client may look up and read. Watches them, where
 * the request may be about any. False: they are too many. */
bool notify_others_begin(struct notify *notify);
void notify_others_end(struct notify *notify);
/* What has happened to them, also to the rights on them. */
void notify_others_tell(struct notify *notify, struct read *read);
void notify_others_status(struct notify *notify, struct read *read);
/* The account's rights on some of them have changed. */
void notify_others_stale(struct notify *notify);
