/* mda/tls_report.c - the report of one day to one domain: JSON (RFC 8460 section 4.4), compressed
 * (section 5.2), in a multipart/report (section 5.3). Runs in the back.
 *
 * The same day and domain give the same Report-ID, so a report that is sent twice is known as one. */
#include "mda/tls_report.h"

#include <assert.h>
#include <stdio.h>
#include <zlib.h>

#include "base/base64.h"
#include "mail/date.h"
#include "runtime/tls_result.h"

enum { DAY_SECONDS = 24 * 3600, LINE_OCTETS = 76 };

/* ---- what was counted ---- */

bool tls_report_next(struct read *read, uint32_t day, struct remote_place *place,
		     struct arena *arena, struct tls_report *report_out)
{
	struct remote_result *results =
		arena_alloc_array(arena, REMOTE_RESULTS_MAX, sizeof(*results));
	struct remote_result next;
	struct remote_place ahead = place->key.len > 0 ? *place : remote_place_of(day, arena);
	*report_out = (struct tls_report){ .day = day, .results = results };
	while (remote_result_next(read, &ahead, arena, &next) && next.day == day) {
		struct tls_result result;
		if (report_out->result_count > 0 && !slice_eq(next.domain, report_out->domain))
			break;
		*place = ahead;
		if (!tls_result_decode(next.what, &result) ||
		    report_out->result_count == REMOTE_RESULTS_MAX)
			continue;
		report_out->domain = next.domain;
		if (result.report_to.len > 0)
			report_out->uris = result.report_to;
		results[report_out->result_count++] = next;
	}
	return report_out->result_count > 0;
}

void tls_report_set_submitter(struct tls_report *report, const struct config *config,
			      struct arena *arena)
{
	report->submitter = slice_cstr(config->origin ? config->origin : config->hostname);
	report->contact =
		slice_cstr(arena_format(arena, "postmaster@%.*s", SLICE_ARG(report->submitter)));
}

/* ---- JSON ---- */

static void add_string(struct buffer *out, struct slice text)
{
	buffer_add_byte(out, '"');
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.ptr[i];
		if (c == '"' || c == '\\')
			buffer_add_format(out, "\\%c", c);
		else if (c < ' ')
			buffer_add_format(out, "\\u%04x", c);
		else
			buffer_add_byte(out, c < 0x7f ? c : '?');
	}
	buffer_add_byte(out, '"');
}

static void add_name(struct buffer *out, const char *name)
{
	buffer_add_format(out, "\"%s\": ", name);
}

static void add_pair(struct buffer *out, const char *name, struct slice value, const char *behind)
{
	add_name(out, name);
	add_string(out, value);
	buffer_add_cstr(out, behind);
}

static struct tls_result result_at(const struct tls_report *report, size_t i)
{
	struct tls_result result;
	bool good = tls_result_decode(report->results[i].what, &result);
	assert(good); /* tls_report_next() has looked */
	return result;
}

static bool is_same_policy(const struct tls_result *a, const struct tls_result *b)
{
	return a->policy == b->policy && slice_eq(a->policy_text, b->policy_text);
}

/* The lines of the policy; or the patterns behind "mx:". */
static void add_lines(struct buffer *out, struct slice text, struct slice prefix)
{
	const char *between = "";
	buffer_add_byte(out, '[');
	while (text.len > 0) {
		size_t end = slice_find_byte(text, 0, '\n');
		struct slice line = slice_sub(text, 0, end);
		text = slice_sub(text, end + 1, text.len);
		if (!slice_starts_nocase(line, prefix))
			continue;
		buffer_add_cstr(out, between);
		add_string(out, slice_trim(slice_sub(line, prefix.len, line.len)));
		between = ", ";
	}
	buffer_add_byte(out, ']');
}

static void add_policy(const struct tls_report *report, const struct tls_result *policy,
		       struct buffer *out)
{
	buffer_add_cstr(out, "{\"policy\": {");
	add_pair(out, "policy-type", slice_cstr(tls_policy_word(policy->policy)), ", ");
	if (policy->policy_text.len > 0) {
		add_name(out, "policy-string");
		add_lines(out, policy->policy_text, SLICE_NONE);
		buffer_add_cstr(out, ", ");
	}
	if (policy->policy == TLS_POLICY_STS && policy->policy_text.len > 0) {
		add_name(out, "mx-host");
		add_lines(out, policy->policy_text, SLICE("mx:"));
		buffer_add_cstr(out, ", ");
	}
	add_pair(out, "policy-domain", report->domain, "}, ");
}

static void add_summary(const struct tls_report *report, const struct tls_result *policy,
			struct buffer *out)
{
	uint64_t good = 0, bad = 0;
	for (size_t i = 0; i < report->result_count; i++) {
		struct tls_result result = result_at(report, i);
		if (!is_same_policy(&result, policy))
			continue;
		if (result.kind == TLS_RESULT_GOOD)
			good += report->results[i].count;
		else
			bad += report->results[i].count;
	}
	buffer_add_format(out,
			  "\"summary\": {\"total-successful-session-count\": %llu, "
			  "\"total-failure-session-count\": %llu}",
			  (unsigned long long)good, (unsigned long long)bad);
}

static void add_failure(const struct remote_result *counted, const struct tls_result *result,
			struct buffer *out)
{
	buffer_add_byte(out, '{');
	add_pair(out, "result-type", slice_cstr(tls_result_word(result->kind)), ", ");
	if (result->host.len > 0)
		add_pair(out, "receiving-mx-hostname", result->host, ", ");
	if (result->address.len > 0)
		add_pair(out, "receiving-ip", result->address, ", ");
	if (result->reason.len > 0)
		add_pair(out, "failure-reason-code", result->reason, ", ");
	buffer_add_format(out, "\"failed-session-count\": %llu}",
			  (unsigned long long)counted->count);
}

static void add_failures(const struct tls_report *report, const struct tls_result *policy,
			 struct buffer *out)
{
	const char *between = ", \"failure-details\": [";
	for (size_t i = 0; i < report->result_count; i++) {
		struct tls_result result = result_at(report, i);
		if (result.kind == TLS_RESULT_GOOD || !is_same_policy(&result, policy))
			continue;
		buffer_add_cstr(out, between);
		add_failure(&report->results[i], &result, out);
		between = ", ";
	}
	if (between[2] != '"')
		buffer_add_byte(out, ']');
}

static void add_report_id(const struct tls_report *report, struct buffer *out)
{
	buffer_add_format(out, "%u.%.*s@%.*s", report->day, SLICE_ARG(report->domain),
			  SLICE_ARG(report->submitter));
}

void tls_report_json(const struct tls_report *report, struct buffer *out)
{
	char start[DATE_TEXT_OCTETS], end[DATE_TEXT_OCTETS];
	const char *between = "";
	internet_date_format((int64_t)report->day * DAY_SECONDS, start);
	internet_date_format((int64_t)report->day * DAY_SECONDS + DAY_SECONDS - 1, end);
	buffer_add_byte(out, '{');
	add_pair(out, "organization-name", report->submitter, ",\n ");
	buffer_add_format(out,
			  "\"date-range\": {\"start-datetime\": \"%s\", "
			  "\"end-datetime\": \"%s\"},\n ",
			  start, end);
	add_pair(out, "contact-info", report->contact, ",\n ");
	buffer_add_cstr(out, "\"report-id\": \"");
	add_report_id(report, out);
	buffer_add_cstr(out, "\",\n \"policies\": [");
	for (size_t i = 0; i < report->result_count; i++) {
		struct tls_result policy = result_at(report, i);
		bool is_new = true;
		for (size_t k = 0; k < i && is_new; k++) {
			struct tls_result before = result_at(report, k);
			is_new = !is_same_policy(&before, &policy);
		}
		if (!is_new)
			continue;
		buffer_add_cstr(out, between);
		add_policy(report, &policy, out);
		add_summary(report, &policy, out);
		add_failures(report, &policy, out);
		buffer_add_byte(out, '}');
		between = ",\n  ";
	}
	buffer_add_cstr(out, "]}\n");
}

/* ---- the message ---- */

/* RFC 1952. */
static void compress_to(struct slice octets, struct buffer *out)
{
	enum { GZIP_WINDOW_BITS = 15 + 16, MEMORY_LEVEL = 8 };
	z_stream stream = { 0 };
	int code = deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_WINDOW_BITS,
				MEMORY_LEVEL, Z_DEFAULT_STRATEGY);
	assert(code == Z_OK);
	uLong room = deflateBound(&stream, octets.len);
	stream.next_in = (Bytef *)(uintptr_t)octets.ptr;
	stream.avail_in = (uInt)octets.len;
	stream.next_out = buffer_reserve(out, room);
	stream.avail_out = (uInt)room;
	code = deflate(&stream, Z_FINISH);
	assert(code == Z_STREAM_END);
	out->len += stream.total_out;
	deflateEnd(&stream);
}

void tls_report_pack(const struct tls_report *report, struct buffer *out)
{
	struct buffer json = { 0 };
	tls_report_json(report, &json);
	compress_to(buffer_slice(&json), out);
	buffer_free(&json);
}

static void add_attachment(const struct tls_report *report, struct buffer *out)
{
	struct buffer compressed = { 0 }, text = { 0 };
	tls_report_pack(report, &compressed);
	base64_encode(buffer_slice(&compressed), &text);
	for (size_t at = 0; at < text.len; at += LINE_OCTETS) {
		buffer_add(out, slice_sub(buffer_slice(&text), at, LINE_OCTETS));
		buffer_add_cstr(out, "\r\n");
	}
	buffer_free(&compressed);
	buffer_free(&text);
}

void tls_report_format(const struct tls_report *report, struct slice to, int64_t now_unix,
		       struct buffer *out)
{
	char date[DATE_TEXT_OCTETS];
	long long start = (long long)report->day * DAY_SECONDS;
	date_format(now_unix, date);
	buffer_add_format(out,
			  "Return-Path: <>\r\nDate: %s\r\nFrom: <%.*s>\r\nTo: <%.*s>\r\n"
			  "Subject: Report Domain: %.*s\r\n Submitter: %.*s\r\n Report-ID: <",
			  date, SLICE_ARG(report->contact), SLICE_ARG(to),
			  SLICE_ARG(report->domain), SLICE_ARG(report->submitter));
	add_report_id(report, out);
	buffer_add_cstr(out, ">\r\nMessage-ID: <tls-report.");
	add_report_id(report, out);
	/* Whom it is about may be hard to reach by the way that it is about (section 5.3.1). */
	buffer_add_format(
		out,
		">\r\nTLS-Report-Domain: %.*s\r\nTLS-Report-Submitter: %.*s\r\n"
		"TLS-Required: No\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
		"Content-Type: multipart/report; report-type=\"tlsrpt\";\r\n"
		"\tboundary=\"tls-report\"\r\n\r\n"
		"--tls-report\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n"
		"This is a report of the mail server %.*s about how its connections to\r\n"
		"the mail servers of %.*s were secured on one day (RFC 8460).\r\n\r\n"
		"--tls-report\r\nContent-Type: application/tlsrpt+gzip\r\n"
		"Content-Transfer-Encoding: base64\r\n"
		"Content-Disposition: attachment;\r\n"
		"\tfilename=\"%.*s!%.*s!%lld!%lld.json.gz\"\r\n\r\n",
		SLICE_ARG(report->domain), SLICE_ARG(report->submitter),
		SLICE_ARG(report->submitter), SLICE_ARG(report->domain),
		SLICE_ARG(report->submitter), SLICE_ARG(report->domain), start,
		start + DAY_SECONDS - 1);
	add_attachment(report, out);
	buffer_add_cstr(out, "\r\n--tls-report--\r\n");
}
