/* base/arena.c - a chain of blocks, the newest first. */
#include "base/arena.h"

#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/heap.h"

enum { FIRST_BLOCK_OCTETS = 1024, MOST_BLOCK_OCTETS = 64 * 1024 };

struct arena_block {
	struct arena_block *older;
	size_t size_octets; /* of data */
	size_t used_octets;
	alignas(max_align_t) uint8_t data[];
};

static struct arena_block *add_block(struct arena *arena, size_t needed_octets)
{
	size_t size = arena->newest ? arena->newest->size_octets * 2 : FIRST_BLOCK_OCTETS;
	if (size > MOST_BLOCK_OCTETS)
		size = MOST_BLOCK_OCTETS;
	if (size < needed_octets)
		size = needed_octets;
	struct arena_block *block = heap_alloc(sizeof(*block) + size);
	block->size_octets = size;
	block->older = arena->newest;
	arena->newest = block;
	return block;
}

void *arena_alloc(struct arena *arena, size_t size_octets)
{
	size_t step = alignof(max_align_t);
	size_t rounded = (size_octets + step - 1) / step * step;
	if (rounded < size_octets)
		abort();
	struct arena_block *block = arena->newest;
	if (!block || block->size_octets - block->used_octets < rounded)
		block = add_block(arena, rounded);
	void *ptr = block->data + block->used_octets;
	block->used_octets += rounded;
	return ptr;
}

void *arena_alloc_array(struct arena *arena, size_t count, size_t size_octets)
{
	size_t total;
	if (__builtin_mul_overflow(count, size_octets, &total))
		abort();
	return arena_alloc(arena, total);
}

struct slice arena_copy(struct arena *arena, struct slice s)
{
	return slice_of(arena_string(arena, s), s.len);
}

struct slice arena_lower(struct arena *arena, struct slice s)
{
	uint8_t *text = arena_alloc(arena, s.len);
	for (size_t i = 0; i < s.len; i++)
		text[i] = ascii_lower(s.ptr[i]);
	return slice_of(text, s.len);
}

char *arena_string(struct arena *arena, struct slice s)
{
	char *copy = arena_alloc(arena, s.len + 1);
	if (s.len)
		memcpy(copy, s.ptr, s.len);
	return copy;
}

char *arena_format(struct arena *arena, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int len = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (len < 0)
		abort();
	char *text = arena_alloc(arena, (size_t)len + 1);
	va_start(args, format);
	vsnprintf(text, (size_t)len + 1, format, args);
	va_end(args);
	return text;
}

static void free_from(struct arena_block *block, bool wipe_first)
{
	while (block) {
		struct arena_block *older = block->older;
		if (wipe_first)
			wipe(block->data, block->used_octets);
		free(block);
		block = older;
	}
}

void arena_reset(struct arena *arena)
{
	struct arena_block *block = arena->newest;
	if (!block)
		return;
	free_from(block->older, false);
	block->older = NULL;
	if (block->size_octets > 4 * FIRST_BLOCK_OCTETS) {
		free(block);
		arena->newest = NULL;
		return;
	}
	memset(block->data, 0, block->used_octets);
	block->used_octets = 0;
}

void arena_fini(struct arena *arena)
{
	free_from(arena->newest, false);
	arena->newest = NULL;
}

void arena_wipe(struct arena *arena)
{
	free_from(arena->newest, true);
	arena->newest = NULL;
}
