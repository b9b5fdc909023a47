/* tests/unit/smtpd/trace.c - trace header fields as RFC 5321 section 4.4 has them. */
#include "tests/unit/unit.h"

#include "smtpd/trace.h"

static void check(const struct trace *trace, const char *want)
{
	struct buffer out = { 0 };
	trace_format(trace, &out);
	assert_slice(buffer_slice(&out), want);
	buffer_free(&out);
}

static void of_a_submission(void **state)
{
	struct peer peer = { .address = { 192, 0, 2, 7 }, .family = 4 };
	struct trace trace = {
		.reverse_path = SLICE("alice@example.org"),
		.client_name = SLICE("laptop.example"),
		.peer = &peer,
		.hostname = SLICE("mx.example.org"),
		.protocol = trace_protocol(TRACE_ESMTP, false, true, true),
		.tls_version = "TLSv1.3",
		.tls_cipher = "TLS_AES_128_GCM_SHA256",
		.id = SLICE("4f2a-1"),
		.forward_path = SLICE("\"a b\"@example.org"),
		.arrived_unix = 880106106,
	};
	check(&trace,
	      "Return-Path: <alice@example.org>\r\n"
	      "Received: from laptop.example ([192.0.2.7])\r\n"
	      "\tby mx.example.org with ESMTPSA (TLSv1.3 TLS_AES_128_GCM_SHA256) id 4f2a-1\r\n"
	      "\tfor <\"a b\"@example.org>;\r\n"
	      "\tFri, 21 Nov 1997 09:55:06 +0000\r\n");
}

static void of_a_bounce_over_ipv6(void **state)
{
	struct peer peer = { .address = { 0x20, 1, 0xd, 0xb8, [15] = 7 }, .family = 6 };
	struct trace trace = {
		.client_name = SLICE("[IPv6:2001:db8::7]"),
		.peer = &peer,
		.hostname = SLICE("mx.example.org"),
		.protocol = trace_protocol(TRACE_SMTP, false, false, false),
		.id = SLICE("4f2a-2"),
		.arrived_unix = 880106106,
	};
	check(&trace, "Return-Path: <>\r\n"
		      "Received: from [IPv6:2001:db8::7] ([IPv6:2001:db8::7])\r\n"
		      "\tby mx.example.org with SMTP id 4f2a-2;\r\n"
		      "\tFri, 21 Nov 1997 09:55:06 +0000\r\n");
}

static void of_what_came_by_hand(void **state)
{
	struct trace trace = {
		.reverse_path = SLICE("root@example.org"),
		.hostname = SLICE("mx.example.org"),
		.protocol = "local",
		.forward_path = SLICE("alice@example.org"),
		.arrived_unix = 880106106,
	};
	check(&trace, "Return-Path: <root@example.org>\r\n"
		      "Received: by mx.example.org with local\r\n"
		      "\tfor <alice@example.org>;\r\n"
		      "\tFri, 21 Nov 1997 09:55:06 +0000\r\n");
}

static void protocol_keywords(void **state)
{
	assert_string_equal(trace_protocol(TRACE_ESMTP, false, false, false), "ESMTP");
	assert_string_equal(trace_protocol(TRACE_ESMTP, false, true, false), "ESMTPS");
	assert_string_equal(trace_protocol(TRACE_ESMTP, false, false, true), "ESMTPA");
	assert_string_equal(trace_protocol(TRACE_ESMTP, false, true, true), "ESMTPSA");
	assert_string_equal(trace_protocol(TRACE_SMTP, false, true, false), "SMTP");
	assert_string_equal(trace_protocol(TRACE_ESMTP, true, false, false), "UTF8SMTP");
	assert_string_equal(trace_protocol(TRACE_ESMTP, true, false, true), "UTF8SMTPA");
	assert_string_equal(trace_protocol(TRACE_ESMTP, true, true, false), "UTF8SMTPS");
	assert_string_equal(trace_protocol(TRACE_ESMTP, true, true, true), "UTF8SMTPSA");
	assert_string_equal(trace_protocol(TRACE_LMTP, false, false, false), "LMTP");
	assert_string_equal(trace_protocol(TRACE_LMTP, true, false, false), "UTF8LMTP");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(of_a_submission),
		cmocka_unit_test(of_a_bounce_over_ipv6),
		cmocka_unit_test(of_what_came_by_hand),
		cmocka_unit_test(protocol_keywords),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
