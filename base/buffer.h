/* base/buffer.h - bytes that grow: replies on their way out, records being built.
 *
 * Zero-initialised it is empty and owns nothing. One thread at a time. */
#pragma once

#include <stdarg.h>

#include "base/attributes.h"
#include "base/slice.h"

struct buffer {
	uint8_t *data;
	size_t len; /* octets in use */
	size_t cap; /* octets allocated */
};

static inline struct slice buffer_slice(const struct buffer *b)
{
	return slice_of(b->data, b->len);
}

/* Room for `more` octets behind what is there; returns where they go. The caller adds
 * what it wrote to b->len. */
uint8_t *buffer_reserve(struct buffer *b, size_t more);
void buffer_add(struct buffer *b, struct slice s);
void buffer_add_cstr(struct buffer *b, const char *text);
void buffer_add_byte(struct buffer *b, uint8_t byte);
void buffer_add_u64(struct buffer *b, uint64_t number); /* decimal */
void buffer_add_format(struct buffer *b, const char *format, ...) PRINTF_LIKE(2, 3);
/* Binary, big-endian: the order of LMDB's keys and of everything we store or send. */
void buffer_add_be16(struct buffer *b, uint16_t number);
void buffer_add_be32(struct buffer *b, uint32_t number);
void buffer_add_be64(struct buffer *b, uint64_t number);
/* be32 length, then the octets. */
void buffer_add_block(struct buffer *b, struct slice s);
/* Takes the first `len` octets away. */
void buffer_drop_front(struct buffer *b, size_t len);
void buffer_clear(struct buffer *b); /* keeps the memory */
void buffer_free(struct buffer *b);  /* gives it back; the buffer may be used again */
void buffer_wipe(struct buffer *b);  /* overwrites, then frees */
