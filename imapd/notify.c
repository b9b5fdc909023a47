/* imapd/notify.c - NOTIFY: what the client wants to be told, while commands run and between them.
 * In the back.
 *
 * RFC 5465. What is to be told of the selected mailbox the view tells, as at the end of commands
 * and in IDLE (section 4), but only what is wanted; without it the client's picture stands still,
 * and with it the numbers of messages. Of other mailboxes the store's watch keeps news; what this
 * session does itself is not among them (section 5). Both are told as soon as no command is under
 * way. The rights 'l' and 'r' that section 5 asks for an account has on all of its mailboxes; for
 * those of others: notify_others.c. */
#include "imapd/notify_priv.h"

#include <stdlib.h>

#include "base/heap.h"
#include "imapd/arrivals_priv.h"
#include "imapd/grammar_priv.h"
#include "imapd/respond_priv.h"
#include "imapd/view_priv.h"

/* ---- the selected mailbox ---- */

void notify_view_changed(struct imap_session *s)
{
	if (!s->notify || !notify_tells_messages(s))
		return;
	s->notify->has_view_news = true;
	if (!s->running)
		session_wake_news(&s->session, NEWS_CHANGED);
}

/* ---- telling ---- */

const struct watch *notify_origin(const struct imap_session *s)
{
	return s->notify && s->notify->own.is_begun ? &s->notify->own.watch : NULL;
}

bool notify_is_due(const struct imap_session *s)
{
	return s->notify && (s->notify->has_news || s->notify->has_view_news);
}

void notify_wake(struct notify *notify)
{
	struct imap_session *s = notify->s;
	notify->has_news = true;
	/* Otherwise what runs now looks at its end. */
	if (!s->running || imap_is_idle(s))
		session_wake_news(&s->session, NEWS_CHANGED);
}

void notify_subscribed(struct imap_session *s, struct slice name)
{
	if (!s->notify || !s->notify->others)
		return;
	notify_others_subscribed(s->notify, name);
	s->notify->has_news = true;
}

static void stop_watching(struct notify *notify)
{
	notify_feed_end(&notify->own);
	notify_others_end(notify);
	notify->has_news = notify->walks = false;
	buffer_free(&notify->walked);
}

bool notify_tell_others(struct imap_session *s)
{
	struct notify *notify = s->notify;
	if (!notify || !notify->own.is_begun)
		return true;
	notify->has_news = false;
	notify_feed_take(&notify->own);
	notify_others_take(notify);
	if (!notify_tell_news(notify))
		return false;
	if (notify->request.other_events == 0) /* any more */
		stop_watching(notify);
	return true;
}

void notify_sync_view(struct imap_session *s)
{
	if (s->notify)
		s->notify->has_view_news = false;
	if (s->view && notify_tells_messages(s))
		imap_sync_view(s);
}

enum step notify_tell(struct imap_session *s, struct cursor *in)
{
	/* It has been called before, and not all was told. */
	if (s->view && !arrival_go_on(s->view))
		return STEP_WAIT;
	if (imap_account_is_gone(s))
		return imap_bye(s, IMAP_ACCOUNT_GONE_TEXT);
	if (s->view && view_ask_rights(s->view) == ERR_DENIED)
		return imap_bye(s, IMAP_ACCESS_GONE_TEXT);
	if (s->view && notify_tells_messages(s)) {
		if (s->notify->has_view_news)
			notify_sync_view(s);
		if (!view_tell(s->view, !s->notify->request.is_delayed))
			return STEP_WAIT;
	}
	s->notify->has_view_news = false;
	if (!notify_tell_others(s))
		return STEP_WAIT;
	s->running = NULL;
	return STEP_AGAIN;
}

/* ---- the command ---- */

static void free_one(struct notify *notify)
{
	stop_watching(notify);
	arena_fini(&notify->arena);
	free(notify);
}

void notify_free(struct imap_session *s)
{
	if (s->notify)
		free_one(s->notify);
	s->notify = NULL;
}

/* The watches begin before what they are about is read. */
static enum err start_watching(struct notify *notify)
{
	struct imap_session *s = notify->s;
	notify_feed_begin(&notify->own, notify, s->account_id);
	struct read *read = read_begin(s->back->store);
	notify->seen_modseq = notify_account_modseq(read, s->account_id);
	enum err err = read_failure(read);
	read_end(&read);
	if (err == ERR_OK)
		notify_others_begin(notify);
	return err;
}

/* From here on the new request holds. */
static enum step replace(struct imap_session *s)
{
	struct notify *next = s->work;
	notify_free(s);
	s->notify = next;
	s->work = NULL;
	s->work_fini = NULL;
	if (next->request.has_items && next->request.items.has_modseq)
		imap_enable_condstore(s);
	return imap_ok(s, "NOTIFY completed");
}

static enum step tell_first(struct imap_session *s, struct cursor *in)
{
	struct notify *next = s->work;
	bool is_done = true;
	enum err err = ERR_OK;
	if (next->tells_status)
		err = notify_tell_status(next, &is_done);
	if (err == ERR_OK && is_done) {
		next->tells_status = false;
		err = notify_others_tell_first(next, &is_done);
	}
	if (err != ERR_OK)
		return imap_refuse(s, err);
	return is_done ? replace(s) : STEP_WAIT;
}

/* In turns, for there may be many. Until it is done nothing is told by either request: what happens
 * meanwhile is kept by the watches of the new one. */
static enum step look_at_others(struct imap_session *s, struct cursor *in)
{
	bool is_done;
	enum err err = notify_others_look(s->work, &is_done);
	if (err == ERR_LIMIT)
		return imap_no(s, "[NOTIFICATIONOVERFLOW] Too many mailboxes of others");
	if (err != ERR_OK)
		return imap_refuse(s, err);
	if (is_done)
		s->running = tell_first;
	return STEP_AGAIN;
}

/* As NOOP would (section 3.1), and what was kept back comes out. */
static enum step apply(struct imap_session *s, struct cursor *in)
{
	struct notify *next = s->work;
	struct imap_view *view = s->view;
	if (view && !view_compare_on(view))
		return STEP_WAIT;
	if (view) {
		view_note_flags(view, &view->withheld);
		ranges_free(&view->withheld);
	}
	if (view && !view_tell(view, true))
		return STEP_WAIT;
	enum err err = next->request.other_events != 0 ? start_watching(next) : ERR_OK;
	if (err != ERR_OK)
		return imap_refuse(s, err);
	next->tells_status = next->request.wants_status;
	s->running = look_at_others;
	return STEP_AGAIN;
}

static void request_fini(struct imap_session *s)
{
	free_one(s->work);
}

enum step imap_notify(struct imap_session *s, struct cursor *args, bool uid)
{
	struct notify *next = heap_alloc(sizeof(*next));
	next->s = s;
	s->work = next;
	s->work_fini = request_fini;
	/* The command's own text ends with the command. */
	struct cursor c = cursor_of(arena_copy(&next->arena, cursor_rest(args)));
	switch (take_notify_request(&c, &next->arena, imap_speaks_utf8(s), &next->request)) {
	case NOTIFY_PARSED: break;
	case NOTIFY_MALFORMED:
		return imap_bad(s, "NOTIFY wants NONE, or SET and groups of mailboxes and events");
	case NOTIFY_UNKNOWN_EVENT:
		return imap_no(s,
			       "[BADEVENT " NOTIFY_ALL_EVENTS "] Not an event that happens here");
	case NOTIFY_TOO_MUCH:
		return imap_no(s, "[NOTIFICATIONOVERFLOW] Too many groups or mailboxes");
	}
	if (s->view)
		imap_sync_view(s);
	s->running = apply;
	return STEP_AGAIN;
}
