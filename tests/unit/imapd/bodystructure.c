/* tests/unit/imapd/bodystructure.c - BODY and BODYSTRUCTURE of messages with every kind of
 * part, as RFC 9051 section 7.5.2 wants them. */
#include "tests/unit/imapd/message.h"

#include "mail/structure_text.h"
#include "tests/fuzz/imap_strict.h"
#include "tests/unit/imapd/bodystructure_reference.h"
#include "tests/unit/mail/corpus.h"

static void check(const char *text, enum bodystructure_form form, const char *want)
{
	struct message m = message_of(text);
	struct buffer out = { 0 };
	assert_true(bodystructure_render(&out, m.root, form, false));
	assert_slice(buffer_slice(&out), want);
	assert_true(strict_body_is_right(buffer_slice(&out), false, form == FORM_BODYSTRUCTURE));
	buffer_free(&out);
	message_fini(&m);
}

static void plain_text(void **state)
{
	check("Subject: x\n\none\ntwo\n", FORM_BODY,
	      "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 10 2)");
	check("Content-Type: text/html; charset=utf-8\n"
	      "Content-Transfer-Encoding: Quoted-Printable\n"
	      "Content-ID: <a@b>\nContent-Description: words\nContent-MD5: "
	      "Q2hlY2sgSW50ZWdyaXR5IQ==\n"
	      "Content-Disposition: inline; filename=\"a b.html\"\n"
	      "Content-Language: en, de\nContent-Location: http://example.org/\n"
	      "\n<p>\n",
	      FORM_BODYSTRUCTURE,
	      "(\"text\" \"html\" (\"charset\" \"utf-8\") \"<a@b>\" \"words\" \"quoted-printable\" "
	      "5 1 "
	      "\"Q2hlY2sgSW50ZWdyaXR5IQ==\" (\"inline\" (\"filename\" \"a b.html\")) "
	      "(\"en\" \"de\") \"http://example.org/\")");
}

static void no_text(void **state)
{
	check("Content-Type: application/pdf\nContent-Transfer-Encoding: base64\n"
	      "Content-Disposition: attachment\nContent-Language: fr\n\nAAAA\n",
	      FORM_BODYSTRUCTURE,
	      "(\"application\" \"pdf\" NIL NIL NIL \"base64\" 6 "
	      "NIL (\"attachment\" NIL) \"fr\" NIL)");
}

static const char nested[] = "Content-Type: multipart/mixed; boundary=out\n"
			     "\n"
			     "--out\n"
			     "\n"
			     "text\n"
			     "--out\n"
			     "Content-Type: message/rfc822\n"
			     "\n"
			     "Subject: inner\n"
			     "From: a@b\n"
			     "Content-Type: multipart/alternative; boundary=in\n"
			     "\n"
			     "--in\n"
			     "Content-Type: text/plain; charset=utf-8\n"
			     "\n"
			     "x\n"
			     "--in\n"
			     "Content-Type: image/png\n"
			     "\n"
			     "y\n"
			     "--in--\n"
			     "--out--\n";

static void a_message_in_a_multipart(void **state)
{
	check(nested, FORM_BODY,
	      "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 4 0)"
	      "(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 173 "
	      "(NIL \"inner\" ((NIL NIL \"a\" \"b\")) ((NIL NIL \"a\" \"b\")) "
	      "((NIL NIL \"a\" \"b\")) NIL NIL NIL NIL NIL) "
	      "((\"text\" \"plain\" (\"charset\" \"utf-8\") NIL NIL \"7bit\" 1 0)"
	      "(\"image\" \"png\" NIL NIL NIL \"7bit\" 1) \"alternative\") 12) \"mixed\")");
	check(nested, FORM_BODYSTRUCTURE,
	      "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 4 0 "
	      "NIL NIL NIL NIL)"
	      "(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 173 "
	      "(NIL \"inner\" ((NIL NIL \"a\" \"b\")) ((NIL NIL \"a\" \"b\")) "
	      "((NIL NIL \"a\" \"b\")) NIL NIL NIL NIL NIL) "
	      "((\"text\" \"plain\" (\"charset\" \"utf-8\") NIL NIL \"7bit\" 1 0 NIL NIL NIL NIL)"
	      "(\"image\" \"png\" NIL NIL NIL \"7bit\" 1 NIL NIL NIL NIL) \"alternative\" "
	      "(\"boundary\" \"in\") NIL NIL NIL) 12 NIL NIL NIL NIL) \"mixed\" "
	      "(\"boundary\" \"out\") NIL NIL NIL)");
}

/* What is called message/rfc822 or multipart and was not taken apart. */
static void what_cannot_be_taken_apart(void **state)
{
	struct mime_part part = { .type = SLICE("multipart"),
				  .subtype = SLICE("mixed"),
				  .encoding = SLICE("7bit"),
				  .body_end = 3,
				  .lines = 1 };
	struct buffer out = { 0 };
	assert_true(bodystructure_render(&out, &part, FORM_BODY, false));
	assert_slice(buffer_slice(&out),
		     "(\"application\" \"octet-stream\" NIL NIL NIL \"7bit\" 3)");
	part.type = SLICE("message");
	part.subtype = SLICE("rfc822");
	buffer_clear(&out);
	assert_true(bodystructure_render(&out, &part, FORM_BODY, false));
	assert_slice(buffer_slice(&out),
		     "(\"application\" \"octet-stream\" NIL NIL NIL \"7bit\" 3)");
	part.subtype = SLICE("delivery-status");
	part.language = SLICE(" , ");
	buffer_clear(&out);
	assert_true(bodystructure_render(&out, &part, FORM_BODYSTRUCTURE, false));
	assert_slice(buffer_slice(&out), "(\"message\" \"delivery-status\" NIL NIL NIL \"7bit\" 3 "
					 "NIL NIL NIL NIL)");
	buffer_free(&out);
}

static void nul_does_not_leave(void **state)
{
	struct mime_part part = { .type = SLICE("text"),
				  .subtype = SLICE("plain"),
				  .encoding = SLICE("7bit"),
				  .description = SLICE("a\0b") };
	struct buffer out = { 0 };
	assert_true(bodystructure_render(&out, &part, FORM_BODY, true));
	assert_slice(buffer_slice(&out), "(\"text\" \"plain\" NIL NIL {3}\r\na\x80"
					 "b \"7bit\" 0 0)");
	assert_true(strict_body_is_right(buffer_slice(&out), true, false));
	buffer_free(&out);
}

/* In all forms, as it is told from the text that arrival makes and from a record that has none. */
static void check_same(const struct mime_part *root, const char *name)
{
	struct buffer text = { 0 }, record = { 0 }, want = { 0 }, got = { 0 };
	struct arena arena = { 0 };
	struct mime_part *decoded;
	structure_text_encode(root, &text);
	digest_encode(root, &record);
	assert_true(digest_decode(buffer_slice(&record), &arena, &decoded));
	for (unsigned i = 0; i < 4; i++) {
		enum bodystructure_form form = i & 1 ? FORM_BODY : FORM_BODYSTRUCTURE;
		bool utf8 = i & 2;
		buffer_clear(&want);
		reference_render(&want, root, form, utf8);
		buffer_clear(&got);
		assert_true(bodystructure_tell(&got, buffer_slice(&text), form, utf8));
		if (!slice_eq(buffer_slice(&want), buffer_slice(&got)))
			fail_msg("%s: %.*s, want %.*s", name, SLICE_ARG(buffer_slice(&got)),
				 SLICE_ARG(buffer_slice(&want)));
		buffer_clear(&got);
		assert_true(bodystructure_render(&got, decoded, form, utf8));
		assert_true(slice_eq(buffer_slice(&want), buffer_slice(&got)));
	}
	buffer_free(&text);
	buffer_free(&record);
	buffer_free(&want);
	buffer_free(&got);
	arena_fini(&arena);
}

static void every_message_as_the_grammar_has_it(void **state)
{
	find_corpora();
	for (size_t i = 0; i < name_count; i++) {
		struct arena arena = { 0 };
		check_same(structure_parse(read_file(names[i], &arena), &arena), names[i]);
		arena_fini(&arena);
	}
}

/* Octets of all kinds in every place where a sender may put some. */
static void odd_octets_in_every_place(void **state)
{
	static const char *const odd[] = { "\"",       "\\", "\x01", "\x7f", "\x80",
					   "\xc3\xa9", "\t", "=",    "(" };
	for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
		struct arena arena = { 0 };
		const char *o = odd[i];
		check_same(
			structure_parse(
				slice_cstr(arena_format(
					&arena,
					"Content-Type: multipart/x%s; boundary=b; a%s=\"1%s\"\r\n"
					"Content-Language: d%s, e\r\nContent-Location: %s\r\n\r\n"
					"--b\r\nContent-Type: t%s/p; charset=\"%s\"\r\n"
					"Content-ID: <%s>\r\nContent-Description: %s\r\n"
					"Content-Transfer-Encoding: e%s\r\nContent-MD5: %s\r\n"
					"Content-Disposition: i%s; filename=\"%s\"\r\n\r\nx\r\n"
					"--b\r\nContent-Type: message/rfc822\r\n\r\n"
					"Subject: %s\r\nFrom: %s <a%s@b>\r\n\r\n\r\n--b--\r\n",
					o, o, o, o, o, o, o, o, o, o, o, o, o, o, o, o)),
				&arena),
			o);
		arena_fini(&arena);
	}
}

static void long_strings(void **state)
{
	static const size_t lengths[] = { 249, 250, 251, 999, 1000, 1001, 5000 };
	for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
		struct arena arena = { 0 };
		char *text = arena_alloc(&arena, lengths[i] + 1);
		memset(text, 'a', lengths[i]);
		check_same(
			structure_parse(slice_cstr(arena_format(
						&arena, "Content-Description: %s\r\n\r\n", text)),
					&arena),
			"long");
		arena_fini(&arena);
	}
}

/* Every octet changed, every length: false and nothing said, or something said; never a crash. */
static void damage_is_found_or_harmless(void **state)
{
	struct message m = message_of(nested);
	struct buffer text = { 0 }, out = { 0 };
	structure_text_encode(m.root, &text);
	for (size_t at = 0; at < text.len; at++) {
		uint8_t kept = text.data[at];
		for (unsigned octet = 0; octet < 256; octet++) {
			text.data[at] = (uint8_t)octet;
			buffer_clear(&out);
			if (!bodystructure_tell(&out, buffer_slice(&text), FORM_BODYSTRUCTURE,
						false))
				assert_int_equal(out.len, 0);
		}
		text.data[at] = kept;
		uint8_t *copy = malloc(at + 1);
		memcpy(copy, text.data, at);
		buffer_clear(&out);
		if (!bodystructure_tell(&out, slice_of(copy, at), FORM_BODYSTRUCTURE, true))
			assert_int_equal(out.len, 0);
		free(copy);
	}
	buffer_free(&text);
	buffer_free(&out);
	message_fini(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_text),
		cmocka_unit_test(no_text),
		cmocka_unit_test(a_message_in_a_multipart),
		cmocka_unit_test(what_cannot_be_taken_apart),
		cmocka_unit_test(nul_does_not_leave),
		cmocka_unit_test(every_message_as_the_grammar_has_it),
		cmocka_unit_test(odd_octets_in_every_place),
		cmocka_unit_test(long_strings),
		cmocka_unit_test(damage_is_found_or_harmless),
	};
	return cmocka_run_group_tests(tests, NULL, forget_names);
}
