/* base/random.h - unpredictable octets from the kernel (getrandom). Any thread, and
 * inside the sandbox. */
#pragma once

#include <stddef.h>
#include <stdint.h>

void random_octets(void *out, size_t len);
uint32_t random_u32(void);
uint64_t random_u64(void);
