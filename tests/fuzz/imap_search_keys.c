/* tests/fuzz/imap_search_keys.c - a search program, then a made-up message, which is
 * searched twice with one outcome. Input: the program, a line with a dot alone, the message. */
#include <assert.h>

#include "imapd/search_match_priv.h"
#include "mail/digest.h"
#include "tests/octets_source.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void match(const struct search_program *program, struct slice message)
{
	struct arena arena = { 0 };
	struct buffer record = { 0 };
	struct mime_parser *parser = mime_parser_new(&arena);
	struct message_entry entry = { .uid = 1, .size_octets = message.len };
	struct matcher matcher;
	bool first = false, second = false;

	mime_parser_feed(parser, message);
	digest_encode(mime_parser_finish(&parser), &record);
	struct octets_source octets = octets_source_of(message, buffer_slice(&record));
	matcher_init(&matcher, program);
	enum err err = matcher_match(&matcher, &entry, &octets.source, &first);
	assert(err == ERR_OK);
	err = matcher_match(&matcher, &entry, &octets.source, &second);
	assert(err == ERR_OK && first == second);
	matcher_fini(&matcher);
	buffer_free(&record);
	arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct slice mark = SLICE("\r\n.\r\n");
	struct slice input = slice_of(data, size);
	size_t at = slice_find(input, 0, mark);
	struct cursor c = cursor_of(slice_sub(input, 0, at));
	struct arena arena = { 0 };
	struct search_program program = { 0 };

	if (take_search_program(&c, CHARSET_NAMED, NULL, &arena, &program) == SEARCH_PARSED) {
		assert(at_end(&c));
		match(&program, slice_sub(input, at + mark.len, size));
		search_program_fini(&program);
	}
	arena_fini(&arena);
	return 0;
}
