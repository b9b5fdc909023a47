/* tests/unit/imapd/bodystructure.c - BODY and BODYSTRUCTURE of messages with every kind of
 * part, as RFC 9051 section 7.5.2 wants them. */
#include "tests/unit/imapd/message.h"

#include "imapd/bodystructure_priv.h"
#include "tests/fuzz/imap_strict.h"

static void check(const char *text, enum bodystructure_form form, const char *want)
{
	struct message m = message_of(text);
	struct buffer out = { 0 };
	bodystructure_render(&out, m.root, form, false);
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
	bodystructure_render(&out, &part, FORM_BODY, false);
	assert_slice(buffer_slice(&out),
		     "(\"application\" \"octet-stream\" NIL NIL NIL \"7bit\" 3)");
	part.type = SLICE("message");
	part.subtype = SLICE("rfc822");
	buffer_clear(&out);
	bodystructure_render(&out, &part, FORM_BODY, false);
	assert_slice(buffer_slice(&out),
		     "(\"application\" \"octet-stream\" NIL NIL NIL \"7bit\" 3)");
	part.subtype = SLICE("delivery-status");
	part.language = SLICE(" , ");
	buffer_clear(&out);
	bodystructure_render(&out, &part, FORM_BODYSTRUCTURE, false);
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
	bodystructure_render(&out, &part, FORM_BODY, true);
	assert_slice(buffer_slice(&out), "(\"text\" \"plain\" NIL NIL {3}\r\na\x80"
					 "b \"7bit\" 0 0)");
	assert_true(strict_body_is_right(buffer_slice(&out), true, false));
	buffer_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_text),
		cmocka_unit_test(no_text),
		cmocka_unit_test(a_message_in_a_multipart),
		cmocka_unit_test(what_cannot_be_taken_apart),
		cmocka_unit_test(nul_does_not_leave),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
