/* tests/unit/imapd/message.h - a message of a test: written with "\n", taken apart as on
 * arrival, its digest written and read back. */
#pragma once

#include "tests/unit/unit.h"

#include "base/buffer.h"
#include "mail/digest.h"

struct message {
	struct arena arena;
	struct buffer octets; /* with CRLF */
	struct buffer record;
	struct mime_part *root;
};

static inline struct message message_of(const char *text)
{
	struct message m = { 0 };
	for (; *text; text++) {
		if (*text == '\n')
			buffer_add_byte(&m.octets, '\r');
		buffer_add_byte(&m.octets, (uint8_t)*text);
	}
	struct mime_parser *parser = mime_parser_new(&m.arena);
	mime_parser_feed(parser, buffer_slice(&m.octets));
	digest_encode(mime_parser_finish(&parser), &m.record);
	assert_true(digest_decode(buffer_slice(&m.record), &m.arena, &m.root));
	return m;
}

static inline void message_fini(struct message *m)
{
	buffer_free(&m->octets);
	buffer_free(&m->record);
	arena_fini(&m->arena);
}
