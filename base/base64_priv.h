/* base/base64_priv.h - the part of base64 that a processor may do many octets at a time. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Encodes some of so many lines, from the first on, and says how many: 0 where the processor cannot,
 * or where they are short. Each has `groups` groups of three octets, and gets its CRLF. `readable`
 * octets may be read from `octets` on; some more than the lines have are of use. */
size_t base64_encode_lines_wide(const uint8_t *octets, size_t lines, size_t groups, size_t readable,
				uint8_t *text);
