/* tests/unit/smtpd/relay_memory.c - what a front tells of domains elsewhere, and how much of it the back
 * believes. */
#include "tests/unit/smtpd/back_bed.h"

#include "base/clock.h"
#include "runtime/messages.h"
#include "smtpd/relay/runner_priv.h"
#include "storage/remote.h"

enum { DAY_SECONDS = 24 * 3600 };

static struct config *config;
static struct relay_runner *runner;

static int begin(void **state)
{
	bed_begin(&bed, STORE_SERVE);
	back_begin(config);
	runner = relay_runner_new(&back);
	latest_add(runner->given, SLICE("far.example"));
	return 0;
}

static void drain(void)
{
	while (runner->note_count > 0)
		loop_run_once(back.loop, 50);
}

static int end(void **state)
{
	drain();
	clock_set_fake_unix_ms(-1);
	relay_runner_stop(runner);
	relay_runner_free(&runner);
	back_end();
	return 0;
}

static void tell(const char *domain, struct tls_result_message message)
{
	struct buffer payload = { 0 };
	message.domain = slice_cstr(domain);
	tls_result_message_encode(&message, &payload);
	assert_true(
		relay_runner_message(runner, NULL, MESSAGE_TLS_RESULT, 0, buffer_slice(&payload)));
	buffer_free(&payload);
}

static void tell_good(const char *domain)
{
	struct buffer encoded = { 0 };
	tls_result_encode(&(struct tls_result){ .kind = TLS_RESULT_GOOD }, &encoded);
	tell(domain, (struct tls_result_message){ .level = TLS_LEVEL_ENCRYPTED,
						  .has_result = true,
						  .result = buffer_slice(&encoded) });
	buffer_free(&encoded);
}

static void tell_policy(const char *domain)
{
	struct buffer payload = { 0 };
	policy_encode(&(struct policy_message){ .domain = slice_cstr(domain),
						.id = SLICE("a1"),
						.text = SLICE("version: STSv1"),
						.fetched_unix = clock_unix(),
						.expires_unix = clock_unix() + DAY_SECONDS },
		      &payload);
	assert_true(relay_runner_message(runner, NULL, MESSAGE_POLICY, 0, buffer_slice(&payload)));
	buffer_free(&payload);
}

static bool has_policy(const char *domain)
{
	struct remote_policy policy;
	struct arena arena = { 0 };
	struct read *read = read_begin(bed.store);
	bool found = remote_policy_find(read, slice_cstr(domain), &arena, &policy);
	read_end(&read);
	arena_fini(&arena);
	return found;
}

static enum tls_policy_kind known_by;

static enum tls_level known(void)
{
	struct read *read = read_begin(bed.store);
	enum tls_level level = relay_known_level(&back, read, SLICE("far.example"), &known_by);
	read_end(&read);
	return level;
}

static void tell_level(enum tls_level level, enum tls_policy_kind by, bool is_renounced)
{
	tell("far.example", (struct tls_result_message){ .level = level,
							 .proven_by = by,
							 .is_renounced = is_renounced });
	drain();
}

static void pass_days(int days)
{
	clock_set_fake_unix_ms(clock_unix_ms() + days * DAY_SECONDS * INT64_C(1000) + 1000);
}

/* A front that is somebody else's could invent them without end. */
static void domains_that_no_mail_went_to_are_nothing(void **state)
{
	tell_good("other.example");
	tell_policy("other.example");
	assert_int_equal(runner->note_count, 0);
	tell_good("far.example");
	tell_policy("far.example");
	drain();
	assert_int_equal(results_counted(), 1);
	assert_true(has_policy("far.example"));
	assert_false(has_policy("other.example"));
}

static void the_latest_domains_are_remembered(void **state)
{
	struct latest *given = latest_new(2);
	latest_add(given, SLICE("a.example"));
	latest_add(given, SLICE("b.example"));
	latest_add(given, SLICE("a.example"));
	latest_add(given, SLICE("c.example"));
	assert_true(latest_has(given, SLICE("a.example")));
	assert_false(latest_has(given, SLICE("b.example")));
	assert_true(latest_has(given, SLICE("c.example")));
	latest_free(&given);
}

/* The writer takes what it can; what comes faster is dropped. */
static void so_much_is_under_way_at_most(void **state)
{
	for (unsigned i = 0; i < RUNNER_NOTES_MAX + 100; i++)
		tell_good("far.example");
	tell_policy("far.example");
	assert_int_equal(runner->note_count, RUNNER_NOTES_MAX);
	drain();
	assert_int_equal(results_counted(), RUNNER_NOTES_MAX);
	assert_false(has_policy("far.example"));
	tell_policy("far.example");
	drain();
	assert_true(has_policy("far.example"));
}

/* Who takes away the proof for as long as it is waited for has not won the encryption as well. */
static void levels_are_lost_one_after_the_other(void **state)
{
	clock_set_fake_unix_ms(INT64_C(1800000000000));
	tell_level(TLS_LEVEL_NONE, TLS_POLICY_NONE, false);
	assert_int_equal(known(), TLS_LEVEL_NONE);
	tell_level(TLS_LEVEL_PROVEN, TLS_POLICY_STS, false);
	assert_int_equal(known(), TLS_LEVEL_PROVEN);
	assert_int_equal(known_by, TLS_POLICY_STS);
	tell_level(TLS_LEVEL_NONE, TLS_POLICY_NONE, false);
	tell_level(TLS_LEVEL_ENCRYPTED, TLS_POLICY_NONE, false);
	tell_level(TLS_LEVEL_NONE, TLS_POLICY_NONE, false);
	assert_int_equal(known(), TLS_LEVEL_PROVEN);
	pass_days(1);
	assert_int_equal(known(), TLS_LEVEL_ENCRYPTED);
	tell_level(TLS_LEVEL_NONE, TLS_POLICY_NONE, false);
	assert_int_equal(known(), TLS_LEVEL_ENCRYPTED);
	pass_days(1);
	assert_int_equal(known(), TLS_LEVEL_NONE);
	tell_level(TLS_LEVEL_NONE, TLS_POLICY_NONE, false);
	assert_int_equal(known(), TLS_LEVEL_NONE);
	/* It is found again, and all is as it was. */
	tell_level(TLS_LEVEL_PROVEN, TLS_POLICY_TLSA, false);
	assert_int_equal(known(), TLS_LEVEL_PROVEN);
	assert_int_equal(known_by, TLS_POLICY_TLSA);
}

static void what_is_renounced_is_the_proof_alone(void **state)
{
	clock_set_fake_unix_ms(INT64_C(1800000000000));
	tell_level(TLS_LEVEL_PROVEN, TLS_POLICY_TLSA, false);
	tell_level(TLS_LEVEL_NONE, TLS_POLICY_NONE, true);
	assert_int_equal(known(), TLS_LEVEL_ENCRYPTED);
	tell_level(TLS_LEVEL_ENCRYPTED, TLS_POLICY_NONE, true);
	pass_days(2);
	assert_int_equal(known(), TLS_LEVEL_ENCRYPTED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(domains_that_no_mail_went_to_are_nothing, begin,
						end),
		cmocka_unit_test(the_latest_domains_are_remembered),
		cmocka_unit_test_setup_teardown(levels_are_lost_one_after_the_other, begin, end),
		cmocka_unit_test_setup_teardown(what_is_renounced_is_the_proof_alone, begin, end),
		cmocka_unit_test_setup_teardown(so_much_is_under_way_at_most, begin, end),
	};
	log_set_level(LOG_NOTHING);
	config = config_with("[relay]\ndowngrade_delay = 1 d\n");
	int status = cmocka_run_group_tests(tests, NULL, NULL);
	config_free(config);
	return status;
}
