/* mail/mutf7.c - mailbox names of IMAP4rev1 in modified UTF-7.
 *
 * RFC 3501 section 5.1.3. A name has exactly one encoding: decoding takes no other, or two
 * names could lead to one mailbox. Runs in both. */
#include "mail/text_priv.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

static bool stands_for_itself(uint8_t c)
{
	return c >= 0x20 && c <= 0x7e;
}

/* The character that `s` starts with; `s` is well-formed. */
static uint32_t character_at(struct slice s, size_t len)
{
	uint32_t c = len == 1 ? s.ptr[0] : s.ptr[0] & (0xffu >> (len + 1));
	for (size_t i = 1; i < len; i++)
		c = c << 6 | (s.ptr[i] & 0x3f);
	return c;
}

struct bits {
	uint32_t value; /* the lowest `count` are not yet written */
	unsigned count;
};

static void add_unit(struct bits *bits, uint32_t unit, struct buffer *name)
{
	bits->value = bits->value << 16 | unit;
	for (bits->count += 16; bits->count >= 6; bits->count -= 6)
		buffer_add_byte(name, (uint8_t)alphabet[bits->value >> (bits->count - 6) & 63]);
}

/* What does not stand for itself, from the start of `s` on, as "&" base64 "-". Gives its
 * length. */
static size_t encode_run(struct slice s, struct buffer *name)
{
	struct bits bits = { 0 };
	size_t at = 0;
	buffer_add_byte(name, '&');
	while (at < s.len && !stands_for_itself(s.ptr[at])) {
		struct slice rest = slice_sub(s, at, 4);
		size_t len = text_utf8_len(rest);
		uint32_t c = character_at(rest, len);
		if (c >= 0x10000) {
			add_unit(&bits, 0xd800 + ((c - 0x10000) >> 10), name);
			c = 0xdc00 + (c & 0x3ff);
		}
		add_unit(&bits, c, name);
		at += len;
	}
	if (bits.count)
		buffer_add_byte(name, (uint8_t)alphabet[bits.value << (6 - bits.count) & 63]);
	buffer_add_byte(name, '-');
	return at;
}

bool mutf7_encode(struct slice utf8, struct buffer *name)
{
	if (!text_is_utf8(utf8))
		return false;
	for (size_t i = 0; i < utf8.len;) {
		if (!stands_for_itself(utf8.ptr[i])) {
			i += encode_run(slice_sub(utf8, i, utf8.len), name);
			continue;
		}
		buffer_add_byte(name, utf8.ptr[i]);
		if (utf8.ptr[i++] == '&')
			buffer_add_byte(name, '-');
	}
	return true;
}

static void add_character(uint32_t c, struct buffer *utf8)
{
	if (c < 0x80) {
		buffer_add_byte(utf8, (uint8_t)c);
		return;
	}
	int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
	buffer_add_byte(utf8, (uint8_t)(0xff00u >> (more + 1) | c >> (6 * more)));
	while (more--)
		buffer_add_byte(utf8, (uint8_t)(0x80 | (c >> (6 * more) & 0x3f)));
}

/* The UTF-16 units of base64 text. False for another character or half a surrogate pair. */
static bool decode_run(struct slice text, struct buffer *utf8)
{
	uint32_t value = 0, high = 0;
	unsigned count = 0;
	for (size_t i = 0; i < text.len; i++) {
		const char *found = text.ptr[i] ? strchr(alphabet, text.ptr[i]) : NULL;
		if (!found)
			return false;
		value = value << 6 | (uint32_t)(found - alphabet);
		count += 6;
		if (count < 16)
			continue;
		count -= 16;
		uint32_t unit = value >> count & 0xffff;
		bool is_high = (unit & 0xfc00) == 0xd800, is_low = (unit & 0xfc00) == 0xdc00;
		if (is_low != (high != 0))
			return false;
		if (is_low)
			add_character(0x10000 + ((high & 0x3ff) << 10) + (unit & 0x3ff), utf8);
		else if (!is_high)
			add_character(unit, utf8);
		high = is_high ? unit : 0;
	}
	return high == 0;
}

static bool decode(struct slice name, struct buffer *utf8)
{
	for (size_t i = 0; i < name.len; i++) {
		if (!stands_for_itself(name.ptr[i]))
			return false;
		if (name.ptr[i] != '&') {
			buffer_add_byte(utf8, name.ptr[i]);
			continue;
		}
		size_t end = slice_find_byte(name, ++i, '-');
		if (end == name.len)
			return false;
		if (end == i)
			buffer_add_byte(utf8, '&');
		else if (!decode_run(slice_sub(name, i, end - i), utf8))
			return false;
		i = end;
	}
	return true;
}

bool mutf7_decode(struct slice name, struct buffer *utf8)
{
	size_t before = utf8->len;
	struct buffer again = { 0 };
	/* All other rules, on unused bits, needless shifts and ASCII in base64, come to this: what
	 * it means is encoded so and not otherwise. */
	bool ok = decode(name, utf8) &&
		  mutf7_encode(slice_sub(buffer_slice(utf8), before, utf8->len), &again) &&
		  slice_eq(buffer_slice(&again), name);
	if (!ok)
		utf8->len = before;
	buffer_free(&again);
	return ok;
}
