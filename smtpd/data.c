/* smtpd/data.c - DATA: the message up to the line with a dot (RFC 5321 section 4.1.1.4). Runs in
 * the front. */
#include "smtpd/session_priv.h"

enum step smtp_data(struct smtp_session *s, struct cursor *args)
{
	/* Octets that are no text cannot be told from the end of DATA (RFC 3030 section 3). */
	if (s->transaction.envelope.body == ENVELOPE_BINARYMIME) {
		smtp_reply(s, REPLY_BINARY_NEEDS_BDAT);
		return STEP_AGAIN;
	}
	if (!link_is_up(s->front->link)) {
		smtp_reply(s, REPLY_TRY_AGAIN);
		return STEP_AGAIN;
	}
	s->transactions++;
	smtp_set_state(s, SMTP_DATA);
	smtp_reply(s, REPLY_SEND_DATA);
	return STEP_AGAIN;
}

enum step smtp_take_content(struct smtp_session *s, struct cursor *in)
{
	enum content_event event;

	if (at_end(in))
		return STEP_INPUT;
	enum step step = smtp_transfer_take(s, in, &event);
	if (step != STEP_AGAIN)
		return step;
	if (event == CONTENT_END)
		return smtp_transfer_finish(s);
	smtp_transfer_flush(s);
	return STEP_INPUT;
}
