/* tests/unit/mda/report.c - what a report quotes of the message, and the types of its parts. */
#include "mda/report.h"

#include <stdio.h>

#include "tests/unit/unit.h"

static bool wants_whole(const struct envelope *envelope, enum report_action action, uint64_t octets)
{
	const struct report_recipient recipient = { .action = action };
	return report_wants_whole(envelope, &recipient, 1, octets);
}

/* A line of binary content that is a dot between a bare LF and CRLF would end the report for some
 * servers, and the rest of it be commands. */
static void binary_content_is_not_quoted(void **state)
{
	static const struct envelope plain = { .body = ENVELOPE_8BITMIME },
				     binary = { .body = ENVELOPE_BINARYMIME },
				     headers = { .returns = DSN_RETURN_HEADERS };
	assert_true(wants_whole(&plain, REPORT_FAILED, 100));
	assert_false(wants_whole(&plain, REPORT_DELAYED, 100));
	assert_false(wants_whole(&plain, REPORT_FAILED, REPORT_CONTENT_MAX_OCTETS + 1));
	assert_false(wants_whole(&headers, REPORT_FAILED, 100));
	assert_false(wants_whole(&binary, REPORT_FAILED, 100));
}

/* RFC 3461 section 6.2: RET is about failures; and one who failed decides for the whole report. */
static void what_returns_is_as_it_was_asked_for(void **state)
{
	static const struct envelope unsaid = { .body = ENVELOPE_8BITMIME },
				     full = { .returns = DSN_RETURN_FULL },
				     headers = { .returns = DSN_RETURN_HEADERS };
	static const struct report_recipient both[] = { { .action = REPORT_RELAYED },
							{ .action = REPORT_FAILED } };
	for (int action = 0; action < REPORT_ACTIONS; action++) {
		bool has_failed = action == REPORT_FAILED;
		assert_int_equal(wants_whole(&unsaid, (enum report_action)action, 100), has_failed);
		assert_int_equal(wants_whole(&full, (enum report_action)action, 100), has_failed);
		assert_false(wants_whole(&headers, (enum report_action)action, 100));
	}
	assert_true(report_wants_whole(&full, both, 2, 100));
	assert_false(report_wants_whole(&headers, both, 2, 100));
	assert_false(report_wants_whole(&full, both, 1, 100));
}

/* ---- the parts ---- */

static const char *const mixed_header = "Subject: b\xc3\xb6\r\n\r\nbody\r\n";

/* The report about one recipient; static until the next. */
static struct slice format(const struct envelope *envelope,
			   const struct report_recipient *recipient, const char *content,
			   bool is_whole)
{
	static struct buffer out;
	const struct report report = {
		.hostname = SLICE("mx.example.org"),
		.envelope = envelope,
		.recipients = recipient,
		.recipient_count = 1,
		.content = slice_cstr(content),
		.is_whole = is_whole,
	};
	buffer_free(&out);
	report_format(&report, &out);
	return buffer_slice(&out);
}

static void assert_line(struct slice report, const char *line)
{
	struct buffer whole = { 0 };
	buffer_add_format(&whole, "\r\n%s\r\n", line);
	if (slice_find(report, 0, buffer_slice(&whole)) == report.len)
		fail_msg("no line \"%s\" in:\n%.*s", line, SLICE_ARG(report));
	buffer_free(&whole);
}

static void names_come_back_in_each_action(void **state)
{
	static const char *const words[REPORT_ACTIONS] = { "failed", "delayed", "delivered",
							   "expanded", "relayed" };
	const struct envelope envelope = { .reverse_path = SLICE("a@example.org"),
					   .envid = SLICE("QQ+2B1") };
	for (int action = 0; action < REPORT_ACTIONS; action++) {
		char line[40];
		const struct report_recipient recipient = {
			.forward_path = SLICE("bob@far.example"),
			.orcpt = SLICE("rfc822;Bob+2Bx@Example.COM"),
			.action = (enum report_action)action,
		};
		struct slice report = format(&envelope, &recipient, "Subject: x\r\n\r\n", false);
		snprintf(line, sizeof(line), "Action: %s", words[action]);
		assert_line(report, line);
		assert_line(report, "Original-Envelope-Id: QQ+1");
		assert_line(report, "Original-Recipient: rfc822;Bob+x@Example.COM");
		assert_line(report, "Final-Recipient: rfc822; bob@far.example");
		assert_line(report, "Content-Type: message/delivery-status");
		assert_line(report, "Content-Type: text/rfc822-headers");
	}
}

/* RFC 6533 sections 3 and 4.1: with an address in UTF-8 all is as it is spoken. */
static void addresses_in_utf8_have_parts_of_their_own(void **state)
{
	const struct envelope envelope = { .reverse_path = SLICE("a@example.org"),
					   .is_utf8 = true };
	struct report_recipient recipient = {
		.forward_path = SLICE("b\xc3\xb6@far.example"),
		.orcpt = SLICE("UTF-8;b\\x{F6}\\x{2B}\\x{1F600}\\x{D800}\\x{0A}x@far.example"),
		.words = SLICE("nein, b\xc3\xb6s"),
		.is_reply = true,
	};
	struct slice report = format(&envelope, &recipient, mixed_header, false);
	assert_line(report, "Content-Type: message/global-delivery-status");
	assert_line(report, "Content-Transfer-Encoding: 8bit");
	assert_line(report, "Final-Recipient: utf-8; b\xc3\xb6@far.example");
	assert_line(report,
		    "Original-Recipient: utf-8;b\xc3\xb6+\xf0\x9f\x98\x80\\x{D800}?x@far.example");
	assert_line(report, "Diagnostic-Code: smtp; nein, b\xc3\xb6s");
	assert_line(report, "Content-Type: message/global-headers");
	report = format(&envelope, &recipient, mixed_header, true);
	assert_line(report, "Content-Type: message/global");
	recipient.orcpt = SLICE("utf-8;b\\x{}\\x{F6");
	assert_line(format(&envelope, &recipient, mixed_header, true),
		    "Original-Recipient: utf-8;b\\x{}\\x{F6");
}

/* Addresses in ASCII: the fields are ASCII too, whatever was said in them; of the message the header
 * decides (RFC 6533 sections 3 and 4.2). */
static void fields_are_ascii_where_addresses_are(void **state)
{
	struct envelope envelope = { .reverse_path = SLICE("a@example.org"), .is_utf8 = true };
	const struct report_recipient recipient = {
		.forward_path = SLICE("bob@far.example"),
		.orcpt = SLICE("utf-8;b\xc3\xb6\xf0\x9f\x98\x80\\x{F6}@far.example"),
		.words = SLICE("n\xc3\xb6"),
		.is_reply = true,
	};
	struct slice report = format(&envelope, &recipient, mixed_header, true);
	assert_line(report, "Content-Type: message/delivery-status");
	assert_line(report, "Original-Recipient: utf-8;b\\x{F6}\\x{1F600}\\x{F6}@far.example");
	assert_line(report, "Diagnostic-Code: smtp; n??");
	assert_line(report, "Content-Type: message/global");
	assert_line(format(&envelope, &recipient, mixed_header, false),
		    "Content-Type: message/global-headers");
	assert_line(format(&envelope, &recipient, "Subject: x\r\n\r\n", true),
		    "Content-Type: message/rfc822");
	envelope.is_utf8 = false;
	assert_line(format(&envelope, &recipient, mixed_header, false),
		    "Content-Type: text/rfc822-headers");
}

static size_t count_of(struct slice report, const char *line)
{
	size_t count = 0, at = 0;
	while ((at = slice_find(report, at, slice_cstr(line))) < report.len) {
		count++;
		at++;
	}
	return count;
}

/* RFC 2045 section 6.4: a part that has 8 bits stands in what says that it has. */
static void eight_bits_are_said_of_the_whole_too(void **state)
{
	static const char eight[] = "\r\nContent-Transfer-Encoding: 8bit\r\n";
	struct envelope envelope = { .reverse_path = SLICE("a@example.org") };
	struct report_recipient recipient = { .forward_path = SLICE("bob@far.example") };
	struct slice report = format(&envelope, &recipient, "Subject: x\r\n\r\nx\r\n", true);
	assert_int_equal(count_of(report, eight), 0);
	report = format(&envelope, &recipient, "Subject: x\r\n\r\nb\xc3\xb6\r\n", true);
	assert_int_equal(count_of(report, eight), 2); /* the message, and what it stands in */
	assert_in_range(slice_find(report, 0, slice_cstr(eight)), 0,
			slice_find(report, 0, SLICE("\r\n\r\n")));
	recipient.words = SLICE("n\xc3\xb6");
	report = format(&envelope, &recipient, "Subject: x\r\n\r\nx\r\n", true);
	assert_int_equal(count_of(report, eight), 2); /* the words, and what they stand in */
	recipient.words = SLICE_NONE;
	envelope.reverse_path = SLICE("b\xc3\xb6@example.org");
	report = format(&envelope, &recipient, "Subject: x\r\n\r\nx\r\n", true);
	assert_line(report, "Content-Type: message/global-delivery-status");
	assert_int_equal(count_of(report, eight), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(binary_content_is_not_quoted),
		cmocka_unit_test(what_returns_is_as_it_was_asked_for),
		cmocka_unit_test(names_come_back_in_each_action),
		cmocka_unit_test(addresses_in_utf8_have_parts_of_their_own),
		cmocka_unit_test(fields_are_ascii_where_addresses_are),
		cmocka_unit_test(eight_bits_are_said_of_the_whole_too),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
