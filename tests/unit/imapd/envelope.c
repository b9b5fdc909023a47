/* tests/unit/imapd/envelope.c - ENVELOPE as RFC 9051 section 7.5.2 wants it. */
#include "tests/unit/imapd/message.h"

#include "imapd/envelope_priv.h"
#include "tests/fuzz/imap_strict.h"

static void check(const char *text, bool utf8, const char *want)
{
	struct message m = message_of(text);
	struct buffer out = { 0 };
	envelope_render(&out, m.root->envelope, utf8);
	assert_slice(buffer_slice(&out), want);
	assert_true(strict_envelope_is_right(buffer_slice(&out), utf8));
	buffer_free(&out);
	message_fini(&m);
}

static void says_what_the_header_says(void **state)
{
	check("Date: Wed, 17 Jul 1996 02:23:25 -0700\n"
	      "Subject: IMAP4rev2 WG mtg summary and minutes\n"
	      "From: Terry Gray <gray@cac.washington.edu>\n"
	      "To: imap@cac.washington.edu\n"
	      "Cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>\n"
	      "Message-Id: <B27397-0100000@cac.washington.ed>\n"
	      "\n",
	      false,
	      "(\"Wed, 17 Jul 1996 02:23:25 -0700\" \"IMAP4rev2 WG mtg summary and minutes\" "
	      "((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) "
	      "((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) "
	      "((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) "
	      "((NIL NIL \"imap\" \"cac.washington.edu\")) "
	      "((NIL NIL \"minutes\" \"CNRI.Reston.VA.US\")"
	      "(\"John Klensin\" NIL \"KLENSIN\" \"MIT.EDU\")) "
	      "NIL NIL \"<B27397-0100000@cac.washington.ed>\")");
}

static void tells_absent_from_empty(void **state)
{
	check("\n", false, "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)");
	check("Subject:\nTo: \n\n", false, "(NIL \"\" NIL NIL NIL NIL NIL NIL NIL NIL)");
}

static void marks_groups(void **state)
{
	check("From: a@b\nTo: team: x@y, \"Z, W\" <z@w>;\n\n", false,
	      "(NIL NIL ((NIL NIL \"a\" \"b\")) ((NIL NIL \"a\" \"b\")) ((NIL NIL \"a\" \"b\")) "
	      "((NIL NIL \"team\" NIL)(NIL NIL \"x\" \"y\")(\"Z, W\" NIL \"z\" \"w\")"
	      "(NIL NIL NIL NIL)) NIL NIL NIL NIL)");
}

static void quotes_what_it_can(void **state)
{
	check("Subject: say \"hi\" \\ bye\n\n", false,
	      "(NIL \"say \\\"hi\\\" \\\\ bye\" NIL NIL NIL NIL NIL NIL NIL NIL)");
	check("Subject: gr\xc3\xbc\xc3\x9f\n\n", false,
	      "(NIL {6}\r\ngr\xc3\xbc\xc3\x9f NIL NIL NIL NIL NIL NIL NIL NIL)");
	check("Subject: gr\xc3\xbc\xc3\x9f\n\n", true,
	      "(NIL \"gr\xc3\xbc\xc3\x9f\" NIL NIL NIL NIL NIL NIL NIL NIL)");
	/* Not UTF-8: a literal for everybody. */
	check("Subject: gr\xfc\n\n", true, "(NIL {3}\r\ngr\xfc NIL NIL NIL NIL NIL NIL NIL NIL)");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(says_what_the_header_says),
		cmocka_unit_test(tells_absent_from_empty),
		cmocka_unit_test(marks_groups),
		cmocka_unit_test(quotes_what_it_can),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
