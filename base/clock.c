/* base/clock.c - the machine's clocks, or the test's. */
#include "base/clock.h"

#include <stdatomic.h>
#include <time.h>

static _Atomic int64_t fake_unix_ms = -1;

static int64_t read_ms(clockid_t id)
{
	struct timespec now;
	clock_gettime(id, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t clock_unix_ms(void)
{
	int64_t fake = atomic_load_explicit(&fake_unix_ms, memory_order_relaxed);
	return fake >= 0 ? fake : read_ms(CLOCK_REALTIME);
}

int64_t clock_unix(void)
{
	return clock_unix_ms() / 1000;
}

uint64_t clock_monotonic_ms(void)
{
	int64_t fake = atomic_load_explicit(&fake_unix_ms, memory_order_relaxed);
	return (uint64_t)(fake >= 0 ? fake : read_ms(CLOCK_MONOTONIC));
}

void clock_set_fake_unix_ms(int64_t unix_ms)
{
	atomic_store_explicit(&fake_unix_ms, unix_ms, memory_order_relaxed);
}
