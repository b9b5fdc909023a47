/* tests/fuzz/messages.c - every decoder of runtime/messages.h on the same octets. What decodes
 * is encoded again and must give the same octets: the form of a message is the only one. */
#include <stdlib.h>

#include "runtime/delivery.h"
#include "runtime/journal_event.h"
#include "runtime/messages.h"
#include "runtime/program_message.h"
#include "runtime/report_message.h"

static void same(struct slice payload, struct buffer *again)
{
	if (!slice_eq(payload, buffer_slice(again)))
		abort();
	buffer_clear(again);
}

static void sign_in(struct slice payload, struct buffer *again)
{
	struct authenticate_message authenticate;
	if (authenticate_decode(payload, &authenticate)) {
		authenticate_encode(&authenticate, again);
		same(payload, again);
	}
	struct authenticated_message authenticated;
	if (authenticated_decode(payload, &authenticated)) {
		authenticated_encode(&authenticated, again);
		same(payload, again);
	}
	struct session_message session;
	if (session_message_decode(payload, &session)) {
		session_message_encode(&session, again);
		same(payload, again);
	}
	struct token token;
	if (forget_token_decode(payload, &token)) {
		forget_token_encode(&token, again);
		same(payload, again);
	}
}

static void transaction(struct slice payload, struct buffer *again)
{
	struct transaction_message m;
	struct envelope_recipient recipient;
	if (!transaction_decode(payload, &m))
		return;
	struct slice rest = m.envelope.recipients;
	m.envelope.recipients = SLICE_NONE;
	transaction_encode(&m, again);
	uint32_t count = 0;
	for (; envelope_next_recipient(&rest, &recipient); count++)
		envelope_encode_recipient(&recipient, again);
	if (count != m.envelope.recipient_count)
		abort();
	same(payload, again);
}

static void mail(struct slice payload, struct buffer *again)
{
	struct tls_result_message result;
	if (tls_result_message_decode(payload, &result)) {
		tls_result_message_encode(&result, again);
		same(payload, again);
	}
	struct policy_message policy;
	if (policy_decode(payload, &policy)) {
		policy_encode(&policy, again);
		same(payload, again);
	}
	enum envelope_body form;
	if (form_wanted_decode(payload, &form)) {
		form_wanted_encode(form, again);
		same(payload, again);
	}
	struct delivery_form_message formed;
	if (delivery_form_decode(payload, &formed)) {
		delivery_form_encode(&formed, again);
		same(payload, again);
	}
	struct recipient_message recipient;
	if (recipient_decode(payload, &recipient)) {
		recipient_encode(&recipient, again);
		same(payload, again);
	}
	enum recipient_verdict verdict;
	if (recipient_verdict_decode(payload, &verdict)) {
		recipient_verdict_encode(verdict, again);
		same(payload, again);
	}
	uint32_t octets;
	if (credit_decode(payload, &octets)) {
		credit_encode(octets, again);
		same(payload, again);
	}
	struct filed_message filed;
	if (filed_decode(payload, &filed)) {
		filed_encode(&filed, again);
		same(payload, again);
	}
}

static void program(struct slice payload, struct buffer *again)
{
	struct program_message m;
	struct program_recipient r;
	if (!program_decode(payload, &m))
		return;
	program_encode(&m, again);
	for (uint32_t i = 0; i < m.recipient_count; i++) {
		if (!program_next_recipient(&m.recipients, &r))
			abort();
		program_encode_recipient(&r, again);
	}
	same(payload, again);
}

static void event(struct slice payload, struct buffer *again)
{
	struct journal_event e;
	if (journal_event_decode(payload, &e)) {
		journal_event_encode(&e, again);
		same(payload, again);
	}
}

static void report(struct slice payload, struct buffer *again)
{
	struct report_message report;
	struct reported_message reported;
	if (report_message_decode(payload, &report)) {
		report_message_encode(&report, again);
		same(payload, again);
	}
	if (reported_message_decode(payload, &reported)) {
		reported_message_encode(&reported, again);
		same(payload, again);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t len)
{
	struct buffer again = { 0 };
	struct slice payload = slice_of(octets, len);
	sign_in(payload, &again);
	transaction(payload, &again);
	mail(payload, &again);
	event(payload, &again);
	program(payload, &again);
	report(payload, &again);
	buffer_free(&again);
	return 0;
}
