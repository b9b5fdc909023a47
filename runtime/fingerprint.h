/* runtime/fingerprint.h - SHA-256 of a few pieces, cut short: to know octets again, also those
 * of a stranger who would like two things to look alike. Any thread. */
#pragma once

#include "base/slice.h"

/* Of the pieces and where each ends; the first `len` octets of the hash, which has 32. */
void fingerprint(const struct slice *pieces, size_t count, uint8_t *out, size_t len);
