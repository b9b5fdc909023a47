/* imapd/refusal.c - a command that is refused before all of it has come. In the back.
 *
 * RFC 9051 section 4.3, RFC 7888 section 4: a client that waits for a "+" hears the tagged reply in its
 * place. What others have sent unasked is skipped first (framing.c), however much they have announced;
 * pace.c says for how long. Who is sent away meanwhile hears the reply before he does. */
#include "imapd/refusal_priv.h"

#include "imapd/respond_priv.h"

const char refusal_too_long[] = "[TOOBIG] The command is too long";

static enum step refuse(struct imap_session *s, const char *condition, const char *text)
{
	s->tag = framing_tag(&s->framing);
	if (condition[0] == 'B')
		return imap_bad(s, text);
	s->errors++;
	return imap_no(s, text);
}

enum step imap_refuse_literal(struct imap_session *s, const char *condition, const char *text)
{
	s->reply.condition = condition;
	s->reply.text = text;
	if (!framing_refuse(&s->framing))
		return STEP_AGAIN; /* FRAMED_REFUSED comes when its octets have been skipped */
	return refuse(s, condition, text);
}

enum step refusal_end(struct imap_session *s)
{
	switch (s->framing.why) {
	case FRAMING_TOO_LONG: return refuse(s, "BAD", refusal_too_long);
	case FRAMING_BARE_LINE_FEED: return refuse(s, "BAD", "Lines end in CRLF");
	default: return refuse(s, s->reply.condition, s->reply.text);
	}
}

void refusal_tell(struct imap_session *s)
{
	bool is_too_long = s->framing.why == FRAMING_TOO_LONG;
	/* APPEND keeps its tag itself; DONE has none. */
	struct slice tag = s->running ? s->tag : framing_tag(&s->framing);
	if (!s->framing.is_skipping || imap_is_idle(s))
		return;
	respond_line(&s->session.out, s->language, tag, is_too_long ? "BAD" : s->reply.condition,
		     is_too_long ? refusal_too_long : s->reply.text);
}
