/* tests/unit/smtpd/daily.c - yesterday's results become reports in the queue, once. */
#include "tests/unit/smtpd/back_bed.h"

#include "base/clock.h"
#include "runtime/tls_result.h"
#include "smtpd/relay/daily_priv.h"
#include "storage/address.h"
#include "storage/remote.h"
#include "tests/unit/failing_reads.h"
#include "tests/unit/test_clock.h"

enum { DAY_SECONDS = 24 * 3600, TURNS = 200, MINUTE_MS = 60 * 1000 };

static uint32_t day_; /* of the results: yesterday */

static enum err add(struct write *write, void *arg)
{
	const struct tls_result results[] = {
		{ .report_to = SLICE("mailto:a@far.example,mailto:b@far.example") },
		{ .policy = TLS_POLICY_TLSA },
	};
	static const char *const domains[] = { "far.example", "near.example" };
	enum err err = ERR_OK;
	for (size_t i = 0; i < 2 && err == ERR_OK; i++) {
		struct buffer what = { 0 };
		tls_result_encode(&results[i], &what);
		for (uint32_t day = day_ - 30; day <= day_ + 1 && err == ERR_OK; day += 30)
			err = remote_result_add(
				write, &(struct remote_result){ day, slice_cstr(domains[i]),
								buffer_slice(&what), 1 });
		buffer_free(&what);
	}
	return err;
}

static struct config *config;
static struct daily *daily;

/* Several times in one store, whose writer goes on meanwhile. */
static void begin(const char *settings)
{
	config = config_with(settings);
	back = (struct back){ .loop = loop_new(0), .store = bed.store, .config = config };
	daily = daily_new(&back);
}

static void end(void)
{
	for (int turn = 0; turn < 5; turn++) /* the end of the day's job comes home */
		loop_run_once(back.loop, 50);
	daily_stop(daily);
	daily_free(&daily);
	jobs_home(bed.store, back.loop);
	loop_free(back.loop);
	config_free(config);
}

static void run(const char *settings, uint32_t until_day)
{
	begin(settings);
	for (int i = 0; i < 3; i++) {
		uint32_t before = reported_day();
		daily_run(daily);
		for (int turn = 0; turn < TURNS && before < until_day && reported_day() == before;
		     turn++)
			loop_run_once(back.loop, 50);
		/* The end of the day's job comes home. */
		for (int turn = 0; turn < 3; turn++)
			loop_run_once(back.loop, 50);
	}
	end();
}

static void yesterday_is_told_once_to_who_wants_it(void **state)
{
	bed_begin(&bed, STORE_SERVE);
	day_ = (uint32_t)(clock_unix() / DAY_SECONDS) - 1;
	assert_int_equal(bed_write(&bed, add, NULL), ERR_OK);
	assert_int_equal(results_counted(), 4);
	store_start_writer(bed.store);
	run("[relay]\ntls_reports = no\n", 0);
	assert_int_equal(bed_queued(&bed), 0);
	run("[relay]\ntls_reports = yes\n", day_);
	assert_int_equal(bed_queued(&bed), 2);
	assert_int_equal(reported_day(), day_);
	/* What is long past has gone. */
	assert_int_equal(results_counted(), 2);
	run("[relay]\ntls_reports = yes\n", day_);
	assert_int_equal(bed_queued(&bed), 2);
	bed_end(&bed);
}

enum { MANY = 3000 };

/* Who is to be told of each; NULL: nobody. There are as many of the day before. */
static enum err add_many(struct write *write, void *report_to)
{
	struct buffer what = { 0 };
	enum err err = ERR_OK;
	char name[32];
	tls_result_encode(
		&(struct tls_result){ .kind = TLS_RESULT_GOOD,
				      .report_to = report_to ? slice_cstr(report_to) : SLICE_NONE },
		&what);
	for (unsigned i = 0; i < 2 * MANY && err == ERR_OK; i++) {
		snprintf(name, sizeof(name), "d%u.example", i / 2);
		err = remote_result_add(write,
					&(struct remote_result){ day_ - i % 2, slice_cstr(name),
								 buffer_slice(&what), 1 });
	}
	buffer_free(&what);
	return err;
}

static enum err tell_day_before(struct write *write, void *arg)
{
	return remote_set_reported_day(write, day_ - 1);
}

/* A day in which there are so many, and two reports to be filed: the most steps of one turn, of all. */
static unsigned tell_of_many(char *report_to, unsigned *all_out)
{
	bed_begin(&bed, STORE_SERVE);
	day_ = (uint32_t)(clock_unix() / DAY_SECONDS) - 1;
	assert_int_equal(bed_write(&bed, add, NULL), ERR_OK);
	assert_int_equal(bed_write(&bed, add_many, report_to), ERR_OK);
	assert_int_equal(bed_write(&bed, tell_day_before, NULL), ERR_OK);
	store_start_writer(bed.store);
	begin("[relay]\ntls_reports = yes\n");
	unsigned most = 0;
	*all_out = steps = 0;
	daily_run(daily);
	for (unsigned turn = 0; turn < 1000 && reported_day() < day_; turn++) {
		most = steps > most ? steps : most;
		*all_out += steps;
		steps = 0;
		loop_run_once(back.loop, 50);
	}
	assert_int_equal(reported_day(), day_);
	assert_int_equal(bed_queued(&bed), 2);
	end();
	bed_end(&bed);
	return most;
}

static void many_who_want_nothing_hold_up_nobody(void **state)
{
	unsigned all;
	assert_in_range(tell_of_many(NULL, &all), 300, MANY);
}

/* Nor do those who name somebody who is not there: no more than that many are told of in a turn, and none
 * from within the one before. */
static void many_who_are_not_there_hold_up_nobody(void **state)
{
	static char nobody[] = "mailto:nobody@example.org";
	unsigned all, most = tell_of_many(nobody, &all);
	assert_true(all > MANY);
	assert_in_range(most, 300, all / 4);
}

/* What a domain's DNS names: of many addresses the first two; a list of ours not where only members of the
 * house may write to it. */
static enum err add_strange(struct write *write, void *arg)
{
	static const char *const uris[] = {
		"mailto:a@a.example,mailto:b@b.example,mailto:c@c.example,mailto:d@d.example",
		"mailto:users@example.org,mailto:alice@example.org",
	};
	static const char *const domains[] = { "far.example", "near.example" };
	const struct slice targets[] = { SLICE("alice@example.org") };
	enum err err = alias_set(write, SLICE("users"), SLICE("example.org"), targets, 1);
	if (err == ERR_OK)
		err = alias_set_post(write, SLICE("users"), SLICE("example.org"), POST_USERS, NULL,
				     0);
	for (size_t i = 0; i < 2 && err == ERR_OK; i++) {
		struct buffer what = { 0 };
		tls_result_encode(&(struct tls_result){ .report_to = slice_cstr(uris[i]) }, &what);
		err = remote_result_add(write,
					&(struct remote_result){ day_, slice_cstr(domains[i]),
								 buffer_slice(&what), 1 });
		buffer_free(&what);
	}
	return err;
}

static void a_strangers_dns_posts_as_a_stranger(void **state)
{
	bed_begin(&bed, STORE_SERVE);
	day_ = (uint32_t)(clock_unix() / DAY_SECONDS) - 1;
	assert_int_equal(bed_write(&bed, add_strange, NULL), ERR_OK);
	store_start_writer(bed.store);
	run("[relay]\ntls_reports = yes\n", day_);
	assert_int_equal(bed_queued(&bed), 2);
	assert_int_equal(messages(), 1);
	bed_end(&bed);
}

/* Each turn a minute passes, so nothing waits for one of this machine's. */
static void wait_for_day(void)
{
	for (unsigned turn = 0; turn < 10 * TURNS && reported_day() < day_; turn++) {
		test_clock_advance(MINUTE_MS);
		loop_run_once(back.loop, 50);
	}
	assert_int_equal(reported_day(), day_);
}

/* Nothing has failed; `add_to` says for whom there are reports. */
static void begin_with_reports(enum err (*add_to)(struct write *write, void *arg))
{
	bed_begin(&bed, STORE_SERVE);
	day_ = (uint32_t)(clock_unix() / DAY_SECONDS) - 1;
	assert_int_equal(bed_write(&bed, add_to, NULL), ERR_OK);
	assert_int_equal(bed_write(&bed, tell_day_before, NULL), ERR_OK);
	store_start_writer(bed.store);
	begin("[relay]\ntls_reports = yes\n");
	failed_reads = 0;
}

static void a_store_that_fails_for_a_moment_ends_no_day(void **state)
{
	failed_reads = 1;
	for (int at = 0; failed_reads > 0; at++) {
		begin_with_reports(add);
		steps_left = at;
		daily_run(daily); /* looks for the first of them */
		steps_left = NEVER;
		assert_true(failed_reads == 1 || at > 1);
		wait_for_day();
		assert_int_equal(bed_queued(&bed), 2);
		end();
		bed_end(&bed);
	}
}

/* Whichever row of its recipient cannot be read. */
static void a_report_is_filed_as_soon_as_the_store_takes_it(void **state)
{
	failed_reads = 1;
	for (int at = 0; failed_reads > 0; at++) {
		begin_with_reports(add_strange);
		gets_left = at;
		daily_run(daily); /* finds the first of them, and files it */
		gets_left = NEVER;
		assert_true(failed_reads == 1 || at > 1);
		wait_for_day();
		assert_int_equal(bed_queued(&bed), 2);
		assert_int_equal(messages(), 1);
		end();
		bed_end(&bed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(yesterday_is_told_once_to_who_wants_it),
		cmocka_unit_test(many_who_want_nothing_hold_up_nobody),
		cmocka_unit_test(many_who_are_not_there_hold_up_nobody),
		cmocka_unit_test(a_strangers_dns_posts_as_a_stranger),
		cmocka_unit_test(a_store_that_fails_for_a_moment_ends_no_day),
		cmocka_unit_test(a_report_is_filed_as_soon_as_the_store_takes_it),
	};
	log_set_level(LOG_NOTHING);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
