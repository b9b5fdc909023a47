/* tests/unit/mail/mime4j.c - structures as mime4j, another parser, has them. Its messages are no part of
 * this repository: they are where BODE_CORPORA says, in mime4j (tests/corpora/README.md); where they are
 * not, all of this is skipped. */
#include "tests/unit/mail/corpus.h"

#include <unistd.h>

static const char *folder;

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
	find_messages(folder);
	assert_int_not_equal(name_count, 0);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(structures_as_mime4j_has_them),
	};
	const char *corpora = getenv("BODE_CORPORA");
	folder = arena_format(&names_arena, "%s/mime4j", corpora ? corpora : "");
	if (!corpora || access(folder, R_OK) != 0) {
		printf("1..0 # SKIP no messages of mime4j (BODE_CORPORA says where they are)\n");
		return forget_names(NULL);
	}
	return cmocka_run_group_tests(tests, NULL, forget_names);
}
