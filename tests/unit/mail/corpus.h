/* tests/unit/mail/corpus.h - what holds for every message, and where messages are. */
#pragma once

#include "tests/unit/unit.h"

#include <ftw.h>
#include <stdio.h>

#include "base/attributes.h"
#include "mail/header.h"
#include "mail/text.h"
#include "tests/unit/mail/downgraded.h"

static struct arena names_arena;
static const char *names[2000];
static size_t name_count;

static inline int note_file(const char *path, const struct stat *info, int kind, struct FTW *where)
{
	static const char *suffixes[] = { ".eml", ".msg", ".raw", ".txt" };
	const char *dot = strrchr(path, '.');
	for (size_t i = 0; kind == FTW_F && dot && i < ARRAY_LEN(suffixes); i++)
		if (strcmp(dot, suffixes[i]) == 0 && name_count < ARRAY_LEN(names))
			names[name_count++] = arena_string(&names_arena, slice_cstr(path));
	return 0;
}

static inline const char *source_root(void)
{
	const char *root = getenv("BODE_SOURCE_ROOT");
	return root ? root : ".";
}

static inline void find_messages(const char *folder)
{
	name_count = 0;
	nftw(folder, note_file, 10, FTW_PHYS);
}

/* Those of tests/corpora, and of the folder that BODE_CORPORA names (tests/corpora/README.md). */
static inline void find_corpora(void)
{
	const char *own = arena_format(&names_arena, "%s/tests/corpora", source_root());
	const char *more = getenv("BODE_CORPORA");
	find_messages(own);
	if (name_count == 0)
		fail_msg("no messages in %s", own);
	size_t count = name_count;
	if (more)
		nftw(more, note_file, 10, FTW_PHYS);
	if (more && name_count == count)
		fail_msg("no messages in %s, which BODE_CORPORA names", more);
}

static inline struct slice read_file(const char *path, struct arena *arena)
{
	FILE *file = fopen(path, "rb");
	assert_non_null(file);
	assert_int_equal(fseek(file, 0, SEEK_END), 0);
	size_t len = (size_t)ftell(file);
	rewind(file);
	uint8_t *octets = arena_alloc(arena, len);
	assert_int_equal(fread(octets, 1, len, file), len);
	fclose(file);
	return slice_of(octets, len);
}

static inline void assert_same_digest(const char *path, struct mime_part *root, struct slice want)
{
	struct buffer record = { 0 };
	digest_encode(root, &record);
	if (!slice_eq(buffer_slice(&record), want))
		fail_msg("%s", path);
	buffer_free(&record);
}

/* However a message is cut, its digest is one; and it comes back from its record. */
static inline void check_message(const char *path)
{
	struct arena arena = { 0 };
	struct buffer record = { 0 };
	struct slice message = read_file(path, &arena);
	struct mime_part *root = structure_parse(message, &arena);
	structure_check(root, message, 0, message.len, 1, true);
	assert_int_equal(root->header_start, 0);
	assert_int_equal(root->body_start, header_end(message));
	assert_int_equal(root->body_end, message.len);
	digest_encode(root, &record);
	struct slice want = buffer_slice(&record);
	assert_same_digest(path, structure_parse_pieces(message, 1, 0, &arena), want);
	for (uint32_t seed = 1; seed < 4; seed++)
		assert_same_digest(path, structure_parse_pieces(message, 200, seed, &arena), want);
	assert_same_digest(path, structure_parse_pieces(message, 5000, 7, &arena), want);
	assert_true(digest_decode(want, &arena, &root));
	structure_check(root, message, 0, message.len, 1, true);
	assert_same_digest(path, root, want);

	downgraded_check(message, DOWNGRADE_TO_7BIT, 1000);
	downgraded_check(message, DOWNGRADE_TO_8BIT, 1000);

	struct cursor c = cursor_of(slice_sub(message, 0, root->body_start));
	struct header_field field;
	struct buffer text = { 0 };
	while (take_header_field(&c, &field)) {
		buffer_clear(&text);
		text_decode_header(field.value, &text);
		assert_true(text_is_utf8(buffer_slice(&text)));
	}
	buffer_free(&text);
	buffer_free(&record);
	arena_fini(&arena);
}

static inline int forget_names(void **state)
{
	arena_fini(&names_arena);
	return 0;
}
