/* imapd/compression.c - DEFLATE between a client and its session (RFC 4978), and COMPRESS, which
 * begins it. In the back.
 *
 * The session deflates, the front encrypts: the order that section 3 asks for, and the process
 * that strangers reach runs no decompressor. zlib's state is large, so a session that waits for
 * its client keeps only the ends of both streams and gives them to new states as their
 * dictionaries. That is all that the peer's state refers to: after a flush our stream stands
 * between two blocks, and so does the client's wherever we find it so. */
#include "imapd/compression_priv.h"

#include <assert.h>
#include <stdlib.h>
#include <zlib.h>

#include "base/heap.h"
#include "imapd/grammar_priv.h"
#include "imapd/session_priv.h"

enum {
	PIECE_OCTETS = 16 * 1024,
	LEVEL = 1,	       /* mail is mostly base64: what more effort brings is little */
	WINDOW_BITS_OUT = -13, /* raw DEFLATE; 8 KiB */
	MEMORY_LEVEL = 6,
	WINDOW_BITS_IN = -15, /* the client's choice: all that there is */
	WINDOW_MAX_OCTETS = 32 * 1024,
	KEPT_OUT_OCTETS = 4 * 1024,
	BETWEEN_BLOCKS = 128, /* of z_stream.data_type, after inflate() */
	LAST_BLOCK = 64,
	UNUSED_BITS = 7,
};

struct compression {
	z_stream deflater, inflater;
	bool has_deflater, has_inflater;
	bool inflater_is_full;	   /* it stopped because its room was used up */
	struct buffer plain;	   /* inflated */
	struct buffer said, heard; /* the ends of both streams, while there are no states */
};

static void *zlib_alloc(void *user, unsigned items, unsigned size)
{
	return heap_alloc((size_t)items * size);
}

static void zlib_free(void *user, void *memory)
{
	free(memory);
}

struct compression *compression_new(void)
{
	return heap_alloc(sizeof(struct compression));
}

static void end_deflater(struct compression *c)
{
	if (c->has_deflater)
		(void)deflateEnd(&c->deflater);
	c->has_deflater = false;
}

static void end_inflater(struct compression *c)
{
	if (c->has_inflater)
		(void)inflateEnd(&c->inflater);
	c->has_inflater = false;
}

void compression_free(struct compression **at)
{
	struct compression *c = *at;
	if (!c)
		return;
	*at = NULL;
	end_deflater(c);
	end_inflater(c);
	buffer_free(&c->plain);
	buffer_free(&c->said);
	buffer_free(&c->heard);
	free(c);
}

struct buffer *compression_plain(struct compression *c)
{
	return &c->plain;
}

/* ---- what the client says ---- */

static void begin_inflater(struct compression *c)
{
	c->inflater = (z_stream){ .zalloc = zlib_alloc, .zfree = zlib_free };
	int code = inflateInit2(&c->inflater, WINDOW_BITS_IN);
	if (code == Z_OK && c->heard.len > 0)
		code = inflateSetDictionary(&c->inflater, c->heard.data, (uInt)c->heard.len);
	assert(code == Z_OK);
	buffer_free(&c->heard);
	c->has_inflater = true;
}

bool compression_take(struct compression *c, struct cursor *in)
{
	struct slice octets = cursor_rest(in);
	if (octets.len == 0 && !c->inflater_is_full)
		return true;
	if (!c->has_inflater)
		begin_inflater(c);
	if (octets.len > PIECE_OCTETS)
		octets.len = PIECE_OCTETS;
	/* zlib only reads here, but does not say so. */
	c->inflater.next_in = (Bytef *)(uintptr_t)octets.ptr;
	c->inflater.avail_in = (uInt)octets.len;
	c->inflater.next_out = buffer_reserve(&c->plain, PIECE_OCTETS);
	c->inflater.avail_out = PIECE_OCTETS;
	/* Not beyond a block: behind one the stream may end (compression_take_end()). */
	int code = inflate(&c->inflater, Z_BLOCK);
	c->plain.len += PIECE_OCTETS - c->inflater.avail_out;
	c->inflater_is_full = c->inflater.avail_out == 0;
	in->at += octets.len - c->inflater.avail_in;
	/* Z_BUF_ERROR: there was nothing to do. */
	return code == Z_OK || code == Z_BUF_ERROR;
}

static bool is_between_blocks(const struct compression *c)
{
	return c->has_inflater && (c->inflater.data_type & BETWEEN_BLOCKS) && !c->inflater_is_full;
}

/* Z_FINISH marks the last block. A client may be content with Z_SYNC_FLUSH, which puts an empty block
 * behind what was said and ends with a whole octet; or close its stream afterwards, with one more.
 * So only the octet that follows tells: an empty block begins with one that is below any that a
 * command begins with. */
enum compression_end compression_take_end(struct compression *c, struct cursor *in)
{
	enum { FIRST_OF_COMMAND = 0x20 };
	while (c->plain.len == 0) {
		unsigned bits = (unsigned)c->inflater.data_type;
		bool is_between = is_between_blocks(c);
		if (is_between && (bits & LAST_BLOCK))
			return COMPRESSION_ENDED;
		if (is_between && !(bits & UNUSED_BITS) && !at_end(in) &&
		    *in->at >= FIRST_OF_COMMAND)
			return COMPRESSION_ENDED;
		if (at_end(in) && !c->inflater_is_full)
			return COMPRESSION_GOES_ON;
		if (!compression_take(c, in))
			return COMPRESSION_BROKEN;
	}
	return COMPRESSION_BROKEN;
}

/* ---- what we say ---- */

static void begin_deflater(struct compression *c)
{
	c->deflater = (z_stream){ .zalloc = zlib_alloc, .zfree = zlib_free };
	int code = deflateInit2(&c->deflater, LEVEL, Z_DEFLATED, WINDOW_BITS_OUT, MEMORY_LEVEL,
				Z_DEFAULT_STRATEGY);
	if (code == Z_OK && c->said.len > 0)
		code = deflateSetDictionary(&c->deflater, c->said.data, (uInt)c->said.len);
	assert(code == Z_OK);
	buffer_free(&c->said);
	c->has_deflater = true;
}

void compression_send(struct compression *c, struct buffer *out, size_t from, bool is_last)
{
	struct buffer plain = { 0 };
	if (out->len == from)
		return;
	if (!c->has_deflater)
		begin_deflater(c);
	buffer_add(&plain, slice_of(out->data + from, out->len - from));
	out->len = from;
	c->deflater.next_in = plain.data;
	c->deflater.avail_in = (uInt)plain.len;
	do {
		c->deflater.next_out = buffer_reserve(out, PIECE_OCTETS);
		c->deflater.avail_out = PIECE_OCTETS;
		int code = deflate(&c->deflater, is_last ? Z_FINISH : Z_SYNC_FLUSH);
		assert(code == Z_OK || code == Z_BUF_ERROR || (is_last && code == Z_STREAM_END));
		out->len += PIECE_OCTETS - c->deflater.avail_out;
	} while (c->deflater.avail_out == 0);
	buffer_free(&plain);
}

/* ---- between commands ---- */

void compression_rest(struct compression *c)
{
	uint8_t *window = NULL;
	uInt len = 0;
	if (c->plain.len == 0)
		buffer_free(&c->plain);
	if (c->has_deflater || c->has_inflater)
		window = heap_alloc(WINDOW_MAX_OCTETS);
	if (c->has_deflater && deflateGetDictionary(&c->deflater, window, &len) == Z_OK) {
		size_t kept = len < KEPT_OUT_OCTETS ? len : KEPT_OUT_OCTETS;
		buffer_add(&c->said, slice_of(window + len - kept, kept));
		end_deflater(c);
	}
	bool is_between =
		is_between_blocks(c) && !(c->inflater.data_type & (LAST_BLOCK | UNUSED_BITS));
	if (is_between && inflateGetDictionary(&c->inflater, window, &len) == Z_OK) {
		buffer_add(&c->heard, slice_of(window, len));
		end_inflater(c);
	}
	free(window);
}

/* ---- COMPRESS ---- */

static enum step begin(struct imap_session *s, struct cursor *in)
{
	/* It would not be known where compressed data begins (RFC 4978 section 3). */
	if (!at_end(in))
		return imap_bad(s, "Nothing may follow COMPRESS before its answer");
	s->begins_compression = true;
	return imap_ok(s, "DEFLATE is active from here on");
}

enum step imap_compress(struct imap_session *s, struct cursor *args, bool uid)
{
	if (!take_keyword(args, "DEFLATE") || !at_end(args))
		return imap_bad(s, "COMPRESS knows DEFLATE");
	if (s->compression)
		return imap_no(s, "[COMPRESSIONACTIVE] DEFLATE is active already");
	s->running = begin;
	return STEP_AGAIN;
}
