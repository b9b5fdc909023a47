/* tests/unit/runtime/loop.c - tasks in order, timers, deadlines, the pool. */
#include "tests/unit/unit.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>

#include "base/attributes.h"
#include "runtime/loop.h"
#include "runtime/loop_priv.h"
#include "runtime/pool.h"

enum { TASKS = 1000 };

struct numbered {
	struct task task;
	struct loop *loop;
	unsigned number;
	unsigned *seen;
};

static void on_numbered(struct task *task)
{
	struct numbered *n = CONTAINER_OF(task, struct numbered, task);
	assert_int_equal(n->number, *n->seen);
	++*n->seen;
	if (n->number == TASKS - 1)
		loop_stop(n->loop);
}

static void *post_all(void *arg)
{
	struct numbered *all = arg;
	for (unsigned i = 0; i < TASKS; i++)
		loop_post(all[i].loop, &all[i].task);
	return NULL;
}

static void test_post_keeps_order(void **state)
{
	static struct numbered all[TASKS];
	unsigned seen = 0;
	struct loop *loop = loop_new(3);
	assert_int_equal(loop_index(loop), 3);
	for (unsigned i = 0; i < TASKS; i++)
		all[i] = (struct numbered){ { .run = on_numbered }, loop, i, &seen };
	pthread_t thread;
	pthread_create(&thread, NULL, post_all, all);
	loop_run(loop);
	pthread_join(thread, NULL);
	assert_int_equal(seen, TASKS);
	loop_free(loop);
}

struct chain {
	struct task task;
	struct loop *loop;
	unsigned left;
};

static void on_chain(struct task *task)
{
	struct chain *chain = CONTAINER_OF(task, struct chain, task);
	if (--chain->left)
		loop_later(chain->loop, task); /* a task may be added again as it runs */
}

static void test_later_does_not_wait(void **state)
{
	struct loop *loop = loop_new(0);
	struct chain chain = { { .run = on_chain }, loop, 5 };
	loop_later(loop, &chain.task);
	/* Were the loop to wait, each of these would last ten seconds and the test's limit pass. */
	for (unsigned i = 0; i < 40 && chain.left; i++)
		loop_run_once(loop, chain.left > 1 ? 10000 : 0);
	assert_int_equal(chain.left, 0);
	loop_free(loop);
}

static void on_fired(void *user)
{
	++*(unsigned *)user;
}

static void test_timer(void **state)
{
	unsigned fired = 0, never = 0;
	struct loop *loop = loop_new(0);
	struct timer *timer = timer_new(loop, on_fired, &fired);
	struct timer *stopped = timer_new(loop, on_fired, &never);
	timer_start(stopped, 1);
	timer_stop(stopped);
	timer_start(timer, 3600000);
	timer_start(timer, 1);
	while (!fired)
		loop_run_once(loop, 1000);
	for (unsigned i = 0; i < 5; i++)
		loop_run_once(loop, 2);
	assert_int_equal(fired, 1);
	assert_int_equal(never, 0);
	timer_free(&timer);
	timer_free(&stopped);
	timer_free(&timer);
	loop_free(loop);
}

enum { DEADLINES = 500 };
struct moment {
	struct deadline deadline;
	bool cleared;
};
static uint64_t latest_ms;
static unsigned passed_count;

static void on_passed(struct deadline *deadline)
{
	assert_true(deadline->at_ms >= latest_ms);
	assert_false(CONTAINER_OF(deadline, struct moment, deadline)->cleared);
	latest_ms = deadline->at_ms;
	passed_count++;
}

static void test_deadlines_pass_in_order(void **state)
{
	static struct moment moments[DEADLINES];
	struct loop *loop = loop_new(0);
	unsigned expected = 0;
	srand(7);
	for (unsigned i = 0; i < DEADLINES; i++) {
		moments[i].deadline.passed = on_passed;
		deadline_set(loop, &moments[i].deadline,
			     loop_now_ms(loop) + (unsigned)rand() % 1000);
	}
	/* Move all of them, and take every third out. */
	for (unsigned i = 0; i < DEADLINES; i++) {
		deadline_set(loop, &moments[i].deadline, loop_now_ms(loop) + (unsigned)rand() % 50);
		moments[i].cleared = i % 3 == 0;
		if (moments[i].cleared)
			deadline_clear(loop, &moments[i].deadline);
		else
			expected++;
	}
	while (passed_count < expected)
		loop_run_once(loop, 1000);
	loop_run_once(loop, 0);
	assert_int_equal(passed_count, expected);
	loop_free(loop);
}

struct sum {
	struct work work;
	uint64_t result;
	unsigned *done;
	pthread_t ran_on;
};

static void sum_run(struct work *work)
{
	struct sum *sum = CONTAINER_OF(work, struct sum, work);
	for (uint64_t i = 1; i <= 1000; i++)
		sum->result += i;
	sum->ran_on = pthread_self();
}

static void sum_done(struct work *work)
{
	struct sum *sum = CONTAINER_OF(work, struct sum, work);
	assert_int_equal(sum->result, 500500);
	assert_false(pthread_equal(sum->ran_on, pthread_self()));
	++*sum->done;
}

static void test_pool(void **state)
{
	struct loop *loop = loop_new(0);
	struct sum sums[8] = { 0 };
	unsigned done = 0;
	pool_set_threads(2);
	for (unsigned i = 0; i < ARRAY_LEN(sums); i++) {
		sums[i] = (struct sum){ { .run = sum_run, .done = sum_done }, 0, &done, 0 };
		pool_submit(loop, &sums[i].work);
	}
	while (done < ARRAY_LEN(sums))
		loop_run_once(loop, 1000);
	assert_false(pool_is_busy());
	loop_free(loop);
}

struct gate {
	struct work work;
	sem_t open;
	bool is_passed;
};

static void pass_gate(struct work *work)
{
	sem_wait(&CONTAINER_OF(work, struct gate, work)->open);
}

static void gate_passed(struct work *work)
{
	CONTAINER_OF(work, struct gate, work)->is_passed = true;
}

/* Two workers, as above: libuv starts them once. */
static void test_pool_is_busy(void **state)
{
	struct loop *loop = loop_new(0);
	struct gate gates[2] = { 0 };
	for (unsigned i = 0; i < ARRAY_LEN(gates); i++) {
		assert_false(pool_is_busy());
		sem_init(&gates[i].open, 0, 0);
		gates[i].work = (struct work){ .run = pass_gate, .done = gate_passed };
		pool_submit(loop, &gates[i].work);
	}
	assert_true(pool_is_busy());
	sem_post(&gates[1].open);
	while (!gates[1].is_passed)
		loop_run_once(loop, 1000);
	assert_false(pool_is_busy());
	sem_post(&gates[0].open);
	while (!gates[0].is_passed)
		loop_run_once(loop, 1000);
	loop_free(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_post_keeps_order),
		cmocka_unit_test(test_later_does_not_wait),
		cmocka_unit_test(test_timer),
		cmocka_unit_test(test_deadlines_pass_in_order),
		cmocka_unit_test(test_pool),
		cmocka_unit_test(test_pool_is_busy),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
