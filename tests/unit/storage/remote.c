/* tests/unit/storage/remote.c - what is remembered of domains elsewhere, within its limits. */
#include "tests/unit/storage/bed.h"

#include "storage/remote_priv.h"

/* Pages that a database has beside its true ones. */
static size_t more_pages;

int __real_mdb_stat(MDB_txn *txn, MDB_dbi dbi, MDB_stat *stat);
int __wrap_mdb_stat(MDB_txn *txn, MDB_dbi dbi, MDB_stat *stat);
int __wrap_mdb_stat(MDB_txn *txn, MDB_dbi dbi, MDB_stat *stat)
{
	int code = __real_mdb_stat(txn, dbi, stat);
	stat->ms_overflow_pages += more_pages;
	return code;
}

enum { DAY_SECONDS = 24 * 3600 };

static enum err put_policy(struct write *write, void *arg)
{
	return remote_policy_put(write, SLICE("far.example"), arg);
}

static enum err put_level(struct write *write, void *arg)
{
	return remote_level_put(write, SLICE("far.example"), arg);
}

static enum err add_result(struct write *write, void *arg)
{
	return remote_result_add(write, arg);
}

struct prune {
	uint32_t day;
	int64_t now_unix;
	size_t rows;
	struct remote_walk walk;
};

static enum err prune(struct write *write, void *arg)
{
	struct prune *p = arg;
	return remote_prune(write, p->day, p->now_unix, p->rows, &p->walk);
}

static enum err set_day(struct write *write, void *arg)
{
	return remote_set_reported_day(write, *(uint32_t *)arg);
}

static void policies_and_levels_are_found_again(void **state)
{
	struct bed bed;
	bed_begin(&bed, STORE_ADMIN);
	struct arena arena = { 0 };
	struct remote_policy policy = { .id = SLICE("a1"),
					.text = SLICE("version: STSv1"),
					.fetched_unix = 1000,
					.expires_unix = 2000 },
			     found;
	struct remote_level level = { .level = 2, .reached_unix = 3000, .lost_unix = 4000 }, got;
	assert_int_equal(bed_write(&bed, put_policy, &policy), ERR_OK);
	assert_int_equal(bed_write(&bed, put_level, &level), ERR_OK);
	struct read *read = read_begin(bed.store);
	assert_true(remote_policy_find(read, SLICE("far.example"), &arena, &found));
	assert_slice(found.id, "a1");
	assert_slice(found.text, "version: STSv1");
	assert_int_equal(found.fetched_unix, 1000);
	assert_int_equal(found.expires_unix, 2000);
	assert_true(remote_level_find(read, SLICE("far.example"), &got));
	assert_int_equal(got.level, 2);
	assert_int_equal(got.lost_unix, 4000);
	assert_false(remote_policy_find(read, SLICE("near.example"), &arena, &found));
	assert_false(remote_level_find(read, SLICE("near.example"), &got));
	assert_false(remote_level_find(read, SLICE_NONE, &got));
	read_end(&read);
	policy.id = SLICE("0123456789012345678901234567890123");
	assert_int_equal(bed_write(&bed, put_policy, &policy), ERR_BAD_INPUT);
	/* What is past its time goes, the rest stays. */
	struct prune p = { .now_unix = 2001, .rows = 100 };
	assert_int_equal(bed_write(&bed, prune, &p), ERR_OK);
	read = read_begin(bed.store);
	assert_false(remote_policy_find(read, SLICE("far.example"), &arena, &found));
	assert_true(remote_level_find(read, SLICE("far.example"), &got));
	read_end(&read);
	p.now_unix = 1000L * DAY_SECONDS;
	assert_int_equal(bed_write(&bed, prune, &p), ERR_OK);
	read = read_begin(bed.store);
	assert_false(remote_level_find(read, SLICE("far.example"), &got));
	read_end(&read);
	arena_fini(&arena);
	bed_end(&bed);
}

static void results_are_counted_by_day_and_domain(void **state)
{
	static const struct {
		uint32_t day;
		const char *domain, *what;
	} given[] = { { 10, "b.example", "good" }, { 9, "a.example", "good" },
		      { 10, "a.example", "bad" },  { 10, "a.example", "good" },
		      { 10, "b.example", "good" }, { 10, "a.example.net", "good" } };
	static const struct {
		uint32_t day;
		const char *domain;
		uint64_t count;
	} wanted[] = { { 9, "a.example", 1 },
		       { 10, "a.example", 1 },
		       { 10, "a.example", 1 },
		       { 10, "a.example.net", 1 },
		       { 10, "b.example", 2 } };
	struct bed bed;
	bed_begin(&bed, STORE_ADMIN);
	struct arena arena = { 0 };
	struct remote_place place = { 0 };
	struct remote_result result;
	size_t count = 0;
	for (size_t i = 0; i < ARRAY_LEN(given); i++) {
		result = (struct remote_result){ given[i].day, slice_cstr(given[i].domain),
						 slice_cstr(given[i].what), 1 };
		assert_int_equal(bed_write(&bed, add_result, &result), ERR_OK);
	}
	struct read *read = read_begin(bed.store);
	for (; remote_result_next(read, &place, &arena, &result); count++) {
		assert_true(count < ARRAY_LEN(wanted));
		assert_int_equal(result.day, wanted[count].day);
		assert_slice(result.domain, wanted[count].domain);
		assert_int_equal(result.count, wanted[count].count);
	}
	assert_int_equal(count, ARRAY_LEN(wanted));
	assert_int_equal(remote_reported_day(read), 0);
	read_end(&read);
	uint32_t day = 9;
	assert_int_equal(bed_write(&bed, set_day, &day), ERR_OK);
	struct prune p = { .day = 10, .rows = 100 };
	assert_int_equal(bed_write(&bed, prune, &p), ERR_OK);
	read = read_begin(bed.store);
	assert_int_equal(remote_reported_day(read), 9);
	place = (struct remote_place){ 0 };
	assert_true(remote_result_next(read, &place, &arena, &result));
	assert_int_equal(result.day, 10);
	read_end(&read);
	arena_fini(&arena);
	bed_end(&bed);
}

static void a_domain_has_so_many_results_at_most(void **state)
{
	struct bed bed;
	bed_begin(&bed, STORE_ADMIN);
	char what[16];
	struct remote_result result = { .day = 1, .domain = SLICE("a.example"), .count = 1 };
	for (unsigned i = 0; i <= REMOTE_RESULTS_MAX; i++) {
		snprintf(what, sizeof(what), "%u", i);
		result.what = slice_cstr(what);
		assert_int_equal(bed_write(&bed, add_result, &result),
				 i < REMOTE_RESULTS_MAX ? ERR_OK : ERR_LIMIT);
	}
	/* One that is known counts on, and so does another domain. */
	result.what = SLICE("0");
	assert_int_equal(bed_write(&bed, add_result, &result), ERR_OK);
	result.domain = SLICE("b.example");
	assert_int_equal(bed_write(&bed, add_result, &result), ERR_OK);
	bed_end(&bed);
}

static enum err add_many(struct write *write, void *arg)
{
	const unsigned *count = arg;
	enum err err = ERR_OK;
	char name[32];
	for (unsigned i = 0; i < *count && err == ERR_OK; i++) {
		snprintf(name, sizeof(name), "d%u.example", i);
		const struct remote_policy policy = { .id = SLICE("a1"),
						      .text = SLICE("text"),
						      .expires_unix = 1000 + i % 2 * 2000 };
		const struct remote_level level = { .level = 1 };
		const struct remote_result results[] = {
			{ 8, slice_cstr(name), SLICE("x"), 1 },
			{ 9, slice_cstr(name), SLICE("x"), 1 },
		};
		err = remote_policy_put(write, slice_cstr(name), &policy);
		if (err == ERR_OK)
			err = remote_level_put(write, slice_cstr(name), &level);
		for (size_t k = 0; k < 2 && err == ERR_OK; k++)
			err = remote_result_add(write, &results[k]);
	}
	return err;
}

static uint64_t all_rows(const struct bed *bed)
{
	uint64_t rows, octets;
	struct read *read = read_begin(bed->store);
	db_extent(read, DB_REMOTE, &rows, &octets);
	read_end(&read);
	return rows;
}

/* A step of it never holds up the writer for long, and it comes to its end. */
static void it_is_pruned_step_by_step(void **state)
{
	enum { MANY = 100, ROWS = 30 };
	struct bed bed;
	struct prune p = { .day = 9, .now_unix = 2000, .rows = ROWS };
	unsigned count = MANY;
	bed_begin(&bed, STORE_ADMIN);
	assert_int_equal(bed_write(&bed, add_many, &count), ERR_OK);
	assert_int_equal(all_rows(&bed), 4 * MANY);
	for (unsigned steps = 1; !p.walk.is_over; steps++) {
		uint64_t before = all_rows(&bed);
		assert_int_equal(bed_write(&bed, prune, &p), ERR_OK);
		assert_in_range(before - all_rows(&bed), 0, ROWS);
		/* Old results, all policies, all levels; the results that stay are not looked at. */
		assert_in_range(steps, 1, 3 * MANY / ROWS + 2);
	}
	assert_int_equal(all_rows(&bed), MANY / 2 + MANY + MANY);
	/* And anew. */
	p.now_unix = 4000;
	p.rows = 1000;
	assert_int_equal(bed_write(&bed, prune, &p), ERR_OK);
	assert_true(p.walk.is_over);
	assert_int_equal(all_rows(&bed), MANY + MANY);
	bed_end(&bed);
}

/* Who has mail sent to invented domains does not fill the disk with them; of those that are known, all
 * goes on. */
static void all_of_it_has_an_end(void **state)
{
	struct bed bed;
	bed_begin(&bed, STORE_ADMIN);
	struct remote_result result = {
		.day = 1, .domain = SLICE("a.example"), .what = SLICE("x"), .count = 1
	};
	struct remote_level level = { .level = 1, .reached_unix = 3000 };
	struct remote_policy policy = { .id = SLICE("a1"), .text = SLICE("a text") };
	assert_int_equal(bed_write(&bed, add_result, &result), ERR_OK);
	assert_int_equal(bed_write(&bed, put_policy, &policy), ERR_OK);
	more_pages = REMOTE_MAX_OCTETS / 4096;
	assert_int_equal(bed_write(&bed, add_result, &result), ERR_OK);
	assert_int_equal(bed_write(&bed, put_policy, &policy), ERR_OK);
	policy.text = SLICE("a longer text");
	assert_int_equal(bed_write(&bed, put_policy, &policy), ERR_LIMIT);
	assert_int_equal(bed_write(&bed, put_level, &level), ERR_LIMIT);
	result.domain = SLICE("b.example");
	assert_int_equal(bed_write(&bed, add_result, &result), ERR_LIMIT);
	more_pages = 0;
	assert_int_equal(bed_write(&bed, add_result, &result), ERR_OK);
	/* And a domain is one. */
	result.domain = SLICE("a.example\r\nBcc: b@example");
	assert_int_equal(bed_write(&bed, add_result, &result), ERR_BAD_INPUT);
	bed_end(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(policies_and_levels_are_found_again),
		cmocka_unit_test(results_are_counted_by_day_and_domain),
		cmocka_unit_test(a_domain_has_so_many_results_at_most),
		cmocka_unit_test(it_is_pruned_step_by_step),
		cmocka_unit_test(all_of_it_has_an_end),
	};
	log_set_level(LOG_NOTHING);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
