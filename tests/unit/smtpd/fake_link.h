/* tests/unit/smtpd/fake_link.h - a back that the test plays itself: link_*() for SMTP sessions
 * without a channel. What the session asks is kept here; the test answers when it likes. For
 * one test program and one session at a time. */
#pragma once

#include <assert.h>

#include "base/config.h"
#include "runtime/link.h"
#include "smtpd/session_priv.h"

static struct fake_back {
	bool is_away;
	struct question *question; /* waits for its answer */
	enum message_type asked;   /* what it is; MESSAGE_TRANSACTION until it is answered */
	bool is_committed;	   /* nothing more will come of the transaction */
	struct buffer content;	   /* of the transaction */
	struct buffer envelope;	   /* the payload that opened it */
	unsigned asked_count, abandoned_count, forgotten_count;
	uint64_t unanswered_octets; /* content since the last credit */
	unsigned noted_count;	    /* events for the journal, */
	enum journal_kind noted;    /* and what the last of them says */
	struct buffer noted_reply, noted_recipient;
} fake;

bool link_is_up(const struct link *link)
{
	return !fake.is_away;
}

void link_ask(struct link *link, struct question *question, enum message_type type,
	      struct slice payload)
{
	assert(!fake.question);
	fake.question = question;
	fake.asked = type;
	fake.asked_count++;
}

bool link_tell(struct link *link, enum message_type type, struct slice payload, int fd)
{
	struct token token;
	assert(type == MESSAGE_FORGET_TOKEN);
	assert(forget_token_decode(payload, &token));
	assert(token_is_set(&token));
	fake.forgotten_count++;
	return true;
}

void link_note(struct link *link, const struct journal_event *event)
{
	struct buffer octets = { 0 };
	struct journal_event again;
	journal_event_encode(event, &octets);
	assert(journal_event_decode(buffer_slice(&octets), &again));
	assert(journal_kind_is_strangers(again.kind));
	fake.noted_count++;
	fake.noted = again.kind;
	buffer_clear(&fake.noted_reply);
	buffer_add(&fake.noted_reply, again.reply);
	buffer_clear(&fake.noted_recipient);
	buffer_add(&fake.noted_recipient, again.recipient);
	buffer_free(&octets);
}

void link_transaction_open(struct link *link, struct question *question, struct slice payload)
{
	struct transaction_message message;
	assert(payload.len <= CHANNEL_PAYLOAD_MAX_OCTETS);
	assert(transaction_decode(payload, &message));
	link_ask(link, question, MESSAGE_TRANSACTION, payload);
	buffer_clear(&fake.envelope);
	buffer_add(&fake.envelope, payload);
	buffer_clear(&fake.content);
	fake.unanswered_octets = 0;
	fake.is_committed = false;
}

void link_transaction_content(struct link *link, struct question *question, struct slice octets)
{
	assert(fake.question == question);
	assert(!fake.is_committed);
	fake.unanswered_octets += octets.len;
	assert(fake.unanswered_octets <= CONTENT_WINDOW_OCTETS);
	buffer_add(&fake.content, octets);
}

void link_transaction_commit(struct link *link, struct question *question)
{
	assert(fake.question == question);
	fake.is_committed = true;
}

void link_transaction_abandon(struct link *link, struct question *question)
{
	assert(fake.question == question);
	assert(!fake.is_committed);
	fake.question = NULL;
	fake.abandoned_count++;
}

static inline void fake_answer(enum err err, struct slice payload)
{
	struct question *question = fake.question;
	assert(question);
	fake.question = NULL;
	question->answered(question, err, payload);
}

static inline void fake_die(void)
{
	fake.is_away = true;
	if (fake.question)
		fake_answer(ERR_UNAVAILABLE, SLICE_NONE);
}

static inline void fake_verdict(enum recipient_verdict verdict)
{
	struct buffer payload = { 0 };
	assert(fake.asked == MESSAGE_RECIPIENT);
	recipient_verdict_encode(verdict, &payload);
	fake_answer(ERR_OK, buffer_slice(&payload));
	buffer_free(&payload);
}

static inline void fake_filed(enum err outcome)
{
	struct filed_message message = { outcome, 0x18c0 };
	struct buffer payload = { 0 };
	assert(fake.asked == MESSAGE_TRANSACTION);
	filed_encode(&message, &payload);
	fake_answer(ERR_OK, buffer_slice(&payload));
	buffer_free(&payload);
}

static inline void fake_authenticated(enum err outcome)
{
	struct authenticated_message message = { .outcome = outcome };
	struct buffer payload = { 0 };
	assert(fake.asked == MESSAGE_AUTHENTICATE);
	if (outcome == ERR_OK)
		message.token.octets[0] = 1;
	authenticated_encode(&message, &payload);
	fake_answer(ERR_OK, buffer_slice(&payload));
	buffer_free(&payload);
}

static inline void fake_credit(uint32_t octets)
{
	assert(fake.question);
	fake.unanswered_octets -= octets;
	fake.question->credit(fake.question, octets);
}

static inline void fake_reset(void)
{
	buffer_free(&fake.content);
	buffer_free(&fake.envelope);
	buffer_free(&fake.noted_reply);
	buffer_free(&fake.noted_recipient);
	fake = (struct fake_back){ .is_away = false };
}
