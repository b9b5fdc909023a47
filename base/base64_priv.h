/* base/base64_priv.h - the part of base64 that a processor may do many octets at a time. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Encodes some of `groups` groups of three octets, from the first on, and says how many: 0 where
 * the processor cannot, or where there are few. `readable` octets may be read from `octets` on. */
size_t base64_encode_wide(const uint8_t *octets, size_t groups, size_t readable, uint8_t *text);
