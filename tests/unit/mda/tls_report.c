/* tests/unit/mda/tls_report.c - reports about TLS, from what was counted to the message. */
#include "tests/unit/storage/bed.h"

#include <zlib.h>

#include "base/base64.h"
#include "mda/tls_report.h"
#include "runtime/tls_result.h"

enum { DAY = 20454 }; /* 2026-01-01 */

struct count {
	uint32_t day;
	const char *domain;
	struct tls_result result;
	uint64_t times;
};

static enum err add(struct write *write, void *arg)
{
	const struct count *count = arg;
	struct buffer what = { 0 };
	tls_result_encode(&count->result, &what);
	enum err err = remote_result_add(
		write, &(struct remote_result){ count->day, slice_cstr(count->domain),
						buffer_slice(&what), count->times });
	buffer_free(&what);
	return err;
}

#define STS_TEXT SLICE("version: STSv1\nmode: enforce\nmx: a.far.example\nmx: *.b.example")
#define REPORT_TO SLICE("mailto:tls@far.example")

static struct count counts[] = {
	{ DAY - 1, "far.example", { .kind = TLS_RESULT_GOOD }, 7 },
	{ DAY, "far.example", { TLS_POLICY_STS, STS_TEXT, .report_to = REPORT_TO }, 40 },
	{ DAY,
	  "far.example",
	  { TLS_POLICY_STS, STS_TEXT, TLS_RESULT_EXPIRED, SLICE("a.far.example"),
	    SLICE("192.0.2.7"), SLICE("the \"certificate\"\x01 has expired"), REPORT_TO },
	  2 },
	{ DAY, "far.example", { .kind = TLS_RESULT_GOOD, .report_to = REPORT_TO }, 1 },
	{ DAY, "near.example", { .kind = TLS_RESULT_GOOD }, 1 },
	{ DAY + 1, "far.example", { .kind = TLS_RESULT_GOOD }, 9 },
};

static void gunzip(struct slice octets, struct buffer *out)
{
	z_stream stream = { 0 };
	assert_int_equal(inflateInit2(&stream, 15 + 16), Z_OK);
	stream.next_in = (Bytef *)(uintptr_t)octets.ptr;
	stream.avail_in = (uInt)octets.len;
	stream.next_out = buffer_reserve(out, 64 * 1024);
	stream.avail_out = 64 * 1024;
	assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
	out->len += stream.total_out;
	inflateEnd(&stream);
}

static bool has(const struct buffer *buffer, const char *text)
{
	return slice_find(buffer_slice(buffer), 0, slice_cstr(text)) < buffer->len;
}

static void one_day_of_each_domain_is_told(void **state)
{
	struct bed bed;
	struct arena arena = { 0 };
	struct tls_report report;
	struct remote_place place = { 0 };
	struct buffer json = { 0 }, mail = { 0 }, packed = { 0 }, again = { 0 };
	bed_begin(&bed, STORE_ADMIN);
	for (size_t i = 0; i < ARRAY_LEN(counts); i++)
		assert_int_equal(bed_write(&bed, add, &counts[i]), ERR_OK);
	struct read *read = read_begin(bed.store);
	assert_true(tls_report_next(read, DAY, &place, &arena, &report));
	assert_slice(report.domain, "far.example");
	assert_slice(report.uris, "mailto:tls@far.example");
	assert_int_equal(report.result_count, 3);
	report.submitter = SLICE("mail.example.org");
	report.contact = SLICE("postmaster@mail.example.org");
	tls_report_json(&report, &json);
	static const char *const wanted[] = {
		"{\"organization-name\": \"mail.example.org\"",
		"\"start-datetime\": \"2026-01-01T00:00:00Z\"",
		"\"end-datetime\": \"2026-01-01T23:59:59Z\"",
		"\"contact-info\": \"postmaster@mail.example.org\"",
		"\"report-id\": \"20454.far.example@mail.example.org\"",
		"{\"policy\": {\"policy-type\": \"sts\", \"policy-string\": [\"version: STSv1\", "
		"\"mode: enforce\", \"mx: a.far.example\", \"mx: *.b.example\"], \"mx-host\": "
		"[\"a.far.example\", \"*.b.example\"], \"policy-domain\": \"far.example\"}, "
		"\"summary\": {\"total-successful-session-count\": 40, "
		"\"total-failure-session-count\": 2}, \"failure-details\": [{\"result-type\": "
		"\"certificate-expired\", \"receiving-mx-hostname\": \"a.far.example\", "
		"\"receiving-ip\": \"192.0.2.7\", \"failure-reason-code\": \"the "
		"\\\"certificate\\\"\\u0001 has expired\", \"failed-session-count\": 2}]}",
		"{\"policy\": {\"policy-type\": \"no-policy-found\", \"policy-domain\": "
		"\"far.example\"}, \"summary\": {\"total-successful-session-count\": 1, "
		"\"total-failure-session-count\": 0}}",
	};
	for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
		if (!has(&json, wanted[i]))
			fail_msg("%s is not in %.*s", wanted[i], SLICE_ARG(buffer_slice(&json)));

	tls_report_format(&report, SLICE("tls@far.example"), 1767312000, &mail);
	assert_true(has(&mail, "To: <tls@far.example>\r\n"));
	assert_true(has(&mail, "TLS-Report-Domain: far.example\r\n"));
	assert_true(has(&mail, "TLS-Report-Submitter: mail.example.org\r\n"));
	assert_true(has(&mail, "TLS-Required: No\r\n"));
	assert_true(has(&mail, "filename=\"mail.example.org!far.example!1767225600!1767311999"
			       ".json.gz\"\r\n"));
	struct slice text = buffer_slice(&mail);
	text = slice_sub(text, slice_find(text, 0, SLICE(".json.gz\"\r\n\r\n")) + 13, text.len);
	text.len = slice_find(text, 0, SLICE("\r\n\r\n--"));
	base64_stream_decode(&(struct base64_stream){ 0 }, text, &packed);
	gunzip(buffer_slice(&packed), &again);
	assert_true(slice_eq(buffer_slice(&again), buffer_slice(&json)));

	assert_true(tls_report_next(read, DAY, &place, &arena, &report));
	assert_slice(report.domain, "near.example");
	assert_int_equal(report.uris.len, 0);
	assert_false(tls_report_next(read, DAY, &place, &arena, &report));
	read_end(&read);
	bed_end(&bed);
	arena_fini(&arena);
	buffer_free(&json);
	buffer_free(&mail);
	buffer_free(&packed);
	buffer_free(&again);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_day_of_each_domain_is_told),
	};
	log_set_level(LOG_NOTHING);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
