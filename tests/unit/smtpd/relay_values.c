/* tests/unit/smtpd/relay_values.c - what the sending client and the runner go by: how replies are read,
 * when it is tried again, how much at a time, by which way. */
#include "tests/unit/unit.h"

#include <stdio.h>

#include "smtpd/relay/families_priv.h"
#include "smtpd/relay/hop_pace_priv.h"
#include "smtpd/relay/reply_priv.h"
#include "smtpd/relay/route_priv.h"
#include "smtpd/relay/schedule_priv.h"

static enum reply_result take(const char *text, struct reply *reply, struct reply_reader *reader)
{
	struct cursor in = cursor_of(slice_cstr(text));
	return reply_take(reader, &in, reply);
}

static void replies_are_read(void **state)
{
	static const char *const broken[] = { "hello\r\n", "99 x\r\n",		 "600 x\r\n",
					      "250x\r\n",  "250-a\r\n251 b\r\n", "25\r\n",
					      "\r\n",	   "150 x\r\n" };
	struct reply_reader reader = { 0 };
	struct reply reply;
	struct buffer words = { 0 };
	assert_int_equal(take("250 2.1.5 fine\r\n", &reply, &reader), REPLY_TAKEN);
	assert_int_equal(reply.code, 250);
	assert_int_equal(reply.status[2], 5);
	assert_int_equal(take("250\r\n", &reply, &reader), REPLY_TAKEN);
	assert_int_equal(reply.text.len, 0);
	assert_int_equal(take("550-5.1.1 a\n550 5.1.1 \x01 b\n", &reply, &reader), REPLY_TAKEN);
	reply_words(&reply, 512, &words);
	assert_true(slice_eq(buffer_slice(&words), SLICE("550 5.1.1 a 5.1.1 ? b")));
	buffer_clear(&words);
	reply_words(&reply, 10, &words);
	assert_int_equal(words.len, 10);
	/* A status of another class is none. */
	assert_int_equal(take("550 2.1.5 odd\r\n", &reply, &reader), REPLY_TAKEN);
	assert_int_equal(reply.status[0], 0);
	assert_int_equal(take("250-more\r\n", &reply, &reader), REPLY_PARTIAL);
	assert_int_equal(take("250 ", &reply, &reader), REPLY_PARTIAL);
	assert_int_equal(take("250 end\r\n", &reply, &reader), REPLY_TAKEN);
	assert_true(slice_eq(reply.text, SLICE("more\nend")));
	for (size_t i = 0; i < ARRAY_LEN(broken); i++) {
		struct reply_reader fresh = { 0 };
		assert_int_equal(take(broken[i], &reply, &fresh), REPLY_BROKEN);
		reply_reader_fini(&fresh);
	}
	struct buffer endless = { 0 };
	for (int i = 0; i < REPLY_LINES_MAX + 1; i++)
		buffer_add_cstr(&endless, "250-x\r\n");
	struct cursor in = cursor_of(buffer_slice(&endless));
	assert_int_equal(reply_take(&reader, &in, &reply), REPLY_BROKEN);
	buffer_free(&endless);
	buffer_free(&words);
	reply_reader_fini(&reader);
}

static void waits_grow_and_end(void **state)
{
	unsigned retry[] = { 300, 900 };
	const struct config config = { .retry_seconds = retry,
				       .retry_count = 2,
				       .expire_seconds = 10000,
				       .warn_after_seconds = 4000 };
	struct queue_entry entry = { .arrived_unix = 1000, .attempts_made = 1 };
	const int64_t now = 1000000;
	assert_int_equal(schedule_next_unix_ms(&config, &entry, now, 1000), now + 300 * 1000);
	assert_int_equal(schedule_next_unix_ms(&config, &entry, now, 0), now + 270 * 1000);
	assert_int_equal(schedule_next_unix_ms(&config, &entry, now, 2000), now + 330 * 1000);
	entry.attempts_made = 99;
	assert_int_equal(schedule_next_unix_ms(&config, &entry, now, 1000), now + 900 * 1000);
	assert_int_equal(schedule_expires_unix(&config, &entry), 11000);
	/* The last one is at the end. */
	assert_int_equal(schedule_next_unix_ms(&config, &entry, 10900 * 1000, 1000), 11000 * 1000);
	assert_int_equal(schedule_warns_unix(&config, &entry), 5000);
	entry.envelope.hold_until_unix = 2000;
	assert_int_equal(schedule_expires_unix(&config, &entry), 12000);
	entry.envelope.deliver_by = DELIVER_BY_RETURN;
	entry.envelope.deliver_by_unix = 3000;
	assert_int_equal(schedule_expires_unix(&config, &entry), 3000);
	entry.envelope.deliver_by = DELIVER_BY_NOTIFY;
	assert_int_equal(schedule_expires_unix(&config, &entry), 12000);
	assert_int_equal(schedule_warns_unix(&config, &entry), 3000);
}

static void paces_follow_success_and_trouble(void **state)
{
	struct hop_pace pace = { 0 };
	assert_true(hop_is_unknown(&pace));
	assert_int_equal(hop_limit(&pace), 1);
	hop_note_answer(&pace);
	assert_int_equal(hop_limit(&pace), HOP_LIMIT_FIRST);
	hop_note_success(&pace);
	hop_note_answer(&pace); /* is no news any more */
	assert_int_equal(hop_limit(&pace), HOP_LIMIT_FIRST + 1);
	for (int i = 0; i < 100; i++)
		hop_note_success(&pace);
	assert_int_equal(hop_limit(&pace), HOP_LIMIT_MAX);
	hop_note_failure(&pace, 1000, 60000);
	assert_int_equal(hop_limit(&pace), HOP_LIMIT_MAX / 2);
	assert_false(hop_is_down(&pace, 1000));
	hop_note_failure(&pace, 1000, 60000);
	hop_note_failure(&pace, 1000, 60000);
	assert_true(hop_is_down(&pace, 1000));
	assert_int_equal(hop_limit(&pace), 1);
	assert_false(hop_is_down(&pace, 61000));
	hop_note_failure(&pace, 61000, 60000); /* the one that tried */
	assert_true(hop_is_down(&pace, 61000));
	hop_note_success(&pace);
	assert_false(hop_is_down(&pace, 61000));
	assert_int_equal(hop_limit(&pace), 2);
}

static void routes_come_before_the_smarthost(void **state)
{
	static char domain[] = "far.example", host[] = "192.0.2.1", smart[] = "smart.example";
	struct config_route routes[] = { { domain, true, host, 24 } };
	struct config config = { .routes = routes, .route_count = 1, .relay_port = 25 };
	struct arena arena = { 0 };
	struct route route;
	route_find(&config, SLICE("far.example"), &arena, &route);
	assert_true(route.kind == ROUTE_TO_HOST && route.is_lmtp && route.port == 24);
	assert_true(slice_eq(route.key, SLICE("lmtp:192.0.2.1:24")));
	route_find(&config, SLICE("other.example"), &arena, &route);
	assert_true(route.kind == ROUTE_BY_DNS && route.port == 25);
	assert_true(slice_eq(route.key, SLICE("other.example")));
	config.smarthost = smart;
	config.smarthost_port = 587;
	route_find(&config, SLICE("other.example"), &arena, &route);
	assert_true(route.kind == ROUTE_TO_SMARTHOST && route.port == 587);
	arena_fini(&arena);
}

/* "6a 4b": family and last octet of each. */
static void order(const char *given, uint8_t avoided, const char *want)
{
	struct peer addresses[8] = { 0 };
	char text[64] = "";
	size_t count = 0;
	for (const char *at = given; *at; at += at[2] ? 3 : 2)
		addresses[count++] = (struct peer){ .family = (uint8_t)(at[0] - '0'),
						    .address = { (uint8_t)at[1] } };
	count = families_order(addresses, count, avoided);
	for (size_t i = 0; i < count; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%u%c", i ? " " : "",
			 addresses[i].family, addresses[i].address[0]);
	assert_string_equal(text, want);
}

static void families_alternate(void **state)
{
	order("", 0, "");
	order("6a 6b 6c 4d 4e", 0, "6a 4d 6b 4e 6c");
	order("4a 4b 6c", 0, "6c 4a 4b");
	order("6a 4b 6c", 6, "4b");
	order("6a 4b 6c", 4, "6a 6c");
	order("6a 6b", 6, "6a 6b");
	order("4a", 4, "4a");
}

static void one_without_a_name_is_avoided_where_there_is_another(void **state)
{
	static const struct {
		enum family_state v6, v4;
		uint8_t avoided;
	} cases[] = {
		{ FAMILY_NAMED, FAMILY_NAMED, 0 },	 { FAMILY_NAMELESS, FAMILY_NAMED, 6 },
		{ FAMILY_NAMELESS, FAMILY_UNKNOWN, 6 },	 { FAMILY_NAMELESS, FAMILY_ABSENT, 0 },
		{ FAMILY_NAMELESS, FAMILY_NAMELESS, 0 }, { FAMILY_UNKNOWN, FAMILY_NAMELESS, 4 },
		{ FAMILY_ABSENT, FAMILY_NAMELESS, 0 },	 { FAMILY_UNKNOWN, FAMILY_UNKNOWN, 0 },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct families families = { .v6.state = cases[i].v6,
						   .v4.state = cases[i].v4 };
		assert_int_equal(families_avoided(&families), cases[i].avoided);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(replies_are_read),
		cmocka_unit_test(waits_grow_and_end),
		cmocka_unit_test(paces_follow_success_and_trouble),
		cmocka_unit_test(routes_come_before_the_smarthost),
		cmocka_unit_test(families_alternate),
		cmocka_unit_test(one_without_a_name_is_avoided_where_there_is_another),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
