/* tests/unit/test_clock.h - the monotonic clock of a test program, for the libraries in it as well: hours
 * pass when the test says so. It may stand still in between, for what has to be told to the millisecond;
 * then wait with loop_run_once() of 0 ms and test_clock_rest(), for no time-out ends by itself. One test
 * program; the kernel's timers do not know. */
#pragma once

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static atomic_int_fast64_t test_clock_ms; /* ahead of the true one */
static atomic_bool test_clock_stands;

/* In place of the C library's. */
int clock_gettime(clockid_t clock, struct timespec *now)
{
	int failed = (int)syscall(SYS_clock_gettime, clock, now);
	if (clock != CLOCK_MONOTONIC && clock != CLOCK_MONOTONIC_COARSE)
		return failed;
	int64_t ms = atomic_load(&test_clock_ms);
	if (atomic_load(&test_clock_stands))
		*now = (struct timespec){ .tv_sec = 1000 };
	now->tv_sec += ms / 1000;
	now->tv_nsec += ms % 1000 * 1000000;
	if (now->tv_nsec >= 1000000000) {
		now->tv_nsec -= 1000000000;
		now->tv_sec++;
	}
	return failed;
}

/* In place of the C library's, for the kernel waits by its own clock: what is a moment ahead by this one would
 * be hours. Whoever waits here waits by the monotonic clock. */
int pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex,
			   const struct timespec *until)
{
	struct timespec true_until = *until;
	if (!atomic_load(&test_clock_stands)) {
		int64_t ms = atomic_load(&test_clock_ms);
		true_until.tv_sec -= ms / 1000;
		true_until.tv_nsec -= ms % 1000 * 1000000;
		if (true_until.tv_nsec < 0) {
			true_until.tv_nsec += 1000000000;
			true_until.tv_sec--;
		}
	}
	return pthread_cond_clockwait(cond, mutex, CLOCK_MONOTONIC, &true_until);
}

/* Before anything has looked at it. */
static inline void test_clock_stand_still(void)
{
	atomic_store(&test_clock_stands, true);
}

static inline void test_clock_advance(int64_t ms)
{
	atomic_fetch_add(&test_clock_ms, ms);
}

/* A moment for others to do something, before it is looked whether they have. */
static inline void test_clock_rest(void)
{
	(void)poll(NULL, 0, 1);
}
