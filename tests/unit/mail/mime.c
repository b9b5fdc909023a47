/* tests/unit/mail/mime.c - the structure of messages, good and broken. */
#include "tests/unit/unit.h"

#include "base/attributes.h"
#include "tests/unit/mail/crlf.h"
#include "tests/unit/mail/structure.h"

/* "multipart/mixed(text/plain:a message/rfc822(text/plain:b))": leaves with their body, each
 * CRLF in it as "|". */
static void describe(const struct mime_part *part, struct slice message, struct buffer *text)
{
	buffer_add_format(text, "%.*s/%.*s", SLICE_ARG(part->type), SLICE_ARG(part->subtype));
	if (!part->first_child) {
		struct slice body =
			slice_sub(message, part->body_start, part->body_end - part->body_start);
		buffer_add_byte(text, ':');
		for (size_t i = 0; i < body.len; i++) {
			bool is_end =
				body.ptr[i] == '\r' && i + 1 < body.len && body.ptr[i + 1] == '\n';
			buffer_add_byte(text, is_end ? '|' : body.ptr[i]);
			i += is_end;
		}
		return;
	}
	for (const struct mime_part *child = part->first_child; child;
	     child = child->next_sibling) {
		buffer_add_byte(text, child == part->first_child ? '(' : ' ');
		describe(child, message, text);
	}
	buffer_add_byte(text, ')');
}

#define MIXED "Content-Type: multipart/mixed; boundary=x\n\n"

static const struct {
	const char *message, *want;
} cases[] = {
	{ "", "text/plain:" },
	{ "\n", "text/plain:" },
	{ "Subject: a\n\nb\n", "text/plain:b|" },
	{ "Subject: a\n\nb", "text/plain:b" },
	{ "Subject: a\n", "text/plain:" },
	{ "Subject: a", "text/plain:" },
	{ "Subject: a\nno field\nmore\n", "text/plain:no field|more|" },
	{ "Subject: a\nno field\nTo: b\n", "text/plain:" },
	{ "Subject: a\nno field\n\nbody", "text/plain:body" },
	{ "Content-Type: TEXT/HTML; charset=utf-8\n\n<p>", "text/html:<p>" },
	{ "Content-Type: text\n\na", "text/plain:a" },
	{ "Content-Type: /\n\na", "text/plain:a" },
	{ "Content-Type:\n\na", "text/plain:a" },
	{ "Content-Type: (c) Image / (c) GIF (c) ; a=b\n\na", "image/gif:a" },
	{ "Content-Type: text/html\nContent-Type: text/css\n\na", "text/html:a" },
	/* RFC 2046 section 5.1.1 */
	{ MIXED "preamble\n--x\n\nimplicit\n--x\nContent-Type: text/plain\n\nexplicit\n\n--x--\n"
		"epilogue\n",
	  "multipart/mixed(text/plain:implicit text/plain:explicit|)" },
	{ MIXED "--x\n\na\n--x--", "multipart/mixed(text/plain:a)" },
	{ MIXED "--x \t\n\na\n--x-- \nend", "multipart/mixed(text/plain:a)" },
	{ MIXED "--x\n\na\n--xy\n--x-\n-- x\n---x\n --x\nx\n--x--",
	  "multipart/mixed(text/plain:a|--xy|--x-|-- x|---x| --x|x)" },
	{ MIXED "--x\n\na\n--x--\n--x\n\nb\n", "multipart/mixed(text/plain:a)" },
	{ MIXED "--x\n\na\n--x--y\n--x--\n", "multipart/mixed(text/plain:a|--x--y)" },
	{ MIXED "--x\n--x\n\n--x\n\n\n--x\nA: b\n--x\nA: b\n\n--x--",
	  "multipart/mixed(text/plain: text/plain: text/plain: text/plain: text/plain:)" },
	{ MIXED "--x\nno field\n--x--\n", "multipart/mixed(text/plain:no field)" },
	{ MIXED "--x\n\na", "multipart/mixed(text/plain:a)" },
	{ MIXED "--x\n\na\n", "multipart/mixed(text/plain:a|)" },
	{ MIXED "--x", "multipart/mixed(text/plain:)" },
	{ MIXED "--x--", "multipart/mixed(text/plain:)" },
	{ MIXED "no parts\n", "multipart/mixed(text/plain:)" },
	{ MIXED, "multipart/mixed(text/plain:)" },
	{ "Content-Type: multipart/mixed; boundary=x\n", "multipart/mixed(text/plain:)" },
	{ "Content-Type: multipart/mixed\n\n--x\n\na", "text/plain:--x||a" },
	{ "Content-Type: multipart/mixed; boundary=\"\"\n\n--\n\na\n", "text/plain:--||a|" },
	{ "Content-Type: multipart/mixed; boundary=\"  \"\n\na", "text/plain:a" },
	{ "Content-Type: multipart/mixed; boundary=\"a b \"\n\n--a b\n\na\n--a b--",
	  "multipart/mixed(text/plain:a)" },
	{ "Content-Type: multipart/mixed; boundary*0=x; boundary*1=y\n\n--xy\n\na\n--xy--",
	  "multipart/mixed(text/plain:a)" },
	{ "Content-Type: multipart/mixed; boundary=x\nContent-Transfer-Encoding: base64\n\n"
	  "--x\n\na\n--x--",
	  "multipart/mixed(text/plain:a)" },
	/* Nests: inner parts end with the outer ones. */
	{ MIXED "--x\nContent-Type: multipart/alternative; boundary=xx\n\n--xx\n\na\n--xx--\n"
		"--x\n\nb\n--x--",
	  "multipart/mixed(multipart/alternative(text/plain:a) text/plain:b)" },
	{ MIXED "--x\nContent-Type: multipart/alternative; boundary=xx\n\n--xx\n\na\n--x\n\nb",
	  "multipart/mixed(multipart/alternative(text/plain:a) text/plain:b)" },
	{ MIXED "--x\nContent-Type: multipart/alternative; boundary=xx\n--x\n\nb",
	  "multipart/mixed(multipart/alternative(text/plain:) text/plain:b)" },
	{ MIXED "--x\nContent-Type: multipart/alternative; boundary=xx\n\n--xx\nA: b\n--x--",
	  "multipart/mixed(multipart/alternative(text/plain:))" },
	{ MIXED "--x\nContent-Type: multipart/mixed; boundary=x\n\n--x\n\na\n--x--\n--x--\n",
	  "multipart/mixed(multipart/mixed(text/plain:a))" },
	{ "Content-Type: multipart/mixed; boundary=\"x--\"\n\n--x--\n\na\n--x----",
	  "multipart/mixed(text/plain:a)" },
	{ MIXED "--x\nContent-Type: multipart/mixed; boundary=\"x--\"\n\n--x--\n\na\n--x----\n"
		"--x--\n",
	  "multipart/mixed(multipart/mixed(text/plain:a))" },
	/* RFC 2046 sections 5.1.5 and 5.2.1 */
	{ "Content-Type: multipart/digest; boundary=x\n\n--x\n\nSubject: a\n\nb\n--x\n"
	  "Content-Type: text/plain\n\nc\n--x\nContent-Type: ?\n\nd\n--x--",
	  "multipart/digest(message/rfc822(text/plain:b) text/plain:c text/plain:d)" },
	{ "Content-Type: message/rfc822\n\nSubject: a\n\nb", "message/rfc822(text/plain:b)" },
	{ "Content-Type: message/rfc822\n", "message/rfc822(text/plain:)" },
	{ "Content-Type: message/rfc822\n\nno header\n", "message/rfc822(text/plain:no header|)" },
	{ "Content-Type: message/global\n\nContent-Type: text/html\n\nb",
	  "message/global(text/html:b)" },
	{ "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nQQ==",
	  "application/octet-stream:QQ==" },
	{ "Content-Type: message/rfc822\nContent-Transfer-Encoding: 8BIT\n\n\na",
	  "message/rfc822(text/plain:a)" },
	{ "Content-Type: message/delivery-status\n\nA: b\n", "message/delivery-status:A: b|" },
	{ MIXED "--x\nContent-Type: message/rfc822\n\n" MIXED "--x\n\na\n--x--\n--x--\n",
	  "multipart/mixed(message/rfc822(multipart/mixed(text/plain:a)))" },
	{ MIXED "--x\nContent-Type: message/rfc822\n--x--\n",
	  "multipart/mixed(message/rfc822(text/plain:))" },
	{ MIXED "--x\nContent-Type: message/rfc822\nno field\n--x--\n",
	  "multipart/mixed(message/rfc822(text/plain:no field))" },
};

static void structures(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct arena arena = { 0 };
		struct buffer text = { 0 };
		struct slice message = crlf(cases[i].message, &arena);
		struct mime_part *root = structure_parse(message, &arena);
		structure_check(root, message, 0, message.len, 1, true);
		describe(root, message, &text);
		if (!slice_eq(buffer_slice(&text), slice_cstr(cases[i].want)))
			fail_msg("%s\n  got  %.*s\n  want %s", cases[i].message,
				 SLICE_ARG(buffer_slice(&text)), cases[i].want);
		buffer_free(&text);
		arena_fini(&arena);
	}
}

/* The same structure whatever ends the lines; only `lines` counts CRLF. */
static void bare_line_ends(void **state)
{
	struct arena arena = { 0 };
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct buffer with_crlf = { 0 }, with_lf = { 0 };
		struct slice message = crlf(cases[i].message, &arena);
		describe(structure_parse(message, &arena), message, &with_crlf);
		message = slice_cstr(cases[i].message);
		struct mime_part *root = structure_parse(message, &arena);
		assert_int_equal(root->lines, 0);
		structure_check(root, message, 0, message.len, 1, true);
		describe(root, message, &with_lf);
		for (size_t k = 0; k < with_lf.len; k++)
			if (with_lf.data[k] == '\n')
				with_lf.data[k] = '|';
		assert_true(slice_eq(buffer_slice(&with_crlf), buffer_slice(&with_lf)));
		buffer_free(&with_crlf);
		buffer_free(&with_lf);
	}
	arena_fini(&arena);
}

static void fields_of_a_part(void **state)
{
	struct arena arena = { 0 };
	struct slice message =
		crlf("Content-Type: multipart/mixed; boundary=x\n\n--x\n"
		     "Content-Type: Image/PNG (a (nested) comment); Name=\"a b.png\"; x=1\n"
		     "Content-Transfer-Encoding: BASE64 (c)\nContent-ID: <1@a>\n"
		     "Content-Description: two\n words\nContent-MD5: abc==\n"
		     "Content-Disposition: Attachment; filename=a.png;\n size=1\n"
		     "Content-Language: en, de\nContent-Location: http://a/\n"
		     "Subject: not of a message\n\nQQ==\n\n--x\nContent-ID:\n\na\n--x--",
		     &arena);
	struct mime_part *root = structure_parse(message, &arena);
	struct mime_part *part = root->first_child;
	struct slice value;
	assert_slice(part->type, "image");
	assert_slice(part->subtype, "png");
	assert_int_equal(part->parameter_count, 2);
	assert_slice(part->parameters[0].name, "name");
	assert_slice(part->parameters[0].value, "a b.png");
	assert_true(mime_parameter_find(part, SLICE("X"), &value));
	assert_slice(value, "1");
	assert_false(mime_parameter_find(part, SLICE("y"), &value));
	assert_slice(part->encoding, "base64");
	assert_slice(part->id, "<1@a>");
	assert_slice(part->description, "two words");
	assert_slice(part->md5, "abc==");
	assert_slice(part->disposition, "attachment");
	assert_int_equal(part->disposition_parameter_count, 2);
	assert_slice(part->disposition_parameters[1].name, "size");
	assert_slice(part->language, "en, de");
	assert_slice(part->location, "http://a/");
	assert_int_equal(part->lines, 1);
	assert_null(part->envelope);
	part = part->next_sibling;
	assert_non_null(part->id.ptr); /* there, but empty */
	assert_int_equal(part->id.len, 0);
	assert_null(part->description.ptr);
	assert_null(part->disposition.ptr);
	assert_slice(part->encoding, "7bit");
	assert_slice(part->parameters[0].name, "charset");
	assert_slice(part->parameters[0].value, "us-ascii");
	arena_fini(&arena);
}

/* RFC 9051 section 7.5.2. */
static void envelopes(void **state)
{
	struct arena arena = { 0 };
	struct mime_envelope *e =
		structure_parse(
			crlf("Date: d\nSubject:\nFrom: a@b\nSender:\nTo: c@d, e@f\nCc: g@h\n"
			     "Subject: second\nTo: x@y\nMessage-ID: <m>\n\n",
			     &arena),
			&arena)
			->envelope;
	assert_slice(e->date, "d");
	assert_non_null(e->subject.ptr);
	assert_int_equal(e->subject.len, 0);
	assert_int_equal(e->from_count, 1);
	assert_int_equal(e->sender_count, 1);
	assert_slice(e->sender[0].mailbox, "a");
	assert_int_equal(e->reply_to_count, 1);
	assert_int_equal(e->to_count, 2);
	assert_slice(e->to[1].host, "f");
	assert_int_equal(e->cc_count, 1);
	assert_int_equal(e->bcc_count, 0);
	assert_null(e->in_reply_to.ptr);
	assert_slice(e->message_id, "<m>");
	e = structure_parse(crlf("Content-Type: message/rfc822\nFrom: a@b\nReply-To: r@s\n\n"
				 "From: c@d\nIn-Reply-To: <x>\n",
				 &arena),
			    &arena)
		    ->first_child->envelope;
	assert_slice(e->reply_to[0].mailbox, "c");
	assert_slice(e->in_reply_to, "<x>");
	arena_fini(&arena);
}

/* The example of RFC 9051 section 6.4.5.1. */
static void section_numbers(void **state)
{
	struct arena arena = { 0 };
	const char *text = "Content-Type: multipart/mixed; boundary=a\n\n"
			   "--a\n\n1\n--a\nContent-Type: application/octet-stream\n\n2\n"
			   "--a\nContent-Type: message/rfc822\n\n"
			   "Content-Type: multipart/mixed; boundary=b\n\n"
			   "--b\n\n3.1\n--b\nContent-Type: application/octet-stream\n\n3.2\n--b--\n"
			   "--a\nContent-Type: multipart/mixed; boundary=c\n\n"
			   "--c\nContent-Type: image/gif\n\n4.1\n"
			   "--c\nContent-Type: message/rfc822\n\n"
			   "Content-Type: multipart/mixed; boundary=d\n\n"
			   "--d\n\n4.2.1\n"
			   "--d\nContent-Type: multipart/alternative; boundary=e\n\n"
			   "--e\n\n4.2.2.1\n--e\nContent-Type: text/richtext\n\n4.2.2.2\n--e--\n"
			   "--d--\n--c--\n"
			   "--a\nContent-Type: message/rfc822\n\nSubject: x\n\n5.1\n--a--\n";
	static const char *sections[] = { "1",	   "2",	      "3.1",	 "3.2", "4.1",
					  "4.2.1", "4.2.2.1", "4.2.2.2", "5.1" };
	static const struct {
		uint32_t numbers[5];
		size_t count;
		const char *type;
	} inner[] = {
		{ { 0 }, 0, "multipart" },
		{ { 3 }, 1, "message" },
		{ { 4 }, 1, "multipart" },
		{ { 4, 2 }, 2, "message" },
		{ { 4, 2, 2 }, 3, "multipart" },
		{ { 5 }, 1, "message" },
		{ { 0 }, 1, NULL },
		{ { 6 }, 1, NULL },
		{ { 1, 1 }, 2, NULL },
		{ { 3, 0 }, 2, NULL },
		{ { 3, 3 }, 2, NULL },
		{ { 3, 1, 1 }, 3, NULL },
		{ { 4, 2, 2, 3 }, 4, NULL },
		{ { 5, 2 }, 2, NULL },
		{ { 5, 1, 1 }, 3, NULL },
	};
	struct slice message = crlf(text, &arena);
	const struct mime_part *root = structure_parse(message, &arena);
	for (size_t i = 0; i < ARRAY_LEN(sections); i++) {
		uint32_t numbers[5];
		size_t count = 0;
		for (const char *at = sections[i]; *at; at++)
			if (*at != '.')
				numbers[count++] = (uint32_t)(*at - '0');
		const struct mime_part *part = mime_find_part(root, numbers, count);
		assert_non_null(part);
		assert_slice(
			slice_sub(message, part->body_start, part->body_end - part->body_start),
			sections[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(inner); i++) {
		const struct mime_part *part =
			mime_find_part(root, inner[i].numbers, inner[i].count);
		assert_int_equal(part != NULL, inner[i].type != NULL);
		if (part)
			assert_slice(part->type, inner[i].type);
	}
	/* A message that is no multipart has part 1 alone. */
	root = structure_parse(crlf("A: b\n\nx", &arena), &arena);
	assert_ptr_equal(mime_find_part(root, (uint32_t[]){ 1 }, 1), root);
	assert_null(mime_find_part(root, (uint32_t[]){ 2 }, 1));
	assert_null(mime_find_part(root, (uint32_t[]){ 1, 1 }, 2));
	/* One that is nothing but a message: 1 is that, 1.1 what is in it. */
	root = structure_parse(crlf("Content-Type: message/rfc822\n\nA: b\n\nx", &arena), &arena);
	assert_ptr_equal(mime_find_part(root, (uint32_t[]){ 1 }, 1), root);
	assert_ptr_equal(mime_find_part(root, (uint32_t[]){ 1, 1 }, 2), root->first_child);
	assert_null(mime_find_part(root, (uint32_t[]){ 1, 1, 1 }, 3));
	arena_fini(&arena);
}

static void depth_is_bounded(void **state)
{
	for (int as_messages = 0; as_messages < 2; as_messages++) {
		struct arena arena = { 0 };
		struct buffer message = { 0 };
		for (int i = 0; i < 2 * MIME_MAX_DEPTH; i++)
			buffer_add_format(&message,
					  as_messages
						  ? "Content-Type: message/rfc822\r\n\r\n"
						  : "Content-Type: multipart/x; boundary=b%d\r\n"
						    "\r\n--b%d\r\n",
					  i, i);
		const struct mime_part *root = structure_parse(buffer_slice(&message), &arena);
		assert_int_equal(
			structure_check(root, buffer_slice(&message), 0, message.len, 1, true),
			MIME_MAX_DEPTH);
		while (root->first_child)
			root = root->first_child;
		assert_slice(root->type, "application");
		assert_slice(root->subtype, "octet-stream");
		assert_int_equal(root->body_end, message.len);
		buffer_free(&message);
		arena_fini(&arena);
	}
}

static void parts_are_bounded(void **state)
{
	struct arena arena = { 0 };
	struct buffer message = { 0 };
	buffer_add_cstr(&message, "Content-Type: multipart/digest; boundary=x\r\n\r\n");
	for (int i = 0; i < MIME_MAX_PARTS; i++)
		buffer_add_cstr(&message, "--x\r\n\r\n\r\n\r\na\r\n");
	buffer_add_cstr(&message, "--x--\r\n");
	const struct mime_part *root = structure_parse(buffer_slice(&message), &arena);
	assert_true(structure_check(root, buffer_slice(&message), 0, message.len, 1, true) <=
		    MIME_MAX_PARTS);
	/* With empty multiparts, which need a part in them. */
	buffer_clear(&message);
	buffer_add_cstr(&message, "Content-Type: multipart/mixed; boundary=x\r\n\r\n");
	for (int i = 0; i < MIME_MAX_PARTS; i++)
		buffer_add_cstr(&message,
				"--x\r\nContent-Type: multipart/mixed; boundary=y\r\n\r\n");
	root = structure_parse(buffer_slice(&message), &arena);
	assert_true(structure_check(root, buffer_slice(&message), 0, message.len, 1, true) <=
		    MIME_MAX_PARTS);
	buffer_free(&message);
	arena_fini(&arena);
}

/* What is kept of headers is bounded, one by one and together. */
static void headers_are_bounded(void **state)
{
	struct arena arena = { 0 };
	struct buffer message = { 0 }, record = { 0 };
	buffer_add_cstr(&message, "Subject: a\r\nTo: ");
	for (int i = 0; i < 100000; i++)
		buffer_add_cstr(&message, "a@b,\r\n ");
	buffer_add_cstr(&message, "c@d\r\nContent-Type: text/html\r\n\r\nbody");
	struct mime_part *root = structure_parse(buffer_slice(&message), &arena);
	structure_check(root, buffer_slice(&message), 0, message.len, 1, true);
	assert_int_equal(root->body_start, message.len - 4);
	assert_int_equal(root->envelope->to_count, ADDRESS_LIST_MAX - 1);
	assert_slice(root->envelope->subject, "a");
	assert_slice(root->subtype, "plain"); /* beyond what is looked at */

	buffer_clear(&message);
	buffer_add_cstr(&message, "Content-Type: multipart/mixed; boundary=x\r\n\r\n");
	for (int i = 0; i < 700; i++)
		buffer_add_format(&message, "--x\r\nContent-Description: %08000d\r\n\r\na\r\n", i);
	root = structure_parse(buffer_slice(&message), &arena);
	assert_int_equal(structure_check(root, buffer_slice(&message), 0, message.len, 1, true),
			 701);
	digest_encode(root, &record);
	assert_true(record.len > MIME_MAX_KEPT_OCTETS / 2);
	assert_true(record.len < MIME_MAX_KEPT_OCTETS + 701 * 100);
	buffer_free(&message);
	buffer_free(&record);
	arena_fini(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(structures),	     cmocka_unit_test(bare_line_ends),
		cmocka_unit_test(fields_of_a_part),  cmocka_unit_test(envelopes),
		cmocka_unit_test(section_numbers),   cmocka_unit_test(depth_is_bounded),
		cmocka_unit_test(parts_are_bounded), cmocka_unit_test(headers_are_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
