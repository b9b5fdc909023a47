/* tests/unit/runtime/https.c - which addresses of a web server are gone to, and what counts of its answer.
 * DNS, the way there, the stream and its time are the test's. */
#include "tests/unit/unit.h"

#include <stdio.h>

#include "runtime/https.h"
#include "runtime/race.h"
#include "runtime/stream.h"

/* ---- time ---- */

struct timer *timer_new(struct loop *loop, void (*expired)(void *user), void *user)
{
	return NULL;
}

void timer_start(struct timer *timer, uint64_t delay_ms)
{
}

void timer_free(struct timer **timer)
{
}

/* ---- DNS ---- */

static struct dns_question *asked;
static enum dns_type asked_type;

void resolver_ask(struct resolver *resolver, struct loop *on, struct dns_question *question,
		  enum dns_type type, struct slice name, uint64_t timeout_ms)
{
	asked = question;
	asked_type = type;
}

void resolver_cancel(struct dns_question *question)
{
}

/* ---- the way there ---- */

static struct peer raced_to[RACE_ADDRESSES_MAX];
static size_t raced_count;
static void (*on_raced)(void *user, const struct race_result *result);
static void *raced_user;

struct race *race_new(struct loop *on, const struct peer *addresses, size_t count,
		      uint64_t timeout_ms,
		      void (*raced)(void *user, const struct race_result *result), void *user)
{
	memcpy(raced_to, addresses, count * sizeof(*addresses));
	raced_count = count;
	on_raced = raced;
	raced_user = user;
	return NULL;
}

void race_cancel(struct race **race)
{
}

static const struct stream_events *stream_events;
static void *user_of_stream;

struct stream *stream_new(struct loop *on, int fd, const struct stream_events *events, void *user)
{
	stream_events = events;
	user_of_stream = user;
	return (struct stream *)&user_of_stream;
}

void *stream_user(const struct stream *stream)
{
	return user_of_stream;
}

void stream_start_tls_client(struct stream *stream, struct tls_context *context,
			     const struct tls_demand *demand)
{
}

const char *stream_tls_refusal(const struct stream *stream, enum tls_refusal *kind_out)
{
	return NULL;
}

bool stream_write(struct stream *stream, struct slice octets)
{
	return true;
}

void stream_close(struct stream *stream)
{
}

struct tls_context *tls_context_hold(struct tls_context *context)
{
	return context;
}

void tls_context_release(struct tls_context **context)
{
}

/* ---- a call ---- */

static bool is_answered;
static char why[160];

static void on_answered(void *user, const struct https_answer *answer)
{
	is_answered = true;
	snprintf(why, sizeof(why), "%s", answer->why ? answer->why : "");
}

static void answer_dns(const char *const *addresses, size_t count)
{
	struct dns_record records[RACE_ADDRESSES_MAX] = { 0 };
	struct network network;
	for (size_t i = 0; i < count; i++) {
		assert_true(network_parse(slice_cstr(addresses[i]), &network));
		records[i].address.family = network.family;
		memcpy(records[i].address.address, network.address, sizeof(network.address));
	}
	asked->answered(asked, &(struct dns_answer){
				       .outcome = DNS_FOUND, .records = records, .count = count });
}

static void call(bool may_stay_inside, const char *const *v6, size_t v6_count,
		 const char *const *v4, size_t v4_count)
{
	const struct https_request request = { .host = SLICE("far.example"),
					       .port = 443,
					       .path = "/",
					       .media_type = "text/plain",
					       .answer_max_octets = 100,
					       .timeout_ms = 1000,
					       .may_stay_inside = may_stay_inside };
	is_answered = false;
	raced_count = 0;
	(void)https_call_new(NULL, &request, on_answered, NULL);
	assert_int_equal(asked_type, DNS_AAAA);
	answer_dns(v6, v6_count);
	assert_int_equal(asked_type, DNS_A);
	answer_dns(v4, v4_count);
}

static void end_race(void)
{
	on_raced(raced_user, &(struct race_result){ .fd = -1 });
	assert_true(is_answered);
}

/* Who writes into DNS has no hand in what is inside. */
static void a_stranger_leads_nobody_inside(void **state)
{
	static const char *const v6[] = { "fd00::1", "fe80::1", "::1", "2a00::1" }, *const v4[] = {
		"10.0.0.1", "192.168.1.1", "127.0.0.1", "169.254.169.254", "0.0.0.0"
	};
	call(false, v6, ARRAY_LEN(v6), v4, ARRAY_LEN(v4));
	assert_int_equal(raced_count, 1);
	assert_int_equal(raced_to[0].port, 443);
	assert_int_equal(raced_to[0].address[0], 0x2a);
	end_race();
	call(false, v6, ARRAY_LEN(v6) - 1, v4, ARRAY_LEN(v4));
	assert_true(is_answered);
	assert_int_equal(raced_count, 0);
	assert_non_null(strstr(why, "private"));
	call(false, NULL, 0, NULL, 0);
	assert_string_equal(why, "DNS knows no address of the web server");
	call(true, v6, ARRAY_LEN(v6), v4, ARRAY_LEN(v4));
	assert_int_equal(raced_count, ARRAY_LEN(v6) + ARRAY_LEN(v4));
	end_race();
}

static const char *judged(const char *octets)
{
	static const char *const v4[] = { "1.1.1.1" };
	struct cursor in = cursor_of(slice_cstr(octets));
	call(false, NULL, 0, v4, 1);
	on_raced(raced_user, &(struct race_result){ .fd = 3 });
	stream_events->input((struct stream *)&user_of_stream, &in);
	assert_true(is_answered);
	return why;
}

#define CHUNK "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n"

/* RFC 8461 section 3.3 wants the answer to be of a type, not what comes before or behind it. */
static void the_type_is_the_answers_own(void **state)
{
	static const char other[] = "the web server's answer is of another type";
	assert_string_equal(
		judged("HTTP/1.1 200 OK\r\nContent-Type: Text/Plain; a=b\r\n" CHUNK "\r\n"), "");
	assert_string_equal(judged("HTTP/1.1 200 OK\r\n" CHUNK "\r\n"), other);
	assert_string_equal(judged("HTTP/1.1 103 Hints\r\nContent-Type: text/plain\r\n\r\n"
				   "HTTP/1.1 200 OK\r\n" CHUNK "\r\n"),
			    other);
	assert_string_equal(
		judged("HTTP/1.1 200 OK\r\n" CHUNK "Content-Type: text/plain\r\nX: y\r\n\r\n"),
		other);
	assert_string_equal(judged("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n" CHUNK
				   "Content-Type: text/html\r\nX: y\r\n\r\n"),
			    "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_stranger_leads_nobody_inside),
		cmocka_unit_test(the_type_is_the_answers_own),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
