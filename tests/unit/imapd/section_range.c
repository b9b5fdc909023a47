/* tests/unit/imapd/section_range.c - RFC 9051 section 6.4.5.1: what each section of its kind
 * of message names, and the subsets of a header. */
#include "tests/unit/imapd/message.h"

#include "imapd/fetch_items_priv.h"
#include "imapd/section_range_priv.h"

static const char text[] = "Subject: outer\n"
			   "Content-Type: multipart/mixed; boundary=out\n"
			   "\n"
			   "preamble\n"
			   "--out\n"
			   "Content-Type: text/plain\n"
			   "\n"
			   "first\n"
			   "--out\n"
			   "Content-Type: message/rfc822\n"
			   "\n"
			   "Subject: inner\n"
			   "\n"
			   "second\n"
			   "--out--\n";

static void check_in(const char *message, const char *item, const char *want)
{
	struct message m = message_of(message);
	struct cursor c = cursor_of(slice_cstr(item));
	struct fetch_items items;
	const struct mime_part *part;
	struct octet_range range;

	assert_true(take_fetch_items(&c, &m.arena, false, &items));
	const struct fetch_item *one = &items.items[0];
	bool found = section_resolve(&one->section, m.root, m.octets.len, &range, &part);
	if (!want) {
		assert_false(found);
	} else {
		assert_true(found);
		range = section_clip(one->is_partial ? &one->partial : NULL, range);
		assert_slice(
			slice_sub(buffer_slice(&m.octets), range.start, range.end - range.start),
			want);
	}
	message_fini(&m);
}

static void check(const char *item, const char *want)
{
	check_in(text, item, want);
}

static void parts_of_a_multipart(void **state)
{
	check("BODY[1]", "first");
	check("BODY[1.MIME]", "Content-Type: text/plain\r\n\r\n");
	check("BODY[2]", "Subject: inner\r\n\r\nsecond");
	check("BODY[2.MIME]", "Content-Type: message/rfc822\r\n\r\n");
	check("BODY[2.HEADER]", "Subject: inner\r\n\r\n");
	check("BODY[2.TEXT]", "second");
	check("BODY[2.1]", "second");
	check("BODY[HEADER]", "Subject: outer\r\n"
			      "Content-Type: multipart/mixed; boundary=out\r\n\r\n");
	check("RFC822.HEADER", "Subject: outer\r\n"
			       "Content-Type: multipart/mixed; boundary=out\r\n\r\n");
}

static void what_is_not_there(void **state)
{
	check("BODY[3]", NULL);
	check("BODY[1.1]", NULL);
	check("BODY[1.HEADER]", NULL); /* no message */
	check("BODY[1.TEXT]", NULL);
	check("BODY[2.2]", NULL);
	check("BODY[4294967295]", NULL);
}

static void a_message_of_one_part(void **state)
{
	static const char single[] = "Subject: x\n\nbody\n";
	check_in(single, "BODY[1]", "body\r\n");
	check_in(single, "BODY[TEXT]", "body\r\n");
	check_in(single, "BODY[1.MIME]", "Subject: x\r\n\r\n");
	check_in(single, "BODY[]", "Subject: x\r\n\r\nbody\r\n");
	check_in(single, "BODY[1.HEADER]", NULL);
	check_in(single, "BODY[2]", NULL);
	check_in("Subject: no body\n", "BODY[HEADER]", "Subject: no body\r\n");
	check_in("Subject: no body\n", "BODY[TEXT]", "");
}

static void partials(void **state)
{
	check("BODY[1]<0.3>", "fir");
	check("BODY[1]<3.100>", "st");
	check("BODY[1]<5.1>", "");
	check("BODY[1]<9223372036854775807.9223372036854775807>", "");
	check("BODY[1]<1.9223372036854775807>", "irst");
}

static void subset(const char *item, const char *header, bool has_body, const char *want)
{
	struct arena arena = { 0 };
	struct buffer out = { 0 };
	struct cursor c = cursor_of(slice_cstr(item));
	struct fetch_items items;
	assert_true(take_fetch_items(&c, &arena, false, &items));
	section_filter_fields(&items.items[0].section, slice_cstr(header), has_body, &out);
	assert_slice(buffer_slice(&out), want);
	buffer_free(&out);
	arena_fini(&arena);
}

static void subsets_of_a_header(void **state)
{
	static const char header[] =
		"From: a@b\r\nTo: c@d,\r\n e@f\r\nSubject: x\r\nTO: g@h\r\n\r\n";
	subset("BODY[HEADER.FIELDS (to)]", header, true, "To: c@d,\r\n e@f\r\nTO: g@h\r\n\r\n");
	subset("BODY[HEADER.FIELDS.NOT (\"TO\" subject)]", header, true, "From: a@b\r\n\r\n");
	subset("BODY[HEADER.FIELDS (Nothing)]", header, false, "\r\n");
	subset("BODY[HEADER.FIELDS (From)]", "From: a@b\r\n", false, "From: a@b\r\n");
	/* A line that is no field ends the header: the client still gets an empty line. */
	subset("BODY[HEADER.FIELDS (From)]", "From: a@b\r\n", true, "From: a@b\r\n\r\n");
	subset("BODY[HEADER.FIELDS (Subject-X)]", "Subject: a\r\n\r\n", false, "\r\n");
}

static void echo(const char *item, const char *want)
{
	struct arena arena = { 0 };
	struct buffer out = { 0 };
	struct cursor c = cursor_of(slice_cstr(item));
	struct fetch_items items;
	assert_true(take_fetch_items(&c, &arena, false, &items));
	section_render(&out, &items.items[0].section, false);
	assert_slice(buffer_slice(&out), want);
	buffer_free(&out);
	arena_fini(&arena);
}

static void sections_are_echoed(void **state)
{
	echo("BODY[]", "[]");
	echo("body.peek[1.2.header.fields (Date \"x y\" \"To\")]<0.5>",
	     "[1.2.HEADER.FIELDS (Date \"x y\" To)]");
	echo("BODY[header.fields.not (a)]", "[HEADER.FIELDS.NOT (a)]");
	echo("BODY[3.mime]", "[3.MIME]");
	echo("BODY[text]", "[TEXT]");
	echo("BINARY[7.1]", "[7.1]");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parts_of_a_multipart),	 cmocka_unit_test(what_is_not_there),
		cmocka_unit_test(a_message_of_one_part), cmocka_unit_test(partials),
		cmocka_unit_test(subsets_of_a_header),	 cmocka_unit_test(sections_are_echoed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
