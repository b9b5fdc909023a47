/* tests/unit/runtime/messages.c - every message comes back as it went; cut at any length, with
 * anything behind it, or with a value outside its bounds it is refused. */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "base/heap.h"
#include "runtime/delivery.h"
#include "runtime/messages.h"
#include "runtime/report_message.h"
#include "runtime/sign_in_limits.h"

static const struct client_info client = {
	.peer = { .address = { 192, 0, 2, 7 }, .family = 4, .port = 54321 },
	.secure = true,
	.conn_id = 0x4f2a,
};
static const struct token token = { { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 } };

static void assert_client(const struct client_info *got)
{
	assert_int_equal(got->peer.family, 4);
	assert_memory_equal(got->peer.address, client.peer.address, 16);
	assert_int_equal(got->peer.port, 54321);
	assert_true(got->secure);
	assert_int_equal(got->conn_id, 0x4f2a);
}

static bool decode_authenticate(struct slice payload)
{
	struct authenticate_message m;
	return authenticate_decode(payload, &m);
}
static bool decode_authenticated(struct slice payload)
{
	struct authenticated_message m;
	return authenticated_decode(payload, &m);
}
static bool decode_session(struct slice payload)
{
	struct session_message m;
	return session_message_decode(payload, &m);
}
static bool decode_forget(struct slice payload)
{
	struct token t;
	return forget_token_decode(payload, &t);
}
static bool decode_recipient(struct slice payload)
{
	struct recipient_message m;
	return recipient_decode(payload, &m);
}
static bool decode_verdict(struct slice payload)
{
	enum recipient_verdict v;
	return recipient_verdict_decode(payload, &v);
}
static bool decode_transaction(struct slice payload)
{
	struct transaction_message m;
	return transaction_decode(payload, &m);
}
static bool decode_credit(struct slice payload)
{
	uint32_t octets;
	return credit_decode(payload, &octets);
}
static bool decode_filed(struct slice payload)
{
	struct filed_message m;
	return filed_decode(payload, &m);
}

/* Each prefix in memory of its own, so that a read past its end is caught. */
static void assert_exact(struct buffer *payload, bool (*decode)(struct slice))
{
	assert_true(decode(buffer_slice(payload)));
	for (size_t len = 0; len < payload->len; len++) {
		uint8_t *part = heap_copy(payload->data, len);
		assert_false(decode(slice_of(part, len)));
		free(part);
	}
	buffer_add_byte(payload, 0);
	assert_false(decode(buffer_slice(payload)));
	payload->len--;
}

static void test_authenticate(void **state)
{
	struct buffer b = { 0 };
	struct authenticate_message m = { client, PROTOCOL_IMAP, SLICE("boss"), SLICE("alice"),
					  SLICE("pass\0word") },
				    got;
	authenticate_encode(&m, &b);
	assert_exact(&b, decode_authenticate);
	assert_true(authenticate_decode(buffer_slice(&b), &got));
	assert_client(&got.client);
	assert_int_equal(got.protocol, PROTOCOL_IMAP);
	assert_slice(got.authorize_as, "boss");
	assert_slice(got.login, "alice");
	assert_true(slice_eq(got.password, SLICE("pass\0word")));
	buffer_free(&b);
}

static void test_authenticate_limits(void **state)
{
	static const uint8_t octets[2000];
	static const struct {
		size_t authorize_as, login, password;
		bool good;
	} rows[] = {
		{ 255, 255, 1024, true },
		{ 256, 1, 1, false },
		{ 1, 256, 1, false },
		{ 1, 1, 1025, false },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buffer b = { 0 };
		struct authenticate_message m = { client, PROTOCOL_SMTP,
						  slice_of(octets, rows[i].authorize_as),
						  slice_of(octets, rows[i].login),
						  slice_of(octets, rows[i].password) };
		authenticate_encode(&m, &b);
		assert_int_equal(decode_authenticate(buffer_slice(&b)), rows[i].good);
		buffer_free(&b);
	}
}

static void test_client_values(void **state)
{
	struct buffer b = { 0 };
	struct authenticate_message m = { client, PROTOCOL_POP3, SLICE(""), SLICE("a"),
					  SLICE("b") };
	authenticate_encode(&m, &b);
	static const struct {
		size_t at;
		uint8_t good, bad;
	} rows[] = { { 0, 4, 5 }, { 0, 6, 1 }, { 0, 0, 255 }, { 19, 1, 2 }, { 24, 2, 3 } };
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		b.data[rows[i].at] = rows[i].bad;
		assert_false(decode_authenticate(buffer_slice(&b)));
		b.data[rows[i].at] = rows[i].good;
		assert_true(decode_authenticate(buffer_slice(&b)));
	}
	buffer_free(&b);
}

static void test_authenticated(void **state)
{
	struct buffer b = { 0 };
	struct authenticated_message m = { ERR_DENIED, token }, got;
	authenticated_encode(&m, &b);
	assert_exact(&b, decode_authenticated);
	assert_true(authenticated_decode(buffer_slice(&b), &got));
	assert_int_equal(got.outcome, ERR_DENIED);
	assert_memory_equal(&got.token, &token, sizeof(token));
	assert_true(token_is_set(&got.token));
	b.data[0] = ERR_VERSION + 1;
	assert_false(decode_authenticated(buffer_slice(&b)));
	buffer_free(&b);
	assert_false(token_is_set(&(struct token){ { 0 } }));
}

static void test_session(void **state)
{
	struct buffer b = { 0 };
	struct session_message m = { client, PROTOCOL_IMAP, token, SLICE("a1"), 2 }, got;
	session_message_encode(&m, &b);
	assert_exact(&b, decode_session);
	assert_true(session_message_decode(buffer_slice(&b), &got));
	assert_client(&got.client);
	assert_memory_equal(&got.token, &token, sizeof(token));
	assert_slice(got.tag, "a1");
	assert_int_equal(got.language, 2);
	uint8_t tag[TAG_MAX_OCTETS + 1] = { 0 };
	buffer_clear(&b);
	m.tag = slice_of(tag, TAG_MAX_OCTETS);
	session_message_encode(&m, &b);
	assert_true(decode_session(buffer_slice(&b)));
	buffer_clear(&b);
	m.tag.len++;
	session_message_encode(&m, &b);
	assert_false(decode_session(buffer_slice(&b)));
	buffer_free(&b);
}

static void test_forget_token(void **state)
{
	struct buffer b = { 0 };
	struct token got;
	forget_token_encode(&token, &b);
	assert_exact(&b, decode_forget);
	assert_true(forget_token_decode(buffer_slice(&b), &got));
	assert_memory_equal(&got, &token, sizeof(token));
	buffer_free(&b);
}

static void test_recipient(void **state)
{
	struct buffer b = { 0 };
	struct recipient_message m = { token, SLICE(""), SLICE("bob@example.org") }, got;
	recipient_encode(&m, &b);
	assert_exact(&b, decode_recipient);
	assert_true(recipient_decode(buffer_slice(&b), &got));
	assert_int_equal(got.reverse_path.len, 0);
	assert_slice(got.forward_path, "bob@example.org");
	buffer_clear(&b);
	static const uint8_t path[1001];
	m.forward_path = slice_of(path, 1001);
	recipient_encode(&m, &b);
	assert_false(decode_recipient(buffer_slice(&b)));
	buffer_free(&b);
}

static void test_verdict(void **state)
{
	struct buffer b = { 0 };
	for (unsigned v = 0; v < RECIPIENT_VERDICT_COUNT + 1; v++) {
		enum recipient_verdict got = RECIPIENT_VERDICT_COUNT;
		buffer_clear(&b);
		recipient_verdict_encode((enum recipient_verdict)v, &b);
		bool good = recipient_verdict_decode(buffer_slice(&b), &got);
		assert_int_equal(good, v < RECIPIENT_VERDICT_COUNT);
		if (good) {
			assert_int_equal(got, v);
			assert_exact(&b, decode_verdict);
		}
	}
	buffer_free(&b);
}

static const struct envelope full_envelope = {
	.reverse_path = { (const uint8_t *)"alice@example.org", 17 },
	.is_utf8 = true,
	.requires_tls = true,
	.body = ENVELOPE_BINARYMIME,
	.returns = DSN_RETURN_HEADERS,
	.envid = { (const uint8_t *)"QQ+2B314159", 11 },
	.priority = PRIORITY_MIN,
	.hold_until_unix = 1800000000,
	.deliver_by = DELIVER_BY_NOTIFY,
	.traces_deliver_by = true,
	.deliver_by_unix = 1800000120,
	.recipient_count = 3,
};
static const struct envelope_recipient recipients[] = {
	{ { (const uint8_t *)"bob@example.org", 15 },
	  { (const uint8_t *)"rfc822;Bob@example.com", 22 },
	  DSN_SUCCESS | DSN_DELAY },
	{ { (const uint8_t *)"carol@example.org", 17 }, { NULL, 0 }, DSN_NEVER },
	{ { (const uint8_t *)"x", 1 }, { NULL, 0 }, DSN_UNSAID },
};

static void encode_transaction(const struct envelope *envelope, struct buffer *out)
{
	const struct transaction_message m = { client, SERVICE_SUBMISSION,
					       SLICE("mail.example.net"), token, *envelope };
	struct buffer encoded = { 0 };
	for (size_t i = 0; i < ARRAY_LEN(recipients); i++)
		envelope_encode_recipient(&recipients[i], &encoded);
	buffer_clear(out);
	transaction_encode(&m, out);
	buffer_add(out, buffer_slice(&encoded));
	buffer_free(&encoded);
}

static void test_transaction(void **state)
{
	struct buffer b = { 0 };
	struct transaction_message got;
	encode_transaction(&full_envelope, &b);
	assert_exact(&b, decode_transaction);
	assert_true(transaction_decode(buffer_slice(&b), &got));
	assert_client(&got.client);
	assert_int_equal(got.service, SERVICE_SUBMISSION);
	assert_slice(got.client_name, "mail.example.net");
	assert_slice(got.envelope.reverse_path, "alice@example.org");
	assert_true(got.envelope.is_utf8 && got.envelope.requires_tls);
	assert_int_equal(got.envelope.body, ENVELOPE_BINARYMIME);
	assert_int_equal(got.envelope.returns, DSN_RETURN_HEADERS);
	assert_slice(got.envelope.envid, "QQ+2B314159");
	assert_int_equal(got.envelope.priority, PRIORITY_MIN);
	assert_int_equal(got.envelope.hold_until_unix, 1800000000);
	assert_int_equal(got.envelope.deliver_by, DELIVER_BY_NOTIFY);
	assert_true(got.envelope.traces_deliver_by);
	assert_int_equal(got.envelope.deliver_by_unix, 1800000120);
	assert_int_equal(got.envelope.recipient_count, 3);
	struct envelope_recipient recipient;
	struct slice rest = got.envelope.recipients;
	for (size_t i = 0; i < ARRAY_LEN(recipients); i++) {
		assert_true(envelope_next_recipient(&rest, &recipient));
		assert_true(slice_eq(recipient.forward_path, recipients[i].forward_path));
		assert_true(slice_eq(recipient.orcpt, recipients[i].orcpt));
		assert_int_equal(recipient.notify, recipients[i].notify);
	}
	assert_false(envelope_next_recipient(&rest, &recipient));
	buffer_free(&b);
}

/* What the session never says, and the back must not believe. */
static void test_envelope_out_of_bounds(void **state)
{
	uint8_t long_text[ENVELOPE_PATH_MAX_OCTETS + 1];
	struct buffer b = { 0 };
	memset(long_text, 'x', sizeof(long_text));
	for (unsigned i = 0; i < 13; i++) {
		struct envelope envelope = full_envelope;
		switch (i) {
		case 0: envelope.recipient_count = 0; break;
		case 1: envelope.recipient_count = UINT32_MAX; break; /* nothing backs it */
		case 2: envelope.reverse_path = slice_of(long_text, sizeof(long_text)); break;
		case 3: envelope.envid = slice_of(long_text, ENVID_MAX_OCTETS + 1); break;
		case 4: envelope.body = ENVELOPE_BODY_COUNT; break;
		case 5: envelope.priority = PRIORITY_MAX + 1; break;
		case 6: envelope.hold_until_unix = -1; break;
		case 7: envelope.deliver_by = DELIVER_BY_COUNT; break;
		case 8: envelope.deliver_by = DELIVER_BY_NONE; break; /* yet there is a time */
		case 9: envelope.hold_until_unix = INT64_MAX; break;
		case 10: envelope.deliver_by_unix = ENVELOPE_UNIX_MAX + 1; break;
		case 11: envelope.reverse_path = SLICE("a@b\r\nRCPT TO:<c@d>"); break;
		case 12: envelope.envid = SLICE("a\nb"); break;
		}
		encode_transaction(&envelope, &b);
		assert_false(decode_transaction(buffer_slice(&b)));
	}
	const struct envelope_recipient wrong[] = {
		{ slice_of(long_text, sizeof(long_text)), SLICE_NONE, 0 },
		{ SLICE("x"), slice_of(long_text, ORCPT_MAX_OCTETS + 1), 0 },
		{ SLICE("x"), SLICE_NONE, DSN_NEVER | DSN_SUCCESS },
		{ SLICE("x"), SLICE_NONE, 16 },
		{ SLICE("x>\r\nDATA"), SLICE_NONE, 0 },
		{ SLICE("x"), SLICE("rfc822;\x7f"), 0 },
	};
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		struct envelope_recipient got;
		buffer_clear(&b);
		envelope_encode_recipient(&wrong[i], &b);
		struct slice rest = buffer_slice(&b);
		assert_false(envelope_next_recipient(&rest, &got));
	}
	buffer_free(&b);
}

static void test_credit_and_filed(void **state)
{
	struct buffer b = { 0 };
	uint32_t octets;
	struct filed_message m = { ERR_FULL, 0x18c0000000000001 }, got;
	credit_encode(65536, &b);
	assert_exact(&b, decode_credit);
	assert_true(credit_decode(buffer_slice(&b), &octets));
	assert_int_equal(octets, 65536);
	buffer_clear(&b);
	filed_encode(&m, &b);
	assert_exact(&b, decode_filed);
	assert_true(filed_decode(buffer_slice(&b), &got));
	assert_int_equal(got.outcome, ERR_FULL);
	assert_int_equal(got.message_id, 0x18c0000000000001);
	assert_int_equal(got.outcomes.len, 0);
	/* LMTP: one for each recipient, and each is one. */
	buffer_clear(&b);
	m.outcomes = slice_of((uint8_t[]){ ERR_OK, ERR_QUOTA, ERR_NOT_FOUND }, 3);
	filed_encode(&m, &b);
	assert_exact(&b, decode_filed);
	assert_true(filed_decode(buffer_slice(&b), &got));
	assert_true(slice_eq(got.outcomes, m.outcomes));
	b.data[b.len - 1] = 0xff;
	assert_false(filed_decode(buffer_slice(&b), &got));
	buffer_free(&b);
}

static bool decode_delivery(struct slice payload)
{
	struct delivery_message m;
	return delivery_decode(payload, &m);
}
static bool decode_policy(struct slice payload)
{
	struct policy_message m;
	return policy_decode(payload, &m);
}
static bool decode_result(struct slice payload)
{
	struct tls_result_message m;
	return tls_result_message_decode(payload, &m);
}

static bool decode_form_wanted(struct slice payload)
{
	enum envelope_body form;
	return form_wanted_decode(payload, &form);
}
static bool decode_delivery_form(struct slice payload)
{
	struct delivery_form_message m;
	return delivery_form_decode(payload, &m);
}

static void test_forms(void **state)
{
	struct buffer b = { 0 };
	struct delivery_form_message m = { .form = ENVELOPE_8BITMIME,
					   .size_octets = 7,
					   .status = SLICE("5.6.2"),
					   .words = SLICE("it is signed") },
				     got;
	delivery_form_encode(&m, &b);
	assert_exact(&b, decode_delivery_form);
	assert_true(delivery_form_decode(buffer_slice(&b), &got));
	assert_int_equal(got.form, ENVELOPE_8BITMIME);
	assert_int_equal(got.size_octets, 7);
	assert_slice(got.status, "5.6.2");
	assert_slice(got.words, "it is signed");
	b.data[0] = ENVELOPE_BODY_COUNT;
	assert_false(decode_delivery_form(buffer_slice(&b)));
	buffer_clear(&b);
	form_wanted_encode(ENVELOPE_8BITMIME, &b);
	assert_exact(&b, decode_form_wanted);
	b.data[0] = ENVELOPE_BODY_COUNT;
	assert_false(decode_form_wanted(buffer_slice(&b)));
	buffer_free(&b);
}

static const struct policy_message policy = {
	.domain = { (const uint8_t *)"far.example", 11 },
	.id = { (const uint8_t *)"a1", 2 },
	.text = { (const uint8_t *)"version: STSv1", 14 },
	.fetched_unix = 1800000000,
	.expires_unix = 1800000000 + POLICY_KEPT_MAX_SECONDS,
};

static void test_delivery_and_policy(void **state)
{
	struct buffer b = { 0 }, all = { 0 };
	struct delivery_message m = { .destination = SLICE("far.example"),
				      .size_octets = 7,
				      .form = ENVELOPE_BINARYMIME,
				      .policy = policy,
				      .known_level = TLS_LEVEL_PROVEN,
				      .known_by = TLS_POLICY_STS,
				      .tls_optional = true,
				      .is_probe = true,
				      .envelope = full_envelope },
				got;
	m.policy.domain = SLICE_NONE;
	for (size_t i = 0; i < ARRAY_LEN(recipients); i++)
		envelope_encode_recipient(&recipients[i], &all);
	m.envelope.recipients = buffer_slice(&all);
	delivery_encode(&m, &b);
	assert_exact(&b, decode_delivery);
	assert_true(delivery_decode(buffer_slice(&b), &got));
	assert_int_equal(got.known_level, TLS_LEVEL_PROVEN);
	assert_int_equal(got.known_by, TLS_POLICY_STS);
	assert_true(got.tls_optional);
	assert_true(got.is_probe);
	assert_int_equal(got.form, ENVELOPE_BINARYMIME);
	assert_slice(got.policy.text, "version: STSv1");
	m.known_level = TLS_LEVEL_UNSAID;
	buffer_clear(&b);
	delivery_encode(&m, &b);
	assert_false(decode_delivery(buffer_slice(&b)));

	buffer_clear(&b);
	policy_encode(&policy, &b);
	assert_exact(&b, decode_policy);
	/* For longer than a policy can say, of nobody, or the other way round. */
	for (int i = 0; i < 4; i++) {
		struct policy_message bad = policy;
		if (i == 0)
			bad.expires_unix++;
		else if (i == 1)
			bad.domain = SLICE_NONE;
		else if (i == 2)
			bad.domain = SLICE("far.example\r\n\r\nhello");
		else
			bad.expires_unix = bad.fetched_unix - 1;
		buffer_clear(&b);
		policy_encode(&bad, &b);
		assert_false(decode_policy(buffer_slice(&b)));
	}
	buffer_free(&b);
	buffer_free(&all);
}

static bool decode_report(struct slice payload)
{
	struct report_message m;
	return report_message_decode(payload, &m);
}
static bool decode_reported(struct slice payload)
{
	struct reported_message m;
	return reported_message_decode(payload, &m);
}

static void test_report(void **state)
{
	const struct report_message good = { SLICE("a.example"), 443, SLICE("/x"), SLICE("body") };
	struct report_message got;
	struct buffer b = { 0 };
	report_message_encode(&good, &b);
	assert_exact(&b, decode_report);
	assert_true(report_message_decode(buffer_slice(&b), &got));
	assert_slice(got.host, "a.example");
	assert_slice(got.path, "/x");
	assert_slice(got.body, "body");
	/* To nobody, nowhere, or no path. */
	for (int i = 0; i < 4; i++) {
		struct report_message bad = good;
		if (i == 0)
			bad.host = SLICE_NONE;
		else if (i == 1)
			bad.port = 0;
		else
			bad.path = i == 2 ? SLICE_NONE : SLICE("x");
		buffer_clear(&b);
		report_message_encode(&bad, &b);
		assert_false(decode_report(buffer_slice(&b)));
	}
	for (int taken = 0; taken < 2; taken++) {
		struct reported_message reported;
		buffer_clear(&b);
		reported_message_encode(
			&(struct reported_message){ .is_taken = taken, .why = SLICE("why") }, &b);
		assert_exact(&b, decode_reported);
		assert_true(reported_message_decode(buffer_slice(&b), &reported));
		assert_int_equal(reported.is_taken, taken);
		assert_slice(reported.why, "why");
	}
	b.data[0] = 2;
	assert_false(decode_reported(buffer_slice(&b)));
	buffer_free(&b);
}

static void test_tls_result(void **state)
{
	struct buffer b = { 0 }, encoded = { 0 };
	char longest[2000];
	struct tls_result result = { .policy = TLS_POLICY_STS,
				     .policy_text = SLICE("version: STSv1"),
				     .kind = TLS_RESULT_EXPIRED,
				     .host = SLICE("mx.far.example"),
				     .address = SLICE("192.0.2.7"),
				     .report_to = SLICE("mailto:a@b.example") },
			  got;
	memset(longest, 'x', sizeof(longest));
	result.reason = slice_of(longest, sizeof(longest)); /* is cut */
	tls_result_encode(&result, &encoded);
	assert_true(tls_result_decode(buffer_slice(&encoded), &got));
	assert_int_equal(got.reason.len, TLS_RESULT_TEXT_MAX_OCTETS);
	assert_int_equal(got.kind, TLS_RESULT_EXPIRED);
	assert_slice(got.report_to, "mailto:a@b.example");
	struct tls_result_message m = { .domain = SLICE("far.example"),
					.level = TLS_LEVEL_ENCRYPTED,
					.has_result = true,
					.result = buffer_slice(&encoded) };
	tls_result_message_encode(&m, &b);
	assert_exact(&b, decode_result);
	m.has_result = false;
	buffer_clear(&b);
	tls_result_message_encode(&m, &b);
	assert_exact(&b, decode_result);
	/* It stands in a report's header. */
	static const struct slice bad[] = { { (const uint8_t *)"far\0example", 11 },
					    { (const uint8_t *)"far.example\r\nBcc: b", 19 },
					    { NULL, 0 } };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		m.domain = bad[i];
		buffer_clear(&b);
		tls_result_message_encode(&m, &b);
		assert_false(decode_result(buffer_slice(&b)));
	}
	buffer_free(&b);
	buffer_free(&encoded);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_authenticate),
		cmocka_unit_test(test_authenticate_limits),
		cmocka_unit_test(test_client_values),
		cmocka_unit_test(test_authenticated),
		cmocka_unit_test(test_session),
		cmocka_unit_test(test_forget_token),
		cmocka_unit_test(test_recipient),
		cmocka_unit_test(test_verdict),
		cmocka_unit_test(test_transaction),
		cmocka_unit_test(test_envelope_out_of_bounds),
		cmocka_unit_test(test_credit_and_filed),
		cmocka_unit_test(test_delivery_and_policy),
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_report),
		cmocka_unit_test(test_tls_result),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
