/* tests/unit/mail/corpus.c - real and broken messages through the structure parser.
 *
 * Those in tests/corpora, and the larger collection where there is one (BODE_CORPORA, or
 * ../shared/corpora beside the source tree; else its tests are skipped). */
#include "tests/unit/unit.h"

#include <ftw.h>
#include <stdio.h>

#include "base/attributes.h"
#include "mail/header.h"
#include "mail/text.h"
#include "tests/unit/mail/structure.h"

static struct arena names_arena;
static const char *names[2000];
static size_t name_count;

static int note_file(const char *path, const struct stat *info, int kind, struct FTW *where)
{
	static const char *suffixes[] = { ".eml", ".msg", ".raw", ".txt" };
	const char *dot = strrchr(path, '.');
	for (size_t i = 0; kind == FTW_F && dot && i < ARRAY_LEN(suffixes); i++)
		if (strcmp(dot, suffixes[i]) == 0 && name_count < ARRAY_LEN(names))
			names[name_count++] = arena_string(&names_arena, slice_cstr(path));
	return 0;
}

static const char *source_root(void)
{
	const char *root = getenv("BODE_SOURCE_ROOT");
	return root ? root : ".";
}

/* The folder of the larger collection. */
static const char *shared_corpora(void)
{
	const char *path = getenv("BODE_CORPORA");
	return path ? path : arena_format(&names_arena, "%s/../shared/corpora", source_root());
}

static void find_messages(const char *folder)
{
	name_count = 0;
	nftw(folder, note_file, 10, FTW_PHYS);
}

static struct slice read_file(const char *path, struct arena *arena)
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

static void assert_same_digest(const char *path, struct mime_part *root, struct slice want)
{
	struct buffer record = { 0 };
	digest_encode(root, &record);
	if (!slice_eq(buffer_slice(&record), want))
		fail_msg("%s", path);
	buffer_free(&record);
}

/* However a message is cut, its digest is one; and it comes back from its record. */
static void check_message(const char *path)
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

static void own_messages(void **state)
{
	find_messages(arena_format(&names_arena, "%s/tests/corpora/mime", source_root()));
	if (name_count == 0)
		fail_msg("no messages in %s/tests/corpora/mime", source_root());
	for (size_t i = 0; i < name_count; i++)
		check_message(names[i]);
}

static void shared_messages(void **state)
{
	find_messages(shared_corpora());
	if (name_count == 0)
		skip();
	for (size_t i = 0; i < name_count; i++)
		check_message(names[i]);
}

/* "[...]" a multipart, "(...)" a message in a message, "." anything else. */
static void describe(const struct mime_part *part, struct buffer *text)
{
	bool is_message = mime_is_message(part);
	if (!part->first_child) {
		buffer_add_byte(text, '.');
		return;
	}
	buffer_add_byte(text, is_message ? '(' : '[');
	for (const struct mime_part *child = part->first_child; child; child = child->next_sibling)
		describe(child, text);
	buffer_add_byte(text, is_message ? ')' : ']');
}

/* The same of a structure in mime4j's XML, whose tags stand alone on their lines. A multipart
 * without a part has one here. */
static void describe_xml(struct slice xml, struct buffer *text)
{
	size_t depth = 0;
	for (size_t at = 0, end; at < xml.len; at = end + 1) {
		end = slice_find_byte(xml, at, '\n');
		struct slice line = slice_trim(slice_sub(xml, at, end - at));
		if (slice_eq(line, SLICE("<multipart>"))) {
			buffer_add_byte(text, '[');
		} else if (slice_eq(line, SLICE("</multipart>"))) {
			if (text->data[text->len - 1] == '[')
				buffer_add_byte(text, '.');
			buffer_add_byte(text, ']');
		} else if (slice_eq(line, SLICE("<message>")) && depth++ > 0) {
			buffer_add_byte(text, '(');
		} else if (slice_eq(line, SLICE("</message>")) && --depth > 0) {
			buffer_add_byte(text, ')');
		} else if (slice_eq(line, SLICE("<body>"))) {
			buffer_add_byte(text, '.');
		}
	}
}

/* Where we mean to differ: an encoded message is octets; blanks at the end of a boundary, which
 * RFC 2046 forbids there, are transport padding. */
static bool differs_by_design(const char *path)
{
	static const char *files[] = {
		"base64encoded-rfc822message.msg",
		"base64encoded-rfc822message-nested.msg",
		"bad-newlines-multiple-parts-base64.msg",
		"weird-boundary.msg",
		"very-long-boundary.msg",
		"very-very-long-boundary.msg",
	};
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		if (strcmp(strrchr(path, '/') + 1, files[i]) == 0)
			return true;
	return false;
}

static void structures_as_mime4j_has_them(void **state)
{
	find_messages(arena_format(&names_arena, "%s/mime/mime4j", shared_corpora()));
	if (name_count == 0)
		skip();
	for (size_t i = 0; i < name_count; i++) {
		struct arena arena = { 0 };
		struct buffer got = { 0 }, want = { 0 };
		size_t stem = strlen(names[i]) - 4;
		char *xml = arena_format(&arena, "%.*s.xml", (int)stem, names[i]);
		describe_xml(read_file(xml, &arena), &want);
		describe(structure_parse(read_file(names[i], &arena), &arena), &got);
		if (slice_eq(buffer_slice(&got), buffer_slice(&want)) ==
		    differs_by_design(names[i]))
			fail_msg("%s: got %.*s, want %.*s", names[i], SLICE_ARG(buffer_slice(&got)),
				 SLICE_ARG(buffer_slice(&want)));
		buffer_free(&got);
		buffer_free(&want);
		arena_fini(&arena);
	}
}

static int forget_names(void **state)
{
	arena_fini(&names_arena);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(own_messages),
		cmocka_unit_test(shared_messages),
		cmocka_unit_test(structures_as_mime4j_has_them),
	};
	return cmocka_run_group_tests(tests, NULL, forget_names);
}
