/* smtpd/relay/client_mail.c - one transaction with another server: MAIL, RCPT, DATA or BDAT, what
 * each reply means for each recipient (RFC 5321 sections 3.3, 4.2 and 4.5.3.1.10; PIPELINING of
 * RFC 2920, CHUNKING and BINARYMIME of RFC 3030, 8BITMIME of RFC 6152, SIZE of RFC 1870, DSN of RFC
 * 3461, DELIVERBY of RFC 2852, MT-PRIORITY of RFC 6710, LMTP of RFC 2033). Runs in the front.
 *
 * Once the content is out, only the reply to it tells whether the server has the message. Where
 * that never comes it is sent again, and may be there twice; the log says so.
 *
 * What a server does not take as it is (8-bit or binary content) the back is asked to convert, before
 * the server hears of it. */
#include <assert.h>
#include <stdio.h>

#include "base/clock.h"
#include "smtpd/relay/client_priv.h"

enum { LINE_START, LINE_MIDDLE, LINE_CR };

/* ---- results ---- */

static void set_result(struct client *client, size_t at, enum delivery_verdict verdict,
		       uint16_t code, struct slice status, struct slice words)
{
	client->results[at] = (struct delivered_recipient){
		.verdict = verdict,
		.code = code,
		.status = arena_copy(&client->arena, status),
		.words = arena_copy(&client->arena, words),
	};
}

static bool has_result(const struct client *client, size_t at)
{
	return client->results[at].words.ptr != NULL;
}

static void set_from_reply(struct client *client, size_t at, enum delivery_verdict verdict,
			   const struct reply *reply)
{
	struct buffer words = { 0 };
	char status[16] = "";
	reply_words(reply, DELIVERY_WORDS_MAX_OCTETS, &words);
	if (reply->status[0] != 0)
		snprintf(status, sizeof(status), "%u.%u.%u", reply->status[0], reply->status[1],
			 reply->status[2]);
	set_result(client, at, verdict, reply->code, slice_cstr(status), buffer_slice(&words));
	buffer_free(&words);
}

void client_fail_rest(struct client *client, enum delivery_verdict verdict, uint16_t code,
		      const char *status, struct slice words)
{
	for (size_t i = 0; i < client->recipient_count; i++)
		if (!has_result(client, i))
			set_result(client, i, verdict, code, slice_cstr(status),
				   words.len ? words : SLICE("?"));
}

static void refuse_rest(struct client *client, const struct reply *reply)
{
	/* Odd codes where they make no sense are a server's confusion, which may pass. */
	enum delivery_verdict verdict = reply->code / 100 == 5 ? DELIVERY_REFUSED : DELIVERY_LATER;
	for (size_t i = 0; i < client->recipient_count; i++)
		if (!has_result(client, i))
			set_from_reply(client, i, verdict, reply);
}

/* The transaction is over, and the server still holds one that came to nothing. */
static enum client_wish finish(struct client *client, bool must_reset)
{
	client->must_reset = must_reset;
	client->is_busy = false;
	client->state = CLIENT_READY;
	return CLIENT_HAS_RESULT;
}

enum client_wish client_next(struct client *client)
{
	if (client->state == CLIENT_OVER)
		return CLIENT_IS_OVER;
	if (client->has_surplus)
		return client_close(client, "the server spoke without being asked", NULL);
	if (!client->must_reset)
		return CLIENT_IS_READY;
	buffer_add_cstr(&client->out, "RSET\r\n");
	client->state = CLIENT_RESET;
	return CLIENT_WANTS_INPUT;
}

/* ---- the envelope ---- */

/* What is left of the time that the sender has set. */
static int64_t by_seconds(const struct envelope *envelope)
{
	int64_t left = envelope->deliver_by_unix - clock_unix();
	return left < -BY_MAX_SECONDS ? -BY_MAX_SECONDS : left;
}

static void add_mail(struct client *client)
{
	const struct envelope *envelope = &client->delivery.envelope;
	struct buffer *out = &client->out;
	buffer_add_cstr(out, "MAIL FROM:<");
	buffer_add(out, envelope->reverse_path);
	buffer_add_byte(out, '>');
	if (client->features & FEATURE_SIZE)
		buffer_add_format(out, " SIZE=%llu",
				  (unsigned long long)client->delivery.size_octets);
	if (envelope->body == ENVELOPE_BINARYMIME)
		buffer_add_cstr(out, " BODY=BINARYMIME");
	else if (envelope->body == ENVELOPE_8BITMIME)
		buffer_add_cstr(out, " BODY=8BITMIME");
	if (envelope->is_utf8)
		buffer_add_cstr(out, " SMTPUTF8");
	if (client->features & FEATURE_DSN) {
		if (envelope->returns != DSN_RETURN_UNSAID)
			buffer_add_cstr(out, envelope->returns == DSN_RETURN_FULL ? " RET=FULL"
										  : " RET=HDRS");
		if (envelope->envid.len > 0) {
			buffer_add_cstr(out, " ENVID=");
			buffer_add(out, envelope->envid);
		}
	}
	if (envelope->requires_tls && (client->features & FEATURE_REQUIRETLS))
		buffer_add_cstr(out, " REQUIRETLS");
	/* Also the ordinary one (RFC 6710 section 4.2). */
	if (client->features & FEATURE_PRIORITY)
		buffer_add_format(out, " MT-PRIORITY=%d", envelope->priority);
	if ((client->features & FEATURE_DELIVERBY) && envelope->deliver_by != DELIVER_BY_NONE)
		buffer_add_format(out, " BY=%lld;%c%s", (long long)by_seconds(envelope),
				  envelope->deliver_by == DELIVER_BY_RETURN ? 'R' : 'N',
				  envelope->traces_deliver_by ? "T" : "");
	buffer_add_cstr(out, "\r\n");
}

static void add_notify(struct buffer *out, uint8_t notify)
{
	static const struct {
		uint8_t bit;
		const char *word;
	} words[] = { { DSN_SUCCESS, "SUCCESS" },
		      { DSN_FAILURE, "FAILURE" },
		      { DSN_DELAY, "DELAY" } };
	const char *between = "";
	if (notify == DSN_UNSAID)
		return;
	buffer_add_cstr(out, " NOTIFY=");
	if (notify & DSN_NEVER) {
		buffer_add_cstr(out, "NEVER");
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (!(notify & words[i].bit))
			continue;
		buffer_add_cstr(out, between);
		buffer_add_cstr(out, words[i].word);
		between = ",";
	}
}

static void add_rcpt(struct client *client, const struct envelope_recipient *recipient)
{
	struct buffer *out = &client->out;
	buffer_add_cstr(out, "RCPT TO:<");
	buffer_add(out, recipient->forward_path);
	buffer_add_byte(out, '>');
	if (client->features & FEATURE_DSN) {
		add_notify(out, recipient->notify);
		if (recipient->orcpt.len > 0) {
			buffer_add_cstr(out, " ORCPT=");
			buffer_add(out, recipient->orcpt);
		}
	}
	buffer_add_cstr(out, "\r\n");
}

static void add_data(struct client *client)
{
	buffer_add_cstr(&client->out, "DATA\r\n");
	client->data_asked = true;
}

/* What may be said before the next reply: all of it with PIPELINING, otherwise one command. */
static void say_more(struct client *client)
{
	bool all = client->features & FEATURE_PIPELINING;
	while (client->asked < client->ask_count && (all || client->answered == client->asked + 1))
		add_rcpt(client, &client->recipients[client->asked++]);
	/* DATA may be the last of a group (RFC 2920 section 3.1). BDAT carries the content with it, so
	 * it waits until somebody wants that. */
	if (all && !client->uses_bdat && !client->data_asked)
		add_data(client);
}

enum client_wish client_ask_no_more(struct client *client)
{
	assert(client->state == CLIENT_ENVELOPE);
	client->ask_count = client->asked;
	for (size_t i = client->asked; i < client->recipient_count; i++)
		if (!has_result(client, i))
			set_result(client, i, DELIVERY_LATER, 0, SLICE("4.4.2"),
				   SLICE("the server was too slow to be asked for all recipients "
					 "in one go"));
	return CLIENT_WANTS_INPUT;
}

/* A report about such a message goes on all the same (RFC 8689 section 5). */
const char *client_lacks_tls(const struct client *client, const struct delivery_message *delivery,
			     const char **status_out)
{
	if (!delivery->envelope.requires_tls || delivery->envelope.reverse_path.len == 0)
		return NULL;
	*status_out = "5.7.10";
	if (!client->is_secure || !client->is_proven)
		return "the way to the other server cannot be proven to be secure (REQUIRETLS)";
	*status_out = "5.7.30";
	if (!(client->features & FEATURE_REQUIRETLS))
		return "the other server does not promise to pass mail on over secure ways alone "
		       "(REQUIRETLS)";
	return NULL;
}

/* NULL, or why this server cannot be given such a message, and the status of that. */
static const char *unfit(const struct client *client, const char **status_out)
{
	const struct delivery_message *delivery = &client->delivery;
	*status_out = "5.3.4";
	if (client->size_max_octets > 0 && delivery->size_octets > client->size_max_octets)
		return "the message is larger than the other server takes";
	*status_out = "5.6.7";
	if (delivery->envelope.is_utf8 && !(client->features & FEATURE_SMTPUTF8))
		return "the other server does not know international addresses (SMTPUTF8)";
	/* Who wants it back rather than late cannot be served by one who does not promise that (RFC
	 * 2852 section 4). */
	*status_out = "5.4.7";
	if (delivery->envelope.deliver_by == DELIVER_BY_RETURN) {
		int64_t left = by_seconds(&delivery->envelope);
		if (!(client->features & FEATURE_DELIVERBY))
			return "the other server does not know how to deliver it in time or return "
			       "it (DELIVERBY)";
		if (left <= 0 || left < client->by_min_seconds)
			return "there is not enough time left for the other server to deliver it";
	}
	return client_lacks_tls(client, delivery, status_out);
}

enum envelope_body client_form(const struct client *client)
{
	/* Binary content cannot be given by DATA (RFC 3030 section 3). */
	if (!(~client->features & (FEATURE_BINARYMIME | FEATURE_CHUNKING)))
		return ENVELOPE_BINARYMIME;
	return client->features & FEATURE_8BITMIME ? ENVELOPE_8BITMIME : ENVELOPE_7BIT;
}

static enum client_wish begin_envelope(struct client *client)
{
	const char *status;
	const char *why = unfit(client, &status);
	if (why) {
		client_fail_rest(client, DELIVERY_REFUSED, 0, status, slice_cstr(why));
		return finish(client, false);
	}
	if (client->delivery.form > client_form(client)) {
		client->state = CLIENT_FORM;
		return CLIENT_WANTS_FORM;
	}
	client->uses_bdat = client->features & FEATURE_CHUNKING;
	client->state = CLIENT_ENVELOPE;
	add_mail(client);
	say_more(client);
	return CLIENT_WANTS_INPUT;
}

enum client_wish client_formed(struct client *client, const struct delivery_message *delivery)
{
	assert(client->state == CLIENT_FORM);
	client->delivery.form = delivery->form;
	client->delivery.envelope.body = delivery->envelope.body;
	client->delivery.size_octets = delivery->size_octets;
	return begin_envelope(client);
}

enum client_wish client_begin(struct client *client, const struct delivery_message *delivery,
			      bool form_comes)
{
	assert(client->state == CLIENT_READY && !client->is_busy);
	arena_reset(&client->arena);
	client->delivery = *delivery;
	envelope_copy(&delivery->envelope, &client->arena, &client->delivery.envelope);
	client->recipient_count = client->delivery.envelope.recipient_count;
	client->ask_count = client->recipient_count;
	client->recipients = arena_alloc_array(&client->arena, client->recipient_count,
					       sizeof(*client->recipients));
	client->results = arena_alloc_array(&client->arena, client->recipient_count,
					    sizeof(*client->results));
	struct slice rest = client->delivery.envelope.recipients;
	for (size_t i = 0; i < client->recipient_count; i++)
		(void)envelope_next_recipient(&rest, &client->recipients[i]);
	client->accepted_count = client->asked = client->answered = client->lmtp_at = 0;
	client->heard = client->mail_refused = client->data_asked = false;
	client->is_uncertain = client->is_down = client->must_reset = false;
	client->content_octets = 0;
	client->line_state = LINE_START;
	client->is_busy = true;
	if (form_comes) {
		client->state = CLIENT_FORM;
		return CLIENT_WANTS_FORM;
	}
	return begin_envelope(client);
}

/* ---- replies to the envelope ---- */

static enum client_wish start_content(struct client *client)
{
	client->state = CLIENT_CONTENT;
	if (client->uses_bdat)
		buffer_add_format(&client->out, "BDAT %llu LAST\r\n",
				  (unsigned long long)client->delivery.size_octets);
	return CLIENT_WANTS_CONTENT;
}

/* All replies to MAIL and RCPT are there, and DATA was not said yet. */
static enum client_wish after_envelope(struct client *client)
{
	if (client->accepted_count == 0)
		return finish(client, true);
	if (client->uses_bdat)
		return start_content(client);
	if (!client->data_asked)
		add_data(client);
	client->state = CLIENT_GO;
	return CLIENT_WANTS_INPUT;
}

static void rcpt_reply(struct client *client, size_t at, const struct reply *reply)
{
	if (has_result(client, at)) /* MAIL was refused, so this one is no news */
		return;
	if (reply->code / 100 == 2)
		client->accepted_count++;
	/* "Too many recipients", whatever its first digit (RFC 5321 section 4.5.3.1.10). */
	else if (reply->code / 100 == 5 && reply->code != 552)
		set_from_reply(client, at, DELIVERY_REFUSED, reply);
	else
		set_from_reply(client, at, DELIVERY_LATER, reply);
}

static enum client_wish data_reply(struct client *client, const struct reply *reply)
{
	if (reply->code == 354) {
		if (client->accepted_count > 0)
			return start_content(client);
		/* It has refused the sender and goes on all the same: whatever that is, it is not to
		 * be given an empty message for those whom it took. */
		if (client->mail_refused) {
			client->is_busy = false;
			client->state = CLIENT_OVER;
			return CLIENT_IS_OVER;
		}
		/* It would take a message for nobody: an empty one ends that (RFC 2920 section
		 * 3.1). */
		buffer_add_cstr(&client->out, ".\r\n");
		client->state = CLIENT_END;
		return CLIENT_WANTS_INPUT;
	}
	refuse_rest(client, reply);
	return finish(client, true);
}

static enum client_wish envelope_reply(struct client *client, const struct reply *reply)
{
	size_t at = client->answered++;
	if (at == 0) {
		if (reply->code / 100 != 2) {
			client->mail_refused = true;
			refuse_rest(client, reply);
			if (client->asked == 0)
				return finish(client, true);
		}
	} else if (at <= client->asked) {
		rcpt_reply(client, at - 1, reply);
	}
	say_more(client);
	if (client->answered <= client->asked)
		return CLIENT_WANTS_INPUT;
	if (client->data_asked) {
		client->state = CLIENT_GO;
		return CLIENT_WANTS_INPUT;
	}
	return after_envelope(client);
}

/* ---- content ---- */

/* What is not sent yet in front of `at`, then `octet`. */
static void insert(struct client *client, struct slice octets, size_t *from, size_t at,
		   uint8_t octet)
{
	buffer_add(&client->out, slice_sub(octets, *from, at - *from));
	buffer_add_byte(&client->out, octet);
	*from = at;
}

/* Lines that begin with a dot get another (RFC 5321 section 4.5.2). What was taken in has no CR or LF
 * outside of CRLF; should there be one all the same, it ends its line in full, since a server might
 * find the end of the data in it and commands behind (section 2.3.8). */
static void add_stuffed(struct client *client, struct slice octets)
{
	size_t from = 0;
	for (size_t i = 0; i < octets.len; i++) {
		uint8_t c = octets.ptr[i];
		if (client->line_state == LINE_CR && c != '\n') {
			insert(client, octets, &from, i, '\n');
			client->line_state = LINE_START;
		}
		if (client->line_state == LINE_START && c == '.')
			insert(client, octets, &from, i, '.');
		if (client->line_state != LINE_CR && c == '\n')
			insert(client, octets, &from, i, '\r');
		client->line_state = c == '\n' ? LINE_START : c == '\r' ? LINE_CR : LINE_MIDDLE;
	}
	buffer_add(&client->out, slice_sub(octets, from, octets.len - from));
}

enum client_wish client_content(struct client *client, struct slice octets)
{
	assert(client->state == CLIENT_CONTENT);
	client->content_octets += octets.len;
	client->steps++;
	assert(client->content_octets <= client->delivery.size_octets);
	if (client->uses_bdat)
		buffer_add(&client->out, octets);
	else
		add_stuffed(client, octets);
	if (client->content_octets < client->delivery.size_octets)
		return CLIENT_WANTS_CONTENT;
	if (!client->uses_bdat) {
		if (client->line_state != LINE_START)
			buffer_add_cstr(&client->out,
					client->line_state == LINE_CR ? "\n" : "\r\n");
		buffer_add_cstr(&client->out, ".\r\n");
	}
	client->state = CLIENT_END;
	return CLIENT_WANTS_INPUT;
}

static void set_taken(struct client *client, size_t at, const struct reply *reply)
{
	enum delivery_verdict verdict = reply->code / 100 == 2	 ? DELIVERY_TAKEN
					: reply->code / 100 == 5 ? DELIVERY_REFUSED
								 : DELIVERY_LATER;
	set_from_reply(client, at, verdict, reply);
}

static enum client_wish end_reply(struct client *client, const struct reply *reply)
{
	if (!client->options.is_lmtp || client->accepted_count == 0) {
		for (size_t i = 0; i < client->recipient_count; i++)
			if (!has_result(client, i))
				set_taken(client, i, reply);
		return finish(client, false);
	}
	/* One reply for each recipient that was accepted (RFC 2033 section 4.2). */
	while (client->lmtp_at < client->recipient_count && has_result(client, client->lmtp_at))
		client->lmtp_at++;
	if (client->lmtp_at < client->recipient_count)
		set_taken(client, client->lmtp_at++, reply);
	while (client->lmtp_at < client->recipient_count && has_result(client, client->lmtp_at))
		client->lmtp_at++;
	return client->lmtp_at < client->recipient_count ? CLIENT_WANTS_INPUT
							 : finish(client, false);
}

enum client_wish client_mail_reply(struct client *client, const struct reply *reply)
{
	client->heard = true;
	switch (client->state) {
	case CLIENT_ENVELOPE: return envelope_reply(client, reply);
	case CLIENT_GO: return data_reply(client, reply);
	case CLIENT_END: return end_reply(client, reply);
	default: break;
	}
	/* A refusal in the middle of the content: there is no way to stop but to go. */
	struct reply copy = *reply;
	refuse_rest(client, &copy);
	client->is_busy = false;
	client->state = CLIENT_OVER;
	return CLIENT_IS_OVER;
}
