/* base/heap.h - allocation that does not fail.
 *
 * A size from outside meets its limit before it meets an allocator; an allocation
 * that still fails ends the process, so no signature mentions it. Any thread. */
#pragma once

#include <stddef.h>

#include "base/slice.h"

/* Zeroed memory; freed with free(). */
void *heap_alloc(size_t size_octets);
void *heap_alloc_array(size_t count, size_t size_octets);
/* Like realloc: what is new is not zeroed. */
void *heap_resize(void *ptr, size_t size_octets);
void *heap_copy(const void *ptr, size_t size_octets);
/* A NUL-terminated copy; NUL octets inside are kept. */
char *heap_string(struct slice s);
/* Overwrites secrets in a way that the compiler keeps. */
void wipe(void *ptr, size_t size_octets);
