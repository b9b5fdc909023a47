/* tests/unit/storage/crash.c - a process that is killed while it commits: what it had said to be
 * on the disk is there afterwards, whole, and nothing is there twice. */
#include "tests/unit/storage/bed.h"

#include <signal.h>
#include <sys/wait.h>

#include "base/heap.h"
#include "storage/garbage_priv.h"

enum { ROUNDS = 12, JOBS = 8, LARGE_OCTETS = 300000 };

static size_t size_of(unsigned seed)
{
	return seed % 10 == 3 ? LARGE_OCTETS : 200 + seed % 5000;
}

struct delivery {
	struct job job;
	struct bed *bed;
	struct intake *intake;
	unsigned seed;
	int pipe;
};

/* INTERNALDATE says which message it is. */
static enum err delivery_run(struct write *write, struct job *job)
{
	struct delivery *delivery = CONTAINER_OF(job, struct delivery, job);
	struct message_entry entry = { .internal_unix = delivery->seed,
				       .size_octets = intake_size_octets(delivery->intake) };
	uint32_t uid;
	enum err err = intake_commit(write, delivery->intake, &entry.blob_id);
	return err == ERR_OK ? message_append(write, delivery->bed->inbox_id, &entry, NULL, 0, &uid)
			     : err;
}

static void room(void *user)
{
}

static unsigned next_seed;
static struct loop *child_loop;

static void delivery_done(struct job *job);

static void delivery_start(struct delivery *delivery)
{
	static struct buffer text;
	delivery->seed = next_seed++;
	delivery->intake = intake_new(delivery->bed->store, child_loop, room, NULL);
	bed_text(&text, delivery->seed, size_of(delivery->seed));
	if (!intake_feed(delivery->intake, buffer_slice(&text)))
		_exit(3);
	delivery->job =
		(struct job){ .run = delivery_run, .done = delivery_done, .loop = child_loop };
	if (intake_finish(delivery->intake) != ERR_OK)
		_exit(3);
	store_submit(delivery->bed->store, &delivery->job);
}

static void delivery_done(struct job *job)
{
	struct delivery *delivery = CONTAINER_OF(job, struct delivery, job);
	if (job->outcome != ERR_OK || write(delivery->pipe, &delivery->seed,
					    sizeof(delivery->seed)) != sizeof(delivery->seed))
		_exit(4);
	intake_free(&delivery->intake);
	delivery_start(delivery);
}

/* Delivers until it is killed; and one message begins and never ends. */
static void child_main(struct bed *bed, int pipe)
{
	struct delivery deliveries[JOBS];
	bed_open(bed, STORE_SERVE);
	store_start_writer(bed->store);
	child_loop = loop_new(0);
	for (size_t i = 0; i < JOBS; i++) {
		deliveries[i] = (struct delivery){ .bed = bed, .pipe = pipe };
		delivery_start(&deliveries[i]);
	}
	struct buffer text = { 0 };
	bed_text(&text, 1, LARGE_OCTETS);
	intake_feed(intake_new(bed->store, child_loop, room, NULL), buffer_slice(&text));
	for (;;)
		loop_run_once(child_loop, 1000);
}

static uint8_t *acknowledged; /* by seed */
static size_t acknowledged_count, acknowledged_cap;

static void acknowledge(unsigned seed)
{
	if (seed >= acknowledged_cap) {
		size_t cap = seed * 2 + 1000;
		acknowledged = heap_resize(acknowledged, cap);
		memset(acknowledged + acknowledged_cap, 0, cap - acknowledged_cap);
		acknowledged_cap = cap;
	}
	acknowledged[seed] = 1;
	acknowledged_count++;
}

static void check(struct bed *bed)
{
	struct buffer text = { 0 }, out = { 0 };
	struct message_entry entry;
	uint8_t *seen = heap_alloc(next_seed + 1);
	struct read *read = read_begin(bed->store);
	struct message_cursor *cursor = message_cursor_open(read, bed->inbox_id, 1);
	uint32_t uid = 0;
	while (message_cursor_next(cursor, &entry)) {
		unsigned seed = (unsigned)entry.internal_unix;
		assert_int_equal(entry.uid, ++uid);
		assert_in_range(seed, 0, next_seed);
		assert_int_equal(seen[seed], 0);
		seen[seed] = 1;
		buffer_clear(&out);
		assert_int_equal(blob_read(read, entry.blob_id, 0, UINT64_MAX, &out), ERR_OK);
		bed_text(&text, seed, size_of(seed));
		assert_int_equal(out.len, text.len);
		assert_memory_equal(out.data, text.data, text.len);
	}
	message_cursor_close(&cursor);
	read_end(&read);
	for (size_t i = 0; i < acknowledged_cap; i++)
		if (acknowledged[i])
			assert_int_equal(seen[i], 1);
	free(seen);
	buffer_free(&text);
	buffer_free(&out);
}

static void keeps_what_it_said(void **state)
{
	struct bed bed;
	size_t orphans = 0;
	bed_begin(&bed, STORE_CREATE);
	for (unsigned round = 0; round < ROUNDS; round++) {
		int pipes[2];
		unsigned seed;
		store_close(&bed.store);
		assert_int_equal(pipe(pipes), 0);
		pid_t child = fork();
		assert_true(child >= 0);
		if (child == 0) {
			close(pipes[0]);
			child_main(&bed, pipes[1]);
		}
		close(pipes[1]);
		/* So many come through; then at some moment of the next commits. */
		for (unsigned i = 0; i < 40 + round; i++) {
			assert_int_equal(read(pipes[0], &seed, sizeof(seed)), sizeof(seed));
			acknowledge(seed);
		}
		usleep((useconds_t)(random() % 3000));
		assert_int_equal(kill(child, SIGKILL), 0);
		while (read(pipes[0], &seed, sizeof(seed)) == sizeof(seed))
			acknowledge(seed);
		close(pipes[0]);
		int status;
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		next_seed = (unsigned)acknowledged_cap + 1000;

		/* First as it is, then as the next server finds it: swept. */
		bed_open(&bed, STORE_ADMIN);
		orphans += bed_count_rows(&bed, DB_PENDING);
		check(&bed);
		store_close(&bed.store);
		bed_open(&bed, STORE_SERVE);
		assert_int_equal(bed_count_rows(&bed, DB_PENDING), 0);
		struct garbage_walk walk = { 0 };
		uint64_t wait_ms = 0;
		while (wait_ms != UINT64_MAX)
			assert_int_equal(garbage_step(bed.store, &walk, &wait_ms), ERR_OK);
		check(&bed);
		assert_int_equal(bed_count_rows(&bed, DB_GARBAGE), 0);
	}
	assert_true(acknowledged_count > ROUNDS * 40);
	assert_true(orphans >= ROUNDS);
	print_message("# %zu acknowledged, %zu orphans swept\n", acknowledged_count, orphans);
	free(acknowledged);
	bed_end(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_what_it_said),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
