/* smtpd/note.c - what the journal is told of a session: each refusal with its reply, and how a
 * connection ended that brought no message. What was filed, and who signed in, the back notes
 * itself. Runs in the front. */
#include "smtpd/note_priv.h"
#include "smtpd/session_priv.h"

static struct journal_event about(const struct smtp_session *s, enum journal_kind kind)
{
	return (struct journal_event){
		.kind = kind,
		.service = slice_cstr(config_service_name(s->service)),
		.conn_id = s->client.conn_id,
		.peer = s->client.peer,
		.secure = s->client.secure,
		.client_name = slice_cstr(s->client_name),
	};
}

/* A refused message is one for each of its recipients: who asks about one of them finds it. */
static void note_message(struct smtp_session *s, struct journal_event *event)
{
	struct slice recipients = buffer_slice(&s->transaction.recipients);
	struct envelope_recipient recipient;

	event->size_octets = s->transaction.content.size_octets;
	for (unsigned i = 0; i < NOTE_RECIPIENTS_MAX; i++) {
		if (!envelope_next_recipient(&recipients, &recipient))
			return;
		event->recipient = recipient.forward_path;
		link_note(s->front->link, event);
	}
}

void smtp_note_refusal(struct smtp_session *s, struct slice reply)
{
	struct journal_event event = about(s, JOURNAL_REFUSED);
	struct slice asked = buffer_slice(&s->asked_recipient);
	struct envelope_recipient recipient;

	event.reply = slice_trim(reply);
	event.command = s->verb;
	if (s->state & (SMTP_MAIL | SMTP_RCPT | SMTP_DATA | SMTP_BDAT | SMTP_CHUNK)) {
		event.sender = s->transaction.envelope.reverse_path;
		if (!event.sender.ptr)
			event.sender = SLICE("");
	}
	/* A chunk with a refusal of its own was never part of a message. */
	if (s->state == SMTP_DATA || (s->state == SMTP_CHUNK && s->chunk.refusal == REPLY_NONE)) {
		note_message(s, &event);
		return;
	}
	if (envelope_next_recipient(&asked, &recipient))
		event.recipient = recipient.forward_path;
	link_note(s->front->link, &event);
}

void smtp_note_end(struct smtp_session *s)
{
	struct journal_event event = about(s, JOURNAL_LEFT);

	if (s->accepted > 0)
		return;
	event.why = slice_cstr(s->closed_why);
	link_note(s->front->link, &event);
}
