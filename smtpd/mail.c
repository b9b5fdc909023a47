/* smtpd/mail.c - MAIL and RCPT: the envelope (RFC 5321 sections 3.3, 4.1.1.2 and 4.1.1.3).
 * Runs in the front; whether a recipient exists, and whether this client may send to it, is
 * the back's to say.
 *
 * Source routes are taken and dropped (appendix C). A blank behind the colon is no part of
 * the grammar (section 3.3), but clients that send one are many and what they mean is plain.
 * Addresses in UTF-8 want SMTPUTF8 on MAIL (RFC 6531 sections 3.4 and 3.5). */
#include "mail/address.h"
#include "smtpd/session_priv.h"

/* Ready for an answer: the address as the back and the trace header have it. */
static struct slice path_text(const struct address *address, struct arena *arena)
{
	if (address->domain.len == 0) /* the null sender, or <Postmaster> alone */
		return arena_copy(arena, address->local);
	return address_format(address, arena);
}

/* Nothing speaks against the sender, or DNS does. */
static enum step mail_sender_known(struct smtp_session *s)
{
	enum smtp_reply_name refusal = s->sender.refusal;

	/* Also for a refusal, which is noted with its sender. */
	smtp_set_state(s, SMTP_MAIL);
	if (refusal == REPLY_NONE) {
		smtp_reply(s, REPLY_MAIL_OK);
		return STEP_AGAIN;
	}
	log_info(&s->session.log, EVENT("mail-refused"),
		 TEXT("from", s->transaction.envelope.reverse_path),
		 NUM("code", smtp_reply_code(refusal)));
	smtp_reply(s, refusal);
	smtp_reset(s);
	return STEP_AGAIN;
}

enum step smtp_mail(struct smtp_session *s, struct cursor *args)
{
	struct mail_parameters parameters;
	struct address address;
	uint64_t size_max_octets = s->front->config->message_size_octets;
	enum smtp_reply_name refusal;

	if (!take_word_nocase(args, SLICE("FROM:"))) {
		refusal = REPLY_BAD_REVERSE_PATH;
		goto refuse;
	}
	skip_blanks(args);
	if (!take_reverse_path(args, &s->command_arena, &address)) {
		refusal = REPLY_BAD_REVERSE_PATH;
		goto refuse;
	}
	refusal = take_mail_parameters(s, args, &s->command_arena, &parameters);
	if (refusal == REPLY_NONE && parameters.size_octets > size_max_octets)
		refusal = REPLY_TOO_LARGE;
	/* What is held until then can only come back. */
	if (refusal == REPLY_NONE && parameters.envelope.deliver_by == DELIVER_BY_RETURN &&
	    parameters.envelope.deliver_by_unix <= parameters.envelope.hold_until_unix)
		refusal = REPLY_BAD_ARGUMENT;
	if (refusal == REPLY_NONE && !parameters.envelope.is_utf8 && !address_is_ascii(&address))
		refusal = REPLY_SENDER_NOT_ASCII;
	if (refusal == REPLY_NONE && !smtp_allows(s, LIMIT_MESSAGES))
		refusal = REPLY_TOO_MANY_MESSAGES;
	if (refusal != REPLY_NONE)
		goto refuse;

	parameters.envelope.reverse_path = path_text(&address, &s->command_arena);
	envelope_copy(&parameters.envelope, &s->transaction.arena, &s->transaction.envelope);
	s->transaction.size_max_octets = size_max_octets;
	if (smtp_sender_ask(s, address.domain))
		return smtp_wait(s, mail_sender_known);
	return mail_sender_known(s);

refuse:
	log_info(&s->session.log, EVENT("mail-refused"), NUM("code", smtp_reply_code(refusal)));
	smtp_reply(s, refusal);
	return STEP_AGAIN;
}

/* `why` goes behind the reply's own words. */
static enum step refuse_rcpt(struct smtp_session *s, enum smtp_reply_name refusal, struct slice why)
{
	struct slice rest = buffer_slice(&s->asked_recipient);
	struct envelope_recipient recipient = { .notify = DSN_UNSAID };

	if (rest.len > 0)
		(void)envelope_next_recipient(&rest, &recipient);
	log_info(&s->session.log, EVENT("rcpt-refused"), TEXT("to", recipient.forward_path),
		 TEXT("from", s->transaction.envelope.reverse_path),
		 NUM("code", smtp_reply_code(refusal)), TEXT("why", why));
	smtp_reply_about(s, refusal, why);
	buffer_free(&s->asked_recipient);
	return STEP_AGAIN;
}

/* The back has answered, or is away. */
static enum step rcpt_answered(struct smtp_session *s)
{
	enum smtp_reply_name reply = smtp_reply_of_verdict(s->verdict);

	if (s->verdict == RECIPIENT_UNKNOWN)
		(void)smtp_allows(s, LIMIT_UNKNOWN_RECIPIENTS);
	if (s->verdict != RECIPIENT_OK && s->verdict != RECIPIENT_OK_NEW)
		return refuse_rcpt(s, reply, SLICE_NONE);
	buffer_add(&s->transaction.recipients, buffer_slice(&s->asked_recipient));
	s->transaction.envelope.recipient_count++;
	s->transaction.new_count += s->verdict == RECIPIENT_OK_NEW;
	smtp_set_state(s, SMTP_RCPT);
	smtp_reply(s, reply);
	buffer_free(&s->asked_recipient);
	return STEP_AGAIN;
}

/* Everybody may write to them, to say that he is on a list for nothing (RFC 5321 section 4.5.1,
 * RFC 2142 section 4). */
static bool is_role(struct slice forward_path)
{
	return slice_eq_nocase(forward_path, SLICE("postmaster")) ||
	       slice_starts_nocase(forward_path, SLICE("postmaster@")) ||
	       slice_starts_nocase(forward_path, SLICE("abuse@"));
}

static void on_verdict(struct question *question, enum err err, struct slice payload)
{
	struct smtp_session *s = CONTAINER_OF(question, struct smtp_session, question);

	if (err != ERR_OK || !recipient_verdict_decode(payload, &s->verdict))
		s->verdict = RECIPIENT_TEMPORARY;
	session_job_end(&s->session);
}

static bool has_room_for(const struct smtp_session *s, size_t octets)
{
	return s->transaction.envelope.recipient_count < s->front->config->recipients &&
	       s->transaction.recipients.len + octets <= RECIPIENTS_MAX_OCTETS;
}

static enum step ask_back(struct smtp_session *s, struct slice forward_path)
{
	struct recipient_message message = {
		.token = s->token,
		.reverse_path = s->transaction.envelope.reverse_path,
		.forward_path = forward_path,
		.new_count = s->transaction.new_count,
	};
	struct buffer payload = { 0 };

	recipient_encode(&message, &payload);
	s->question = (struct question){ .answered = on_verdict };
	link_ask(s->front->link, &s->question, MESSAGE_RECIPIENT, buffer_slice(&payload));
	buffer_free(&payload);
	return smtp_wait(s, rcpt_answered);
}

/* What there is to know of the client is known. */
static enum step rcpt_client_known(struct smtp_session *s)
{
	struct slice rest = buffer_slice(&s->asked_recipient);
	struct slice refusal = smtp_arrival_refusal(s);
	struct envelope_recipient recipient = { .notify = DSN_UNSAID };

	(void)envelope_next_recipient(&rest, &recipient);
	if (refusal.len == 0 || is_role(recipient.forward_path))
		return ask_back(s, recipient.forward_path);
	return refuse_rcpt(s, REPLY_CLIENT_LISTED, refusal);
}

enum step smtp_rcpt(struct smtp_session *s, struct cursor *args)
{
	struct address address;
	struct envelope_recipient recipient;
	enum smtp_reply_name refusal = REPLY_BAD_FORWARD_PATH;

	if (!take_word_nocase(args, SLICE("TO:")))
		goto refuse;
	skip_blanks(args);
	if (!take_forward_path(args, &s->command_arena, &address))
		goto refuse;
	if ((refusal = take_rcpt_parameters(s, args, &s->command_arena, &recipient)) != REPLY_NONE)
		goto refuse;
	recipient.forward_path = path_text(&address, &s->command_arena);
	envelope_encode_recipient(&recipient, &s->asked_recipient);
	if (!s->transaction.envelope.is_utf8 && !address_is_ascii(&address)) {
		refusal = REPLY_RCPT_NOT_ASCII;
		goto refuse;
	}
	/* Else who guesses would learn which ones there are. */
	if (!smtp_is_signed_in(s) &&
	    !limits_has(s->front->limits, &s->client.peer, LIMIT_UNKNOWN_RECIPIENTS)) {
		refusal = REPLY_TOO_MANY_UNKNOWN;
		goto refuse;
	}
	if (!has_room_for(s, s->asked_recipient.len)) {
		refusal = REPLY_TOO_MANY_RECIPIENTS;
		goto refuse;
	}

	if (smtp_arrival_is_complete(s))
		return rcpt_client_known(s);
	smtp_arrival_await(s);
	return smtp_wait(s, rcpt_client_known);

refuse:
	return refuse_rcpt(s, refusal, SLICE_NONE);
}
