/* base/buffer.c - bytes that grow. */
#include "base/buffer.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/heap.h"
#include "base/octets.h"

uint8_t *buffer_reserve(struct buffer *b, size_t more)
{
	if (more > b->cap - b->len) {
		size_t cap = b->cap ? b->cap : 64;
		if (more > SIZE_MAX / 4 - b->len)
			abort();
		while (cap - b->len < more)
			cap *= 2;
		b->data = heap_resize(b->data, cap);
		b->cap = cap;
	}
	return b->data + b->len;
}

void buffer_add(struct buffer *b, struct slice s)
{
	if (s.len == 0)
		return;
	uint8_t *at = s.len <= b->cap - b->len ? b->data + b->len : buffer_reserve(b, s.len);
	memcpy(at, s.ptr, s.len);
	b->len += s.len;
}

void buffer_add_cstr(struct buffer *b, const char *text)
{
	buffer_add(b, slice_cstr(text));
}

void buffer_add_byte(struct buffer *b, uint8_t byte)
{
	if (b->len == b->cap)
		buffer_reserve(b, 1);
	b->data[b->len++] = byte;
}

void buffer_add_u64(struct buffer *b, uint64_t number)
{
	uint8_t digits[20];
	size_t at = sizeof(digits);
	do {
		digits[--at] = (uint8_t)('0' + number % 10);
		number /= 10;
	} while (number);
	buffer_add(b, slice_of(digits + at, sizeof(digits) - at));
}

void buffer_add_format(struct buffer *b, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int len = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (len < 0)
		abort();
	uint8_t *at = buffer_reserve(b, (size_t)len + 1);
	va_start(args, format);
	vsnprintf((char *)at, (size_t)len + 1, format, args);
	va_end(args);
	b->len += (size_t)len;
}

void buffer_add_be16(struct buffer *b, uint16_t number)
{
	put_be16(buffer_reserve(b, 2), number);
	b->len += 2;
}

void buffer_add_be32(struct buffer *b, uint32_t number)
{
	put_be32(buffer_reserve(b, 4), number);
	b->len += 4;
}

void buffer_add_be64(struct buffer *b, uint64_t number)
{
	put_be64(buffer_reserve(b, 8), number);
	b->len += 8;
}

void buffer_add_block(struct buffer *b, struct slice s)
{
	if (s.len > UINT32_MAX)
		abort();
	buffer_add_be32(b, (uint32_t)s.len);
	buffer_add(b, s);
}

void buffer_drop_front(struct buffer *b, size_t len)
{
	if (len >= b->len) {
		b->len = 0;
		return;
	}
	memmove(b->data, b->data + len, b->len - len);
	b->len -= len;
}

void buffer_clear(struct buffer *b)
{
	b->len = 0;
}

void buffer_free(struct buffer *b)
{
	free(b->data);
	*b = (struct buffer){ 0 };
}

void buffer_wipe(struct buffer *b)
{
	wipe(b->data, b->cap);
	buffer_free(b);
}
