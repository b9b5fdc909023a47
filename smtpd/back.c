/* smtpd/back.c - the other half of SMTP: recipients judged, messages filed (RFC 5321 section
 * 6.1). Runs in the back, per channel from a front's loop.
 *
 * Nothing of what the front says is taken on trust: each message's bounds are checked by its
 * decoder, what it says of a sign-in counts only with a token, the recipients of a transaction
 * are looked up again, the window and the size are counted here too, and the number of open
 * transactions has an end. A front that breaks the rules loses its channel. */
#include "smtpd/smtpd.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/heap.h"
#include "base/log.h"
#include "mda/filing.h"
#include "mda/submission.h"
#include "smtpd/note_priv.h"
#include "smtpd/receipt_priv.h"
#include "smtpd/verdict_priv.h"
#include "storage/back.h"
#include "storage/journal.h"

enum {
	BUCKETS = 256,
	/* A credit a chunk: small messages need none, large ones never wait for one. */
	CREDIT_OCTETS = 64 * 1024,
	/* The front counts the message as it came; what it puts on top is not the client's. */
	TRACE_MAX_OCTETS = 4096,
};

struct transaction {
	struct transaction *next;
	struct smtpd_back *smtpd;
	uint32_t conversation;
	struct log log;
	struct arena arena; /* the envelope's */
	struct envelope envelope;
	char login[256];	       /* empty: mail from a stranger */
	struct submission *submission; /* NULL: likewise */
	uint64_t received_octets;
	struct journal_event origin;
	struct filing *filing;
	uint64_t message_id;	 /* once it is filed */
	uint8_t *outcomes;	 /* of each recipient, likewise */
	bool is_lmtp;		 /* each has an answer of his own */
	struct receipt *receipt; /* the sender is being told so */
	uint64_t size_max_octets;
	uint32_t uncredited_octets;
	bool is_full; /* filing has asked to wait */
	bool is_committing;
};

struct smtpd_back {
	struct back *back;
	struct channel *channel;
	struct token_table *tokens;
	struct arena arena; /* of one message */
	struct transaction *buckets[BUCKETS];
	unsigned open_count;
};

struct smtpd_back *smtpd_back_new(struct back *back, struct channel *channel,
				  struct token_table *tokens)
{
	struct smtpd_back *smtpd = heap_alloc(sizeof(*smtpd));

	smtpd->back = back;
	smtpd->channel = channel;
	smtpd->tokens = tokens;
	return smtpd;
}

/* Where the transaction hangs, or would. */
static struct transaction **slot_of(struct smtpd_back *smtpd, uint32_t conversation)
{
	struct transaction **slot = &smtpd->buckets[conversation % BUCKETS];
	while (*slot && (*slot)->conversation != conversation)
		slot = &(*slot)->next;
	return slot;
}

static void transaction_free(struct transaction *t)
{
	struct transaction **slot = slot_of(t->smtpd, t->conversation);

	if (*slot == t) {
		*slot = t->next;
		t->smtpd->open_count--;
	}
	submission_free(&t->submission);
	receipt_free(&t->receipt);
	filing_free(&t->filing);
	arena_fini(&t->arena);
	free(t);
}

void smtpd_back_free(struct smtpd_back **smtpd)
{
	struct smtpd_back *b = *smtpd;

	*smtpd = NULL;
	if (!b)
		return;
	for (size_t i = 0; i < BUCKETS; i++) {
		struct transaction *t;
		while ((t = b->buckets[i]) != NULL) {
			b->buckets[i] = t->next;
			transaction_free(t);
		}
	}
	arena_fini(&b->arena);
	free(b);
}

static void send_filed(struct smtpd_back *smtpd, uint32_t conversation,
		       const struct filed_message *message)
{
	struct buffer payload = { 0 };

	filed_encode(message, &payload);
	channel_send(smtpd->channel, MESSAGE_FILED, conversation, buffer_slice(&payload), -1);
	buffer_free(&payload);
}

static void send_failed(struct smtpd_back *smtpd, uint32_t conversation, enum err outcome)
{
	send_filed(smtpd, conversation, &(struct filed_message){ .outcome = outcome });
}

static void note_not_filed(struct transaction *t, enum err outcome)
{
	struct slice recipients = t->envelope.recipients;
	struct envelope_recipient recipient;
	struct journal_event event = t->origin;

	event.kind = JOURNAL_NOT_FILED;
	event.message_id = filing_message_id(t->filing);
	event.size_octets = filing_size_octets(t->filing);
	event.sender = t->envelope.reverse_path.ptr ? t->envelope.reverse_path : SLICE("");
	event.why = slice_cstr(err_word(outcome));
	for (unsigned i = 0;
	     i < NOTE_RECIPIENTS_MAX && envelope_next_recipient(&recipients, &recipient); i++) {
		event.recipient = recipient.forward_path;
		journal_tell(t->smtpd->back->store, &event);
	}
}

/* Answers before the commit was asked for: there is no sense in sending more. */
static void transaction_fail(struct transaction *t, enum err outcome)
{
	note_not_filed(t, outcome);
	log_info(&t->log, EVENT("transaction-refused"), WORD("why", err_word(outcome)));
	send_failed(t->smtpd, t->conversation, outcome);
	transaction_free(t);
}

/* --- recipients --- */

static bool on_recipient(struct smtpd_back *smtpd, uint32_t conversation, struct slice payload)
{
	struct recipient_message message;
	struct buffer answer = { 0 };

	if (!recipient_decode(payload, &message))
		return false;
	enum recipient_verdict verdict =
		verdict_judge(smtpd->back, smtpd->tokens, &message, &smtpd->arena);
	recipient_verdict_encode(verdict, &answer);
	channel_send(smtpd->channel, MESSAGE_RECIPIENT_VERDICT, conversation, buffer_slice(&answer),
		     -1);
	buffer_free(&answer);
	return true;
}

/* --- transactions --- */

/* It is filed, and whoever wanted to hear of that has been told. */
static void transaction_end(struct transaction *t)
{
	struct filed_message message = { .message_id = t->message_id };

	if (t->is_lmtp)
		message.outcomes = slice_of(t->outcomes, t->envelope.recipient_count);
	send_filed(t->smtpd, t->conversation, &message);
	transaction_free(t);
}

static void on_told(void *user)
{
	transaction_end(user);
}

/* "by" is who signed in; a dash: a stranger. */
static void log_filed(struct transaction *t)
{
	static const char *const fates[] = {
		[FILING_REFUSED] = "not-filed",
		[FILING_FILED] = "filed",
		[FILING_EXPANDED] = "expanded",
		[FILING_QUEUED] = "queued",
	};
	struct slice recipients = t->envelope.recipients;
	struct envelope_recipient recipient;
	enum err why;

	log_info(&t->log, HEX("msg", t->message_id), EVENT("accepted"),
		 NUM("size_octets", filing_size_octets(t->filing)),
		 NUM("rcpts", t->envelope.recipient_count), TEXT("from", t->envelope.reverse_path),
		 CSTR("by", t->login[0] ? t->login : "-"));
	t->outcomes = arena_alloc(&t->arena, t->envelope.recipient_count);
	for (size_t i = 0; envelope_next_recipient(&recipients, &recipient); i++) {
		enum filing_fate fate = filing_fate(t->filing, i, &why);
		t->outcomes[i] = (uint8_t)why;
		log_info(&t->log, HEX("msg", t->message_id), WORD("event", fates[fate]),
			 TEXT("to", recipient.forward_path));
	}
}

/* In LMTP every recipient may have a reason of his own. */
static void fail_filing(struct transaction *t, enum err outcome)
{
	struct filed_message message = { .outcome = outcome };
	struct buffer outcomes = { 0 };
	bool has_all = t->is_lmtp;
	enum err why;

	for (size_t i = 0; has_all && i < t->envelope.recipient_count; i++) {
		has_all = filing_fate(t->filing, i, &why) == FILING_REFUSED;
		buffer_add_byte(&outcomes, (uint8_t)why);
	}
	if (has_all)
		message.outcomes = buffer_slice(&outcomes);
	send_filed(t->smtpd, t->conversation, &message);
	buffer_free(&outcomes);
}

static void on_filed(void *user, enum err outcome, uint64_t blob_id)
{
	struct transaction *t = user;

	if (outcome != ERR_OK) {
		note_not_filed(t, outcome);
		log_info(&t->log, EVENT("not-filed"), WORD("why", err_word(outcome)),
			 NUM("size_octets", filing_size_octets(t->filing)),
			 NUM("rcpts", t->envelope.recipient_count));
		fail_filing(t, outcome);
		transaction_free(t);
		return;
	}
	t->message_id = blob_id;
	log_filed(t);
	t->receipt = receipt_begin(t->smtpd->back, &t->envelope, t->filing, blob_id, on_told, t);
	if (!t->receipt)
		transaction_end(t);
}

static void give_credit(struct transaction *t)
{
	struct buffer payload = { 0 };

	credit_encode(t->uncredited_octets, &payload);
	t->uncredited_octets = 0;
	channel_send(t->smtpd->channel, MESSAGE_CREDIT, t->conversation, buffer_slice(&payload),
		     -1);
	buffer_free(&payload);
}

static void on_room(void *user)
{
	struct transaction *t = user;

	t->is_full = false;
	if (t->uncredited_octets > 0)
		give_credit(t);
}

static bool wants_schedule(const struct envelope *envelope)
{
	return envelope->hold_until_unix != 0 || envelope->deliver_by != DELIVER_BY_NONE ||
	       envelope->priority != 0;
}

/* Who it is from and for: ERR_OK, or why it cannot be. */
static enum err check_envelope(struct transaction *t, const struct token *token)
{
	struct arena *arena = &t->smtpd->arena;
	struct token_owner owner;
	enum err err = verdict_owner(t->smtpd->tokens, token, &owner);

	if (err != ERR_OK)
		return err;
	/* The front offers these to who has signed in, and counts recipients; neither is taken on its
	 * word. */
	if (owner.account_id == 0 && wants_schedule(&t->envelope))
		return ERR_DENIED;
	if (t->envelope.recipient_count > t->smtpd->back->config->recipients)
		return ERR_LIMIT;
	snprintf(t->login, sizeof(t->login), "%s", owner.login);
	struct read *read = read_begin(t->smtpd->back->store);
	const struct sender sender =
		verdict_sender(t->smtpd->back->config, &owner, t->envelope.reverse_path);
	err = sender_check_path(read, &sender, arena);
	struct slice recipients = t->envelope.recipients;
	struct envelope_recipient recipient;
	while (err == ERR_OK && envelope_next_recipient(&recipients, &recipient)) {
		err = filing_add_recipient(t->filing, read, &sender, &recipient);
		/* It was there when RCPT asked, so it went away since, domain and all: the client
		 * may try again, and RCPT will say what is. */
		if (err == ERR_DENIED || err == ERR_REFUSED)
			err = ERR_NOT_FOUND;
	}
	read_end(&read);
	if (err == ERR_OK && owner.account_id != 0)
		t->submission =
			submission_new(t->smtpd->back->store, &sender, slice_cstr(t->login));
	return err;
}

static bool on_transaction(struct smtpd_back *smtpd, uint32_t conversation, struct slice payload)
{
	struct transaction_message message;
	struct transaction **slot = slot_of(smtpd, conversation);
	const struct config *config = smtpd->back->config;

	if (*slot || !transaction_decode(payload, &message))
		return false;
	/* A transaction belongs to a connection, and those have their limit. */
	if (smtpd->open_count >= config->connections) {
		send_failed(smtpd, conversation, ERR_BUSY);
		return true;
	}
	struct transaction *t = *slot = heap_alloc(sizeof(*t));
	smtpd->open_count++;
	t->smtpd = smtpd;
	t->conversation = conversation;
	snprintf(t->log.conn, sizeof(t->log.conn), "smtp-%x", (unsigned)message.client.conn_id);
	envelope_copy(&message.envelope, &t->arena, &t->envelope);
	t->origin = (struct journal_event){
		.kind = JOURNAL_RECEIVED,
		.service = slice_cstr(config_service_name(message.service)),
		.conn_id = message.client.conn_id,
		.peer = message.client.peer,
		.secure = message.client.secure,
		.client_name = arena_copy(&t->arena, message.client_name),
	};
	t->size_max_octets = config->message_size_octets + TRACE_MAX_OCTETS;
	t->filing = filing_new(smtpd->back->store, smtpd->back->loop, &t->envelope, on_filed,
			       on_room, t);
	enum err err = check_envelope(t, &message.token);
	if (t->login[0])
		t->origin.login = slice_cstr(t->login);
	if (err != ERR_OK) {
		transaction_fail(t, err);
		return true;
	}
	filing_set_origin(t->filing, &t->origin);
	t->is_lmtp = message.service == SERVICE_LMTP;
	if (t->is_lmtp)
		filing_set_outcomes(t->filing);
	return true;
}

static enum err take_content(struct transaction *t, struct slice octets, bool is_end)
{
	return submission_file(t->submission, t->filing, octets, is_end, &t->is_full);
}

static bool on_content(struct transaction *t, struct slice octets)
{
	if (t->is_committing || octets.len > CONTENT_FRAME_OCTETS ||
	    octets.len > CONTENT_WINDOW_OCTETS - t->uncredited_octets)
		return false;
	enum err err = octets.len > t->size_max_octets - t->received_octets
			       ? ERR_LIMIT
			       : take_content(t, octets, false);
	if (err != ERR_OK) {
		transaction_fail(t, err);
		return true;
	}
	t->received_octets += octets.len;
	t->uncredited_octets += (uint32_t)octets.len;
	if (!t->is_full && t->uncredited_octets >= CREDIT_OCTETS)
		give_credit(t);
	return true;
}

static bool on_commit(struct transaction *t)
{
	if (t->is_committing)
		return false;
	enum err err = take_content(t, SLICE_NONE, true);
	if (err != ERR_OK) {
		transaction_fail(t, err);
		return true;
	}
	t->is_committing = true;
	filing_commit(t->filing);
	return true;
}

bool smtpd_back_message(struct smtpd_back *smtpd, uint16_t type, uint32_t conversation,
			struct slice payload)
{
	/* One that was answered early may still be spoken to: the front has not heard yet. */
	struct transaction *t = *slot_of(smtpd, conversation);
	bool is_good = true;

	switch (type) {
	case MESSAGE_RECIPIENT: is_good = on_recipient(smtpd, conversation, payload); break;
	case MESSAGE_TRANSACTION: is_good = on_transaction(smtpd, conversation, payload); break;
	case MESSAGE_CONTENT:
		if (t)
			is_good = on_content(t, payload);
		break;
	case MESSAGE_COMMIT:
		if (t)
			is_good = on_commit(t);
		break;
	case MESSAGE_ABANDON:
		if (t)
			transaction_free(t);
		break;
	default: is_good = false; break;
	}
	arena_reset(&smtpd->arena);
	return is_good;
}
