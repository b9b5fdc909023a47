/* base/clock.h - what time it is; in tests, what time we say it is. Any thread. */
#pragma once

#include <stdint.h>

/* Milliseconds since 1970-01-01T00:00:00Z. */
int64_t clock_unix_ms(void);
/* Seconds since 1970-01-01T00:00:00Z. */
int64_t clock_unix(void);
/* Milliseconds since some moment before the start; never goes back. */
uint64_t clock_monotonic_ms(void);
/* Tests only: both clocks stand still at this time until it is set again; negative
 * lets them run. */
void clock_set_fake_unix_ms(int64_t unix_ms);
