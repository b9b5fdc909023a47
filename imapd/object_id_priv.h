/* imapd/object_id_priv.h - object identifiers on the wire (RFC 8474): a letter for what it
 * names, "M" a message's content, "T" a thread, "F" a mailbox, and the store's number in
 * hexadecimal, which is never given twice. In the back. */
#pragma once

#include "base/buffer.h"

static inline void respond_object_id(struct buffer *out, char kind, uint64_t number)
{
	buffer_add_format(out, "%c%llx", kind, (unsigned long long)number);
}

/* "(" objectid ")" */
static inline void respond_object_id_list(struct buffer *out, char kind, uint64_t number)
{
	buffer_add_byte(out, '(');
	respond_object_id(out, kind, number);
	buffer_add_byte(out, ')');
}

/* 0 where it is none that respond_object_id() could have written. */
static inline uint64_t object_id_parse(char kind, struct slice id)
{
	uint64_t number = 0;
	if (id.len < 2 || id.len > 17 || id.ptr[0] != (uint8_t)kind || id.ptr[1] == '0')
		return 0;
	for (size_t i = 1; i < id.len; i++) {
		uint8_t c = id.ptr[i];
		if (!ascii_is_digit(c) && !(c >= 'a' && c <= 'f'))
			return 0;
		number = number << 4 | (ascii_is_digit(c) ? c - '0' : c - 'a' + 10);
	}
	return number;
}
