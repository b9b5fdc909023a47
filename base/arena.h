/* base/arena.h - memory of one life time, freed in one go.
 *
 * There are four life times: process, connection, transaction (MAIL until its
 * final reply), command. An arena belongs to one thread at a time. An empty arena
 * owns no memory, so an idle connection may keep one for nothing. */
#pragma once

#include <stdarg.h>

#include "base/attributes.h"
#include "base/slice.h"

struct arena_block;
struct arena {
	struct arena_block *newest; /* NULL: owns nothing */
};

/* Zeroed, aligned for any type; lives until reset or fini. */
void *arena_alloc(struct arena *arena, size_t size_octets);
void *arena_alloc_array(struct arena *arena, size_t count, size_t size_octets);
struct slice arena_copy(struct arena *arena, struct slice s);
struct slice arena_lower(struct arena *arena, struct slice s); /* ASCII letters in lower case */
char *arena_string(struct arena *arena, struct slice s);       /* with NUL */
char *arena_format(struct arena *arena, const char *format, ...) PRINTF_LIKE(2, 3);
/* Frees everything but one small block, which is used again. */
void arena_reset(struct arena *arena);
/* Frees everything; the arena is empty and may be used again. */
void arena_fini(struct arena *arena);
/* The same, with what it held overwritten first: for arenas that saw a password. */
void arena_wipe(struct arena *arena);
