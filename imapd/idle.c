/* imapd/idle.c - IDLE: what changes is told as it happens. In the back.
 *
 * RFC 9051 section 6.3.13, RFC 2177; RFC 5465 section 4: what NOTIFY asked for, and no more. While it
 * runs the session owns its tag and nothing else; the store's watch on the selected mailbox wakes it
 * (view.c). */
#include <stdlib.h>

#include "base/heap.h"
#include "imapd/arrivals_priv.h"
#include "imapd/notify_priv.h"
#include "imapd/view_priv.h"

static void idle_fini(struct imap_session *s)
{
	free(s->work);
}

/* Of what is not this client's any more it is told no more. */
static bool is_refused(struct imap_session *s, enum step *step_out)
{
	const char *why = NULL;
	if (imap_account_is_gone(s))
		why = IMAP_ACCOUNT_GONE_TEXT;
	else if (s->view && view_ask_rights(s->view) == ERR_DENIED)
		why = IMAP_ACCESS_GONE_TEXT;
	if (why)
		*step_out = imap_bye(s, why);
	return why != NULL;
}

static enum step idle_go_on(struct imap_session *s, struct cursor *in)
{
	enum step step;
	if (s->view && arrival_is_answering(s->view)) {
		if (!arrival_go_on(s->view))
			return STEP_WAIT;
		/* There may have been news meanwhile, which could not be answered then. */
		if (is_refused(s, &step))
			return step;
	}
	if (s->view && notify_tells_messages(s) && !view_tell(s->view, true))
		return STEP_WAIT;
	if (!notify_tell_others(s))
		return STEP_WAIT;
	/* framing holds the client's line; the tag is in s->work. */
	switch (framing_next(&s->framing, in, IMAP_COMMAND_MAX_OCTETS)) {
	case FRAMED_NOTHING:
		if (s->framing.text.len == 0)
			framing_reset(&s->framing);
		return STEP_INPUT;
	case FRAMED_COMMAND:
		if (slice_eq_nocase(framing_command(&s->framing), SLICE("DONE")))
			return imap_ok(s, "IDLE completed");
		return imap_bad(s, "DONE ends IDLE");
	case FRAMED_LITERAL:
		if (!framing_refuse(&s->framing))
			return STEP_AGAIN;
		return imap_bad(s, "DONE ends IDLE");
	case FRAMED_REFUSED: return imap_bad(s, "DONE ends IDLE");
	}
	return STEP_CLOSE;
}

bool imap_is_idle(const struct imap_session *s)
{
	return s->running == idle_go_on;
}

enum step imap_idle_news(struct imap_session *s)
{
	struct cursor nothing = cursor_of(SLICE_NONE);
	enum step step;
	notify_sync_view(s);
	if (!(s->view && arrival_is_answering(s->view)) && is_refused(s, &step))
		return step;
	return idle_go_on(s, &nothing);
}

enum step imap_idle(struct imap_session *s, struct cursor *args, bool uid)
{
	if (!at_end(args))
		return imap_bad(s, "IDLE has no arguments");
	uint8_t *tag = heap_copy(s->tag.ptr, s->tag.len);
	s->tag = slice_of(tag, s->tag.len);
	s->work = tag;
	s->work_fini = idle_fini;
	framing_reset(&s->framing);
	arena_fini(&s->command_arena);
	buffer_add_format(&s->session.out, "+ %s\r\n", imap_text(s, "idling"));
	notify_sync_view(s);
	/* Thunderbird looks at EXISTS here and after NOOP, not where it comes with a FETCH or STORE of
	 * its own (RFC 9051 section 5.2 has it told there): it would show what came meanwhile only
	 * when something else comes. */
	if (s->view && s->view->told_in_passing)
		s->view->tell_exists = true;
	s->running = idle_go_on;
	return STEP_AGAIN;
}
