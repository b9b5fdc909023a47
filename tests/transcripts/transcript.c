/* tests/transcripts/transcript.c - takes a transcript's text apart. */
#include "tests/transcripts/transcript.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "base/cursor.h"

struct reader {
	struct transcript *transcript;
	struct arena *arena;
	struct cursor rest;
	unsigned number; /* of the line that was taken last */
};

static bool complain(const struct reader *reader, const char *what)
{
	printf("# %s:%u: %s\n", reader->transcript->file_name, reader->number, what);
	return false;
}

static bool next_line(struct reader *reader, struct slice *text_out)
{
	if (at_end(&reader->rest))
		return false;
	struct slice rest = cursor_rest(&reader->rest);
	size_t len = slice_find_byte(rest, 0, '\n');
	*text_out = slice_sub(rest, 0, len);
	reader->rest.at += len < rest.len ? len + 1 : len;
	reader->number++;
	return true;
}

static bool is_word(struct cursor *c, const char *word)
{
	struct cursor copy = *c;
	if (!take_word_nocase(&copy, slice_cstr(word)))
		return false;
	if (!at_end(&copy) && !next_is(&copy, ' ') && !next_is(&copy, '\t'))
		return false;
	skip_blanks(&copy);
	*c = copy;
	return true;
}

/* "C:", "C2:", "C<:", "S:", "S2-any:", "S-until:" and at most one blank. */
static bool take_dialog_mark(struct cursor *c, struct line *line)
{
	struct cursor copy = *c;
	uint64_t connection = 1;
	bool client = take_byte(&copy, 'C');
	if (!client && !take_byte(&copy, 'S'))
		return false;
	take_number(&copy, TRANSCRIPT_CONNECTIONS_MAX, &connection);
	line->kind = client ? LINE_SEND : LINE_EXPECT;
	if (client && take_byte(&copy, '<'))
		line->kind = LINE_SEND_OPEN;
	else if (!client && take_word_nocase(&copy, SLICE("-any")))
		line->kind = LINE_EXPECT_ANY;
	else if (!client && take_word_nocase(&copy, SLICE("-until")))
		line->kind = LINE_EXPECT_UNTIL;
	if (!take_byte(&copy, ':') || connection == 0)
		return false;
	(void)take_byte(&copy, ' ');
	line->connection = (unsigned)connection;
	*c = copy;
	return true;
}

static bool take_mark(struct cursor *c, struct line *line)
{
	uint64_t connection = 1;
	line->connection = 1;
	if (is_word(c, "given")) {
		line->kind = LINE_GIVEN;
	} else if (is_word(c, "then")) {
		line->kind = LINE_THEN;
	} else if (is_word(c, "shutdown")) {
		line->kind = LINE_SHUTDOWN;
	} else if (take_word_nocase(c, SLICE("tls"))) {
		take_number(c, TRANSCRIPT_CONNECTIONS_MAX, &connection);
		line->kind = LINE_TLS;
		line->connection = (unsigned)connection;
		return at_end(c) && connection > 0;
	} else {
		return take_dialog_mark(c, line);
	}
	return true;
}

/* "... <<END": the lines up to END belong to this one. */
static bool take_block(struct reader *reader, struct line *line)
{
	size_t mark = slice_find(line->text, 0, SLICE("<<"));
	size_t cap = 0;
	if (mark == line->text.len)
		return true;
	struct slice end = slice_trim(slice_sub(line->text, mark + 2, line->text.len));
	if (end.len == 0)
		return complain(reader, "<< wants a word");
	line->text = slice_trim(slice_sub(line->text, 0, mark));
	line->has_block = true;
	for (struct slice text; next_line(reader, &text);) {
		if (slice_eq(text, end))
			return true;
		if (line->block_count == cap) {
			cap = cap ? cap * 2 : 16;
			struct slice *grown = arena_alloc_array(reader->arena, cap, sizeof(*grown));
			if (line->block_count)
				memcpy(grown, line->block, line->block_count * sizeof(*grown));
			line->block = grown;
		}
		line->block[line->block_count++] = text;
	}
	return complain(reader, "the end of the block is missing");
}

static bool read_lines(struct reader *reader)
{
	struct transcript *transcript = reader->transcript;
	size_t cap = 1;
	struct slice text;
	for (size_t i = 0; i < cursor_left(&reader->rest); i++)
		cap += reader->rest.at[i] == '\n';
	transcript->lines = arena_alloc_array(reader->arena, cap, sizeof(struct line));
	while (next_line(reader, &text)) {
		struct line *line = &transcript->lines[transcript->count];
		struct cursor c = cursor_of(text);
		if (slice_trim(text).len == 0 || next_is(&c, '#'))
			continue;
		if (!take_mark(&c, line))
			return complain(reader, "not a line of a transcript");
		line->number = reader->number;
		line->text = cursor_rest(&c);
		if (line->kind == LINE_GIVEN || line->kind == LINE_THEN) {
			line->text = slice_trim(line->text);
			if (!take_block(reader, line))
				return false;
		}
		transcript->count++;
	}
	return transcript->count > 0 || complain(reader, "an empty transcript");
}

bool transcript_read(const char *file_name, struct arena *arena, struct transcript *transcript_out)
{
	struct reader reader = { .transcript = transcript_out, .arena = arena };
	struct buffer text = { 0 };
	size_t len;
	*transcript_out = (struct transcript){ .file_name = file_name };
	FILE *file = fopen(file_name, "rb");
	if (!file) {
		printf("# %s: cannot be read\n", file_name);
		return false;
	}
	while ((len = fread(buffer_reserve(&text, 4096), 1, 4096, file)) > 0)
		text.len += len;
	fclose(file);
	reader.rest = cursor_of(arena_copy(arena, buffer_slice(&text)));
	buffer_free(&text);
	return read_lines(&reader);
}
