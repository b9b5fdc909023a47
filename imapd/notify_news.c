/* imapd/notify_news.c - what has happened in mailboxes that are not selected, and to their names
 * and annotations. In the back.
 *
 * RFC 5465 sections 5.1 to 5.7: STATUS for messages, LIST for names and subscriptions, METADATA
 * for annotations; section 5.8: where it is not known what happened to names or annotations, the
 * client is told that it has missed something. For messages it always can be known: a mailbox
 * whose HIGHESTMODSEQ is above what was there before has changed. */
#include "imapd/access_priv.h"
#include "imapd/list_priv.h"
#include "imapd/metadata_priv.h"
#include "imapd/notify_priv.h"
#include "imapd/respond_priv.h"
#include "imapd/view_priv.h"
#include "storage/account.h"

enum {
	MESSAGE_KINDS = NOTIFY_ALL_MESSAGE_KINDS | WATCH_UIDVALIDITY,
	/* Mailboxes, or records of news, that are looked at; then others have their turn. */
	NAMES_AT_A_TIME = 128,
};

/* Nothing is wanted from now on, as if NOTIFY NONE had come (section 5.8). */
static void overflow(struct notify *notify)
{
	struct imap_session *s = notify->s;
	respond_line(&s->session.out, s->language, SLICE("*"), "OK",
		     "[NOTIFICATIONOVERFLOW] Too much has happened: no more is told");
	log_info(&s->session.log, EVENT("notify-overflow"));
	notify->request = (struct notify_request){ 0 };
	notify->walks = false;
}

void notify_check_read(struct notify *notify, const struct read *read)
{
	bool is_over = notify->request.other_events == 0;
	if (read_failure(read) != ERR_OK && !is_over)
		overflow(notify);
}

/* The mailbox of that number, where it is this account's and not the selected one, whose messages
 * SELECTED alone is about (section 3.1). */
static bool is_selected(const struct imap_session *s, uint64_t mailbox_id)
{
	return s->view && s->view->mailbox_id == mailbox_id;
}

/* ---- STATUS ---- */

static unsigned status_items_of(const struct imap_session *s, unsigned kinds, unsigned wanted)
{
	bool condstore = imap_has(s, IMAP_ENABLED_CONDSTORE);
	unsigned items = 0;
	if (((kinds & WATCH_ARRIVED) && (wanted & NOTIFY_MESSAGE_NEW)) ||
	    ((kinds & WATCH_EXPUNGED) && (wanted & NOTIFY_MESSAGE_EXPUNGE)))
		items |= STATUS_MESSAGES | STATUS_UIDNEXT | (condstore ? STATUS_HIGHESTMODSEQ : 0);
	if ((kinds & WATCH_FLAGS) && (wanted & NOTIFY_FLAG_CHANGE)) {
		items |= condstore ? STATUS_UIDVALIDITY | STATUS_HIGHESTMODSEQ : 0;
		items |= kinds & WATCH_SEEN ? STATUS_UNSEEN : 0;
	}
	if ((kinds & WATCH_UIDVALIDITY) && (wanted & NOTIFY_MESSAGE_EVENTS))
		items |= STATUS_UIDVALIDITY;
	return items;
}

static unsigned wanted_of(const struct notify *notify, struct read *read, struct slice name)
{
	uint32_t account_id = notify->s->account_id;
	return notify_events_of(&notify->request, name,
				mailbox_is_subscribed(read, account_id, name), false);
}

static unsigned wanted_of_mailbox(const struct notify *notify, struct read *read,
				  const struct mailbox *mailbox)
{
	uint32_t account_id = notify->s->account_id;
	return notify_events_of(&notify->request, mailbox->name,
				mailbox_is_subscribed(read, account_id, mailbox->name),
				mailbox->account_id != account_id);
}

void notify_tell_messages(struct notify *notify, struct read *read, const struct mailbox *mailbox,
			  unsigned kinds)
{
	struct imap_session *s = notify->s;
	unsigned wanted = wanted_of_mailbox(notify, read, mailbox);
	unsigned items = status_items_of(s, kinds, wanted);
	if (items != 0 && !is_selected(s, mailbox->mailbox_id))
		respond_status(s, read, mailbox, items, NULL);
}

/* Section 3.1: what NOTIFY SET STATUS begins with. */
void notify_tell_first(struct notify *notify, struct read *read, const struct mailbox *mailbox)
{
	struct imap_session *s = notify->s;
	unsigned wanted = wanted_of_mailbox(notify, read, mailbox), items = 0;
	if (wanted & NOTIFY_MESSAGE_NEW)
		items |= STATUS_MESSAGES | STATUS_UIDNEXT | STATUS_UIDVALIDITY;
	if (wanted & (NOTIFY_FLAG_CHANGE | NOTIFY_ANNOTATION_CHANGE))
		items |= STATUS_UIDVALIDITY | STATUS_HIGHESTMODSEQ;
	if (items != 0 && !is_selected(s, mailbox->mailbox_id))
		respond_status(s, read, mailbox, items, NULL);
}

static void tell_if_changed(struct notify *notify, struct read *read, const struct mailbox *mailbox)
{
	if (mailbox->highest_modseq > notify->seen_modseq)
		notify_tell_messages(notify, read, mailbox, MESSAGE_KINDS);
}

/* Goes on behind notify->walked. False: there is more. */
static bool walk(struct notify *notify, struct read *read,
		 void (*tell)(struct notify *notify, struct read *read,
			      const struct mailbox *mailbox))
{
	struct imap_session *s = notify->s;
	struct mailbox_row row;
	struct arena arena = { 0 };
	bool is_over = false;
	for (unsigned i = 1;
	     !is_over && mailbox_next(read, s->account_id, buffer_slice(&notify->walked), &row);
	     i++) {
		struct mailbox *mailbox = arena_alloc(&arena, sizeof(*mailbox));
		buffer_clear(&notify->walked);
		buffer_add(&notify->walked, row.name);
		if (row.mailbox_id != 0 &&
		    mailbox_get(read, row.mailbox_id, &arena, mailbox) == ERR_OK)
			tell(notify, read, mailbox);
		arena_reset(&arena);
		is_over = i == NAMES_AT_A_TIME || session_out_is_full(&s->session);
	}
	arena_fini(&arena);
	if (!is_over)
		buffer_free(&notify->walked);
	return !is_over;
}

enum err notify_tell_status(struct notify *notify, bool *is_done_out)
{
	struct read *read = read_begin(notify->s->back->store);
	*is_done_out = walk(notify, read, notify_tell_first);
	enum err err = read_failure(read);
	read_end(&read);
	return err;
}

/* ---- names and annotations ---- */

struct slice notify_superior_of(struct slice name)
{
	for (size_t end = name.len; end > 0; end--)
		if (name.ptr[end - 1] == MAILBOX_SEPARATOR)
			return slice_sub(name, 0, end - 1);
	return SLICE_NONE;
}

static void tell_name(struct notify *notify, struct read *read, struct slice name,
		      struct slice old_name)
{
	unsigned wanted = wanted_of(notify, read, name);
	if (old_name.len > 0)
		wanted |= wanted_of(notify, read, old_name);
	if (wanted & NOTIFY_MAILBOX_NAME)
		list_respond_news(notify->s, read, name, old_name, NULL);
}

/* One that is no longer subscribed was of the SUBSCRIBED ones. */
static void tell_subscription(struct notify *notify, struct read *read, struct slice name)
{
	struct arena arena = { 0 };
	struct access_place place;
	uint32_t account_id = notify->s->account_id;
	enum err err = access_place_of(read, account_id, name, &arena, &place);
	bool is_others = err != ERR_OK || place.owner_id != account_id;
	if (notify_events_of(&notify->request, name, true, is_others) & NOTIFY_SUBSCRIPTION_CHANGE)
		list_respond_news(notify->s, read, name, SLICE_NONE,
				  is_others ? notify_others_rows(notify) : NULL);
	arena_fini(&arena);
}

static void tell_list(struct notify *notify, struct read *read, const struct watch_news *news)
{
	if (news->kinds & (WATCH_CREATED | WATCH_DELETED)) {
		struct slice superior = notify_superior_of(news->name);
		tell_name(notify, read, news->name, SLICE_NONE);
		if (superior.len > 0) /* its \HasChildren */
			tell_name(notify, read, superior, SLICE_NONE);
	}
	if (news->kinds & WATCH_RENAMED)
		tell_name(notify, read, news->name, news->old_name);
	if (news->kinds & WATCH_SUBSCRIPTION)
		tell_subscription(notify, read, news->name);
}

static void tell_annotation(struct notify *notify, struct read *read, const struct watch_news *news)
{
	struct arena arena = { 0 };
	struct mailbox *mailbox = arena_alloc(&arena, sizeof(*mailbox));
	if (news->mailbox_id == 0) {
		if (notify->request.other_events & NOTIFY_SERVER_METADATA_CHANGE)
			respond_metadata_changed(notify->s, SLICE_NONE, news->name);
	} else if (mailbox_get(read, news->mailbox_id, &arena, mailbox) == ERR_OK &&
		   (wanted_of_mailbox(notify, read, mailbox) & NOTIFY_MAILBOX_METADATA_CHANGE)) {
		respond_metadata_changed(notify->s, mailbox->name, news->name);
	}
	arena_fini(&arena);
}

/* ---- all of it ---- */

uint64_t notify_account_modseq(struct read *read, uint32_t account_id)
{
	struct arena arena = { 0 };
	struct account account;
	enum err err = account_get(read, account_id, &arena, &account);
	uint64_t modseq = err == ERR_OK ? account.modseq : 0;
	arena_fini(&arena);
	return modseq;
}

/* What happens while a walk is under way is found by the next. */
static void walk_begin_changed(struct notify *notify, struct read *read)
{
	if (notify->walks)
		return;
	notify->walks = true;
	notify->walk_modseq = notify_account_modseq(read, notify->s->account_id);
}

static bool walk_changed(struct notify *notify, struct read *read)
{
	if (!walk(notify, read, tell_if_changed))
		return false;
	notify->walks = false;
	notify->seen_modseq = notify->walk_modseq;
	return true;
}

static void tell_one(struct notify *notify, struct read *read, const struct watch_news *news)
{
	unsigned wanted = notify->request.other_events;
	if (news->kinds & (WATCH_RIGHTS | WATCH_ANYTHING))
		notify_others_stale(notify);
	if (news->kinds & WATCH_SUBSCRIPTION)
		notify_others_subscribed(notify, news->name);
	if (news->kinds & WATCH_ANYTHING) {
		if (wanted & (NOTIFY_LIST_EVENTS | NOTIFY_METADATA_EVENTS))
			overflow(notify);
		else if (wanted & NOTIFY_MESSAGE_EVENTS)
			walk_begin_changed(notify, read);
		return;
	}
	if ((news->kinds & MESSAGE_KINDS) && (wanted & NOTIFY_MESSAGE_EVENTS)) {
		struct arena arena = { 0 };
		struct mailbox *mailbox = arena_alloc(&arena, sizeof(*mailbox));
		if (mailbox_get(read, news->mailbox_id, &arena, mailbox) == ERR_OK)
			notify_tell_messages(notify, read, mailbox, news->kinds);
		arena_fini(&arena);
	}
	tell_list(notify, read, news);
	if (news->kinds & WATCH_ANNOTATION)
		tell_annotation(notify, read, news);
}

static bool tell_own(struct notify *notify)
{
	struct watch_news news;
	unsigned records_left = NAMES_AT_A_TIME;
	if (!notify->walks && notify_feed_is_told(&notify->own))
		return true;
	struct read *read = read_begin(notify->s->back->store);
	bool is_done = !notify->walks || walk_changed(notify, read);
	while (is_done && notify_feed_next(&notify->own, &news)) {
		tell_one(notify, read, &news);
		is_done = --records_left > 0 && !session_out_is_full(&notify->s->session) &&
			  (!notify->walks || walk_changed(notify, read));
	}
	notify_check_read(notify, read);
	read_end(&read);
	return is_done;
}

bool notify_tell_news(struct notify *notify)
{
	return tell_own(notify) && notify_others_tell(notify);
}
