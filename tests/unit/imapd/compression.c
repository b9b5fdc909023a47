/* tests/unit/imapd/compression.c - DEFLATE against a plain zlib at the other end, resting or not
 * between any two pieces. */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <zlib.h>

#include "imapd/compression_priv.h"

enum { ROUNDS = 300, ROOM = 256 * 1024 };

struct peer {
	z_stream in, out;
	struct buffer said, heard;
};

static void peer_begin(struct peer *peer)
{
	*peer = (struct peer){ 0 };
	assert_int_equal(inflateInit2(&peer->in, -15), Z_OK);
	assert_int_equal(deflateInit2(&peer->out, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
}

static void peer_end(struct peer *peer)
{
	inflateEnd(&peer->in);
	deflateEnd(&peer->out);
	buffer_free(&peer->said);
	buffer_free(&peer->heard);
}

/* Lines that resemble others, of up to some ten thousand octets. */
static void make_text(struct buffer *text)
{
	size_t lines = (size_t)rand() % (rand() % 8 == 0 ? 2000 : 4) + 1;
	for (size_t i = 0; i < lines; i++)
		buffer_add_format(text, "a%d UID FETCH %d:* (FLAGS BODY.PEEK[%d])\r\n", rand() % 9,
				  rand(), rand() % 100);
}

static void to_peer(struct compression *c, struct peer *peer)
{
	struct buffer out = { 0 }, text = { 0 };
	static uint8_t room[ROOM];
	make_text(&text);
	buffer_add_cstr(&out, "plain ");
	buffer_add(&out, buffer_slice(&text));
	compression_send(c, &out, 6, false);
	assert_memory_equal(out.data, "plain ", 6);
	peer->in.next_in = out.data + 6;
	peer->in.avail_in = (uInt)out.len - 6;
	peer->in.next_out = room;
	peer->in.avail_out = ROOM;
	assert_int_equal(inflate(&peer->in, Z_SYNC_FLUSH), Z_OK);
	assert_int_equal(ROOM - peer->in.avail_out, text.len);
	assert_memory_equal(room, text.data, text.len);
	buffer_free(&out);
	buffer_free(&text);
}

/* `may_rest`: also in the middle of what the peer says. */
static void from_peer(struct compression *c, struct peer *peer, bool may_rest)
{
	struct buffer text = { 0 };
	static uint8_t room[ROOM];
	struct buffer *plain = compression_plain(c);
	make_text(&text);
	peer->out.next_in = text.data;
	peer->out.avail_in = (uInt)text.len;
	peer->out.next_out = room;
	peer->out.avail_out = ROOM;
	assert_int_equal(deflate(&peer->out, Z_SYNC_FLUSH), Z_OK);
	size_t len = ROOM - peer->out.avail_out, at = 0;
	buffer_clear(plain);
	while (at < len) {
		size_t piece = (size_t)rand() % 3000 + 1;
		struct cursor in =
			cursor_of(slice_of(room + at, piece < len - at ? piece : len - at));
		at += cursor_left(&in);
		size_t before;
		do {
			before = plain->len;
			assert_true(compression_take(c, &in));
		} while (!at_end(&in) || plain->len > before);
		if (may_rest && rand() % 2)
			compression_rest(c);
	}
	assert_int_equal(plain->len, text.len);
	assert_memory_equal(plain->data, text.data, text.len);
	buffer_clear(plain);
	buffer_free(&text);
}

static void talks_with_zlib(void **state)
{
	srand(1);
	for (int resting = 0; resting < 2; resting++) {
		struct compression *c = compression_new();
		struct peer peer;
		peer_begin(&peer);
		for (int i = 0; i < ROUNDS; i++) {
			from_peer(c, &peer, resting);
			to_peer(c, &peer);
			if (resting && rand() % 2)
				compression_rest(c);
		}
		compression_free(&c);
		peer_end(&peer);
	}
}

/* What a client says last ends its stream, however it flushes, and wherever the network cuts it:
 * what follows is left. */
static void streams_end(void **state)
{
	static const int flushes[][2] = {
		{ Z_FINISH },
		{ Z_SYNC_FLUSH },
		{ Z_FULL_FLUSH },
		{ Z_SYNC_FLUSH, Z_FINISH },
		{ Z_FULL_FLUSH, Z_FINISH },
		{ Z_SYNC_FLUSH, Z_FULL_FLUSH },
		{ Z_PARTIAL_FLUSH, Z_FINISH },
	};
	static const char follows[] = "a1 LOGIN";
	static uint8_t room[ROOM];
	srand(2);
	for (int i = 0; i < ROUNDS; i++) {
		struct compression *c = compression_new();
		struct buffer *plain = compression_plain(c), text = { 0 };
		z_stream out = { 0 };
		size_t at = 0, len, step = i % 3 == 0 ? ROOM : i % 3 == 1 ? 1 : 100;
		enum compression_end end = COMPRESSION_GOES_ON;
		assert_int_equal(deflateInit2(&out, i % 5 ? 9 : 0, Z_DEFLATED, -15, 8, 0), Z_OK);
		make_text(&text);
		out.next_in = text.data;
		out.avail_in = (uInt)text.len;
		out.next_out = room;
		out.avail_out = ROOM;
		const int *flush = flushes[i % 7];
		assert_true(deflate(&out, flush[0]) >= Z_OK);
		if (flush[1] != Z_NO_FLUSH)
			assert_true(deflate(&out, flush[1]) >= Z_OK);
		len = ROOM - out.avail_out;
		assert_true(len + sizeof(follows) <= ROOM);
		memcpy(room + len, follows, sizeof(follows));
		len += sizeof(follows);
		bool is_said = false;
		while (end == COMPRESSION_GOES_ON) {
			assert_true(at < len);
			struct cursor in =
				cursor_of(slice_of(room + at, step < len - at ? step : len - at));
			size_t shown = cursor_left(&in);
			while (!is_said && !at_end(&in)) {
				assert_true(compression_take(c, &in));
				is_said = plain->len == text.len;
			}
			if (is_said) {
				if (plain->len > 0)
					assert_memory_equal(plain->data, text.data, text.len);
				buffer_clear(plain);
				end = compression_take_end(c, &in);
			}
			at += shown - cursor_left(&in);
		}
		assert_int_equal(end, COMPRESSION_ENDED);
		assert_string_equal((const char *)room + at, follows);
		deflateEnd(&out);
		buffer_free(&text);
		compression_free(&c);
	}
}

static void more_after_the_last_word_is_refused(void **state)
{
	struct compression *c = compression_new();
	struct peer peer;
	static uint8_t room[ROOM];
	peer_begin(&peer);
	peer.out.next_in = (Bytef *)(uintptr_t) "a1 NOOP";
	peer.out.avail_in = 7;
	peer.out.next_out = room;
	peer.out.avail_out = ROOM;
	assert_int_equal(deflate(&peer.out, Z_SYNC_FLUSH), Z_OK);
	struct cursor in = cursor_of(slice_of(room, ROOM - peer.out.avail_out));
	assert_int_equal(compression_take_end(c, &in), COMPRESSION_BROKEN);
	compression_free(&c);
	peer_end(&peer);
}

static void small_input_may_be_much(void **state)
{
	struct compression *c = compression_new();
	struct peer peer;
	uint64_t total = 0;
	enum { BOMB = 10 * 1024 * 1024 };
	uint8_t *zeros = calloc(1, BOMB), *room = malloc(ROOM);
	peer_begin(&peer);
	peer.out.next_in = zeros;
	peer.out.avail_in = BOMB;
	peer.out.next_out = room;
	peer.out.avail_out = ROOM;
	assert_int_equal(deflate(&peer.out, Z_SYNC_FLUSH), Z_OK);
	struct cursor in = cursor_of(slice_of(room, ROOM - peer.out.avail_out));
	struct buffer *plain = compression_plain(c);
	do {
		buffer_clear(plain);
		assert_true(compression_take(c, &in));
		assert_true(plain->len <= 16 * 1024); /* a piece at a time */
		total += plain->len;
	} while (plain->len > 0 || !at_end(&in));
	assert_int_equal(total, BOMB);
	free(zeros);
	free(room);
	compression_free(&c);
	peer_end(&peer);
}

static void noise_is_refused(void **state)
{
	struct compression *c = compression_new();
	struct cursor in = cursor_of(SLICE("\xff\xff noise"));
	assert_false(compression_take(c, &in));
	compression_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(talks_with_zlib),
		cmocka_unit_test(streams_end),
		cmocka_unit_test(more_after_the_last_word_is_refused),
		cmocka_unit_test(small_input_may_be_much),
		cmocka_unit_test(noise_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
