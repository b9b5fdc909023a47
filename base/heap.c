/* base/heap.c - allocation that does not fail. */
#include "base/heap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *checked(void *ptr, size_t size_octets)
{
	if (!ptr) {
		fprintf(stderr, "bode: out of memory (%zu octets)\n", size_octets);
		abort();
	}
	return ptr;
}

void *heap_alloc(size_t size_octets)
{
	return heap_alloc_array(1, size_octets);
}

void *heap_alloc_array(size_t count, size_t size_octets)
{
	if (count == 0 || size_octets == 0)
		count = size_octets = 1;
	return checked(calloc(count, size_octets), size_octets);
}

void *heap_resize(void *ptr, size_t size_octets)
{
	if (size_octets == 0)
		size_octets = 1;
	return checked(realloc(ptr, size_octets), size_octets);
}

void *heap_copy(const void *ptr, size_t size_octets)
{
	void *copy = checked(malloc(size_octets ? size_octets : 1), size_octets);
	if (size_octets)
		memcpy(copy, ptr, size_octets);
	return copy;
}

char *heap_string(struct slice s)
{
	char *copy = checked(malloc(s.len + 1), s.len + 1);
	if (s.len)
		memcpy(copy, s.ptr, s.len);
	copy[s.len] = '\0';
	return copy;
}

void wipe(void *ptr, size_t size_octets)
{
	if (ptr)
		explicit_bzero(ptr, size_octets);
}
