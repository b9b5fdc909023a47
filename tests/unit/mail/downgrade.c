/* tests/unit/mail/downgrade.c - messages for servers without 8BITMIME or BINARYMIME: what each part
 * becomes, what cannot be had, and that nothing is lost in whatever message. */
#include "tests/unit/unit.h"

#include "base/attributes.h"
#include "mail/downgrade_priv.h"
#include "tests/dice.h"
#include "tests/unit/mail/crlf.h"
#include "tests/unit/mail/downgraded.h"

#define MIXED "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=x\n"
#define CTE "Content-Transfer-Encoding: "

/* Lines end with LF here. */
static const struct {
	const char *message, *result; /* NULL: see `verdict` */
	enum downgrade_verdict verdict;
} cases[] = {
	/* Leaves. */
	{ "Subject: a\n\nb\n", NULL, DOWNGRADE_NEEDLESS },
	{ "", NULL, DOWNGRADE_NEEDLESS },
	{ CTE "8bit\n\nall of it ASCII\n", NULL, DOWNGRADE_NEEDLESS },
	{ "MIME-Version: 1.0\n" CTE "8bit\nSubject: a\n\nGr\xc3\xbc\xc3\x9f"
	  "e aus dem Norden\n",
	  "MIME-Version: 1.0\n" CTE
	  "quoted-printable\nSubject: a\n\nGr=C3=BC=C3=9Fe aus dem Norden\n" },
	{ "Subject: a\n\nGr\xc3\xbc\xc3\x9f"
	  "e aus dem Norden\n",
	  "Subject: a\nMIME-Version: 1.0\n" CTE
	  "quoted-printable\n\nGr=C3=BC=C3=9Fe aus dem Norden\n" },
	/* Most of it not ASCII: base64 is shorter. */
	{ "Mime-version: 1.0\n" CTE "8bit\n\n\xe4\xbd\xa0\xe5\xa5\xbd\n",
	  "Mime-version: 1.0\n" CTE "base64\n\n5L2g5aW9DQo=\n" },
	{ "MIME-Version: 1.0\nContent-Type: image/gif\n" CTE
	  "binary\n\nGIF89a and more of it \xff\n",
	  "MIME-Version: 1.0\nContent-Type: image/gif\n" CTE
	  "base64\n\nR0lGODlhIGFuZCBtb3JlIG9mIGl0IP8NCg==\n" },
	/* Labels that are wrong, come twice, or are no words. */
	{ "MIME-Version: 1.0\n" CTE "7bit\n" CTE "8bit\n\nall but one \xe4\n",
	  "MIME-Version: 1.0\n" CTE "quoted-printable\n\nall but one =E4\n" },
	{ "MIME-Version: 1.0\n" CTE "8-bit\n\nall but one \xe4\n",
	  "MIME-Version: 1.0\n" CTE "quoted-printable\n\nall but one =E4\n" },
	/* What is encoded is not encoded twice (RFC 3030 section 3). */
	{ "MIME-Version: 1.0\n" CTE "quoted-printable\n\na=3Db, all but one \xe4\n",
	  "MIME-Version: 1.0\n" CTE "quoted-printable\n\na=3Db, all but one =E4\n" },
	{ "MIME-Version: 1.0\nContent-Type: a/b\n" CTE "base64\n\nSGVs\xe4"
	  "bG8=\n",
	  "MIME-Version: 1.0\nContent-Type: a/b\n" CTE "base64\n\nSGVsbG8=\n" },
	{ CTE "x-uuencode\n\nbegin \xe4\n", NULL, DOWNGRADE_ENCODING },
	{ CTE "x-uuencode\n\nbegin\n", NULL, DOWNGRADE_NEEDLESS },
	{ CTE "yenc\n\nbegin \xe4\n", NULL, DOWNGRADE_ENCODING },
	/* No empty line, no header, no line end. */
	{ "Subject: a\nfield: it is a k\xc3\xbcrzere line\n", NULL, DOWNGRADE_HEADER },
	{ "Subject: a\nno field, but quite a long line of text \xe4\n",
	  "Subject: a\nMIME-Version: 1.0\n" CTE
	  "quoted-printable\n\nno field, but quite a long line of text =E4\n" },
	{ "no field, but quite a long line of text \xe4",
	  "MIME-Version: 1.0\n" CTE
	  "quoted-printable\n\nno field, but quite a long line of text =E4=\n" },
	/* Headers. */
	{ "Subject: \xc3\xa4\n\nb\n", NULL, DOWNGRADE_HEADER },
	{ MIXED "\n--x\nContent-Description: \xe4\n\na\n--x--\n", NULL, DOWNGRADE_HEADER },
	/* Containers: labelled, never encoded. */
	{ MIXED CTE "8bit\n\npre\n--x\n" CTE "8bit\n\nall but one \xe4\n--x\n" CTE
		    "8bit\n\nb\n--x\n\nc\n--x--\nend\n",
	  MIXED CTE "7bit\n\npre\n--x\n" CTE "quoted-printable\n\nall but one =E4\n--x\n" CTE
		    "7bit\n\nb\n--x\n\nc\n--x--\nend\n" },
	{ MIXED "\n--x\nContent-Type: message/rfc822\n" CTE "8bit\n\nSubject: b\n" CTE
		"8bit\n\nall but one \xe4\n--x--\n",
	  MIXED "\n--x\nContent-Type: message/rfc822\n" CTE "7bit\n\nSubject: b\n" CTE
		"quoted-printable\nMIME-Version: 1.0\n\nall but one =E4\n--x--\n" },
	{ MIXED "\n--x\nContent-Type: message/rfc822\n\nSubject: \xe4\n\nb\n--x--\n", NULL,
	  DOWNGRADE_HEADER },
	/* RFC 6532 section 3.7 */
	{ MIXED "\n--x\nContent-Type: message/global\n\nSubject: only this one \xe4\n\nand the "
		"body is text\n--x--\n",
	  MIXED "\n--x\nContent-Type: message/global\n" CTE
		"quoted-printable\n\nSubject: only this one =E4\n\nand the body is text\n--x--\n" },
	{ MIXED "\n--x\nContent-Type: message/global\n\nSubject: b\n\nall but one \xe4\n--x--\n",
	  MIXED "\n--x\nContent-Type: message/global\n\nSubject: b\nMIME-Version: 1.0\n" CTE
		"quoted-printable\n\nall but one =E4\n--x--\n" },
	{ MIXED "\n--x\nContent-Type: message/partial\n\nall but one \xe4\n--x--\n", NULL,
	  DOWNGRADE_FORBIDDEN },
	{ MIXED "\n--x\nContent-Type: message/external-body\n\nall but one \xe4\n--x--\n", NULL,
	  DOWNGRADE_FORBIDDEN },
	{ MIXED "\n--x\nContent-Type: message/delivery-status\n\nStatus: all but one \xe4\n--x--\n",
	  MIXED "\n--x\nContent-Type: message/delivery-status\n" CTE
		"quoted-printable\n\nStatus: all but one =E4\n--x--\n" },
	/* RFC 1847: what is signed is left alone; what stands beside is not. */
	{ "Content-Type: multipart/signed; boundary=x\n\n--x\n\nall but one "
	  "\xe4\n--x\n\nsignature\n--x--\n",
	  NULL, DOWNGRADE_SIGNED },
	{ MIXED "\n--x\nContent-Type: multipart/signed; boundary=y\n\n--y\n" CTE
		"8bit\n\na\n--y\n\nsignature\n--y--\n--x\n\nall but one \xe4\n--x--\n",
	  MIXED "\n--x\nContent-Type: multipart/signed; boundary=y\n\n--y\n" CTE
		"8bit\n\na\n--y\n\nsignature\n--y--\n--x\n" CTE
		"quoted-printable\n\nall but one =E4\n--x--\n" },
	{ "Content-Type: multipart/encrypted; boundary=x\n\n--x\n\nVersion: 1\n--x\nContent-Type: "
	  "application/octet-stream\n\n\xe4\n--x--\n",
	  "Content-Type: multipart/encrypted; boundary=x\n\n--x\n\nVersion: 1\n--x\nContent-Type: "
	  "application/octet-stream\n" CTE "base64\n\n5A==\n\n--x--\n" },
	/* What nobody reads. */
	{ MIXED "\npre \xe4\n--x\n\na\n--x--\n", MIXED "\n--x\n\na\n--x--\n" },
	{ MIXED "\npre\n--x\n\na\n--x--\nend \xe4\n", MIXED "\npre\n--x\n\na\n--x--\n" },
	{ MIXED "\n--x\n\na\n--x--\nend \xe4", MIXED "\n--x\n\na\n--x--\n" },
	/* Multiparts that are none. */
	{ MIXED "\nno parts, but one \xe4\n",
	  MIXED CTE "quoted-printable\n\nno parts, but one =E4\n" },
	{ "Content-Type: multipart/mixed\n\nno boundary, but one \xe4\n",
	  "Content-Type: multipart/mixed\nMIME-Version: 1.0\n" CTE
	  "quoted-printable\n\nno boundary, but one =E4\n" },
	{ MIXED "\n--x\n\nnever closed, but one \xe4\n",
	  MIXED "\n--x\n" CTE "quoted-printable\n\nnever closed, but one =E4\n" },
	/* No line that is made is a boundary. */
	{ MIXED "\n--x\n" CTE "quoted-printable\n\n=2D-x, all but one \xe4\n=2D-x\n--x--\n",
	  MIXED "\n--x\n" CTE "quoted-printable\n\n=2D-x, all but one =E4\n=2D-x\n--x--\n" },
};

static void each_part_becomes_what_it_has_to(void **state)
{
	struct arena arena = { 0 };
	struct buffer result = { 0 };
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct slice message = crlf(cases[i].message, &arena);
		enum downgrade_verdict verdict =
			downgraded(message, 0, DOWNGRADE_TO_7BIT, 1 + i * 7, &result);
		enum downgrade_verdict want =
			cases[i].result ? DOWNGRADE_PLANNED : cases[i].verdict;
		if (verdict != want)
			fail_msg("%s: verdict %d, want %d", cases[i].message, verdict, want);
		if (cases[i].result &&
		    !slice_eq(buffer_slice(&result), crlf(cases[i].result, &arena)))
			fail_msg("%s: got\n%.*s", cases[i].message,
				 SLICE_ARG(buffer_slice(&result)));
		downgraded_check(message, DOWNGRADE_TO_7BIT, 10);
		downgraded_check(message, DOWNGRADE_BODIES_TO_7BIT, 10);
		downgraded_check(message, DOWNGRADE_TO_8BIT, 10);
	}
	buffer_free(&result);
	arena_fini(&arena);
}

/* Line ends are what they are in these; NUL is "@". */
static const struct {
	enum downgrade_form form;
	const char *message, *result;
	enum downgrade_verdict verdict;
} binaries[] = {
	/* 8 bits stay for who takes them. */
	{ DOWNGRADE_TO_8BIT,
	  "MIME-Version: 1.0\r\n" CTE "8bit\r\nSubject: \xc3\xa4\r\n\r\n\xe4\r\n", NULL,
	  DOWNGRADE_NEEDLESS },
	/* What no such server may be told. */
	{ DOWNGRADE_TO_8BIT,
	  "MIME-Version: 1.0\r\n" CTE "binary\r\nSubject: \xc3\xa4\r\n\r\n\xe4\r\n",
	  "MIME-Version: 1.0\r\n" CTE "8bit\r\nSubject: \xc3\xa4\r\n\r\n\xe4\r\n" },
	{ DOWNGRADE_TO_7BIT, "MIME-Version: 1.0\r\n" CTE "binary\r\n\r\nASCII\r\n",
	  "MIME-Version: 1.0\r\n" CTE "7bit\r\n\r\nASCII\r\n" },
	{ DOWNGRADE_TO_8BIT,
	  "Content-Type: multipart/mixed; boundary=x\r\n" CTE "8bit\r\n\r\n"
	  "--x\r\n" CTE "binary\r\n\r\nASCII\r\n--x--\r\n",
	  "Content-Type: multipart/mixed; boundary=x\r\n" CTE "8bit\r\n\r\n"
	  "--x\r\n" CTE "8bit\r\n\r\nASCII\r\n--x--\r\n" },
	{ DOWNGRADE_TO_8BIT,
	  "Content-Type: multipart/signed; boundary=x\r\n\r\n--x\r\n" CTE
	  "binary\r\n\r\n\xe4\r\n--x\r\n\r\nsignature\r\n--x--\r\n",
	  NULL, DOWNGRADE_NEEDLESS },
	{ DOWNGRADE_TO_8BIT,
	  "MIME-Version: 1.0\r\n" CTE "binary\r\nSubject: \xc3\xa4\r\n\r\nall but one \n\r\n",
	  "MIME-Version: 1.0\r\n" CTE
	  "quoted-printable\r\nSubject: \xc3\xa4\r\n\r\nall but one =0A\r\n" },
	{ DOWNGRADE_TO_8BIT,
	  "Content-Type: multipart/mixed; boundary=x\r\n" CTE "binary\r\n\r\n"
	  "--x\r\n" CTE "binary\r\n\r\n\xe4\r\n--x\r\nContent-Type: a/b\r\n" CTE
	  "binary\r\n\r\n@\r\n--x--\r\n",
	  "Content-Type: multipart/mixed; boundary=x\r\n" CTE "8bit\r\n\r\n"
	  "--x\r\n" CTE "8bit\r\n\r\n\xe4\r\n--x\r\nContent-Type: a/b\r\n" CTE
	  "base64\r\n\r\nAA==\r\n\r\n--x--\r\n" },
	/* Line ends of headers and delimiters are canonical afterwards. */
	{ DOWNGRADE_TO_7BIT,
	  "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n"
	  "--x\nContent-ID: <a>\n\nb\n--x\n\nc\n--x--\nend\n",
	  "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n"
	  "--x\r\nContent-ID: <a>\r\n\r\nb\r\n--x\r\n\r\nc\r\n--x--\r\n" },
	/* A line that is no field, for the CR in it, belongs to the field before it, and does afterwards:
	 * were it a label now, it would be the first. */
	{ DOWNGRADE_TO_8BIT,
	  "MIME-Version: 1.0\r\nContent-Type: a/b; c=d\r\nContent-Transfer-Encoding\r: "
	  "binary\r\n\r\n"
	  "@\r\n",
	  "MIME-Version: 1.0\r\nContent-Type: a/b; c=d\r\n Content-Transfer-Encoding : "
	  "binary\r\n" CTE "base64\r\n\r\nAA0K\r\n" },
	{ DOWNGRADE_TO_8BIT,
	  "MIME-Version\r: 1.0\r\n" CTE "binary\r\nContent-ID: <a\r\n\rb>\r\n\r\nc\r\n",
	  " MIME-Version : 1.0\r\n" CTE "8bit\r\nContent-ID: <a\r\n  b>\r\n\r\nc\r\n" },
	/* Nor does such a line become a delimiter. */
	{ DOWNGRADE_TO_8BIT,
	  "Content-Type: multipart/mixed; boundary=\"a b\"\r\n\r\n"
	  "--a b\r\n--a\rb\r\nContent-ID: <c>\r\n\r\nd\r\n--a b--\r\n",
	  "Content-Type: multipart/mixed; boundary=\"a b\"\r\n\r\n"
	  "--a b\r\n --a b\r\nContent-ID: <c>\r\n\r\nd\r\n--a b--\r\n" },
	{ DOWNGRADE_TO_8BIT,
	  "Content-Type: multipart/mixed; boundary=\"a: b\"\r\n\r\n"
	  "--a: b\r\n--a:\rb\r\nContent-ID: <c>\r\n\r\nd\r\n--a: b--\r\n",
	  NULL, DOWNGRADE_HEADER },
	/* A line that is no field belongs to the header for the field behind it, and does so without. */
	{ DOWNGRADE_TO_8BIT,
	  "MIME-Version: 1.0\r\n" CTE "binary\r\nSubject: a\r\nno field\r\n" CTE
	  "8bit\r\nnor this, but the body \xe4\r\n",
	  "MIME-Version: 1.0\r\n" CTE "8bit\r\nSubject: a\r\nno field\r\n\r\n"
	  "nor this, but the body \xe4\r\n" },
	/* Text with NUL. */
	{ DOWNGRADE_TO_7BIT, "MIME-Version: 1.0\r\n\r\na long line of text with @ in it\r\n",
	  "MIME-Version: 1.0\r\n" CTE
	  "base64\r\n\r\nYSBsb25nIGxpbmUgb2YgdGV4dCB3aXRoIAAgaW4gaXQNCg==\r\n" },
	{ DOWNGRADE_TO_8BIT, "Subject: @\r\n\r\na\r\n", NULL, DOWNGRADE_HEADER },
	/* Headers stay as they are, bodies do not. */
	{ DOWNGRADE_BODIES_TO_7BIT, "Subject: \xc3\xa4\r\n\r\na\r\n", NULL, DOWNGRADE_NEEDLESS },
	{ DOWNGRADE_BODIES_TO_7BIT,
	  "MIME-Version: 1.0\r\nSubject: \xc3\xa4\r\n\r\nall but one \xe4\r\n",
	  "MIME-Version: 1.0\r\nSubject: \xc3\xa4\r\n" CTE
	  "quoted-printable\r\n\r\nall but one =E4\r\n" },
	{ DOWNGRADE_BODIES_TO_7BIT,
	  "Content-Type: message/global\r\n\r\nSubject: only this one \xe4\r\n\r\na\r\n",
	  "Content-Type: message/global\r\nMIME-Version: 1.0\r\n" CTE
	  "quoted-printable\r\n\r\nSubject: only this one =E4\r\n\r\na\r\n" },
	{ DOWNGRADE_BODIES_TO_7BIT, "Subject: @\r\n\r\na\r\n", NULL, DOWNGRADE_HEADER },
};

static struct slice with_nul(const char *text, struct arena *arena)
{
	struct slice copy = arena_copy(arena, slice_cstr(text));
	uint8_t *octets = (uint8_t *)(uintptr_t)copy.ptr;
	for (size_t i = 0; i < copy.len; i++)
		if (octets[i] == '@')
			octets[i] = 0;
	return copy;
}

static void binary_content_fits_afterwards(void **state)
{
	struct arena arena = { 0 };
	struct buffer result = { 0 };
	for (size_t i = 0; i < ARRAY_LEN(binaries); i++) {
		struct slice message = with_nul(binaries[i].message, &arena);
		enum downgrade_verdict verdict =
			downgraded(message, 0, binaries[i].form, 100, &result);
		enum downgrade_verdict want =
			binaries[i].result ? DOWNGRADE_PLANNED : binaries[i].verdict;
		if (verdict != want)
			fail_msg("%s: verdict %d, want %d", binaries[i].message, verdict, want);
		if (binaries[i].result)
			assert_slice(buffer_slice(&result), binaries[i].result);
		downgraded_check(message, DOWNGRADE_TO_7BIT, 10);
		downgraded_check(message, DOWNGRADE_BODIES_TO_7BIT, 10);
		downgraded_check(message, DOWNGRADE_TO_8BIT, 10);
	}
	buffer_free(&result);
	arena_fini(&arena);
}

/* A body that is base64 by its label only: it would be read to its end for nothing. */
static void what_decodes_to_nothing_is_not_converted(void **state)
{
	struct buffer message = { 0 }, result = { 0 };
	buffer_add_cstr(&message, "MIME-Version: 1.0\r\n" CTE "base64\r\n\r\n\xe4\r\n");
	while (message.len < 200 * 1000)
		buffer_add_cstr(&message,
				"!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!\r\n");
	assert_int_equal(downgraded(buffer_slice(&message), 0, DOWNGRADE_TO_7BIT, 100, &result),
			 DOWNGRADE_ENCODING);
	buffer_free(&message);
	buffer_free(&result);
}

static void what_lies_before_the_start_is_left_out(void **state)
{
	struct buffer result = { 0 };
	struct slice message =
		SLICE("Return-Path: <a>\r\nMIME-Version: 1.0\r\n\r\nall but one \xe4\r\n");
	assert_int_equal(downgraded(message, 18, DOWNGRADE_TO_7BIT, 100, &result),
			 DOWNGRADE_PLANNED);
	assert_slice(buffer_slice(&result),
		     "MIME-Version: 1.0\r\n" CTE "quoted-printable\r\n\r\nall but one =E4\r\n");
	buffer_free(&result);
}

static void lines_that_are_too_long_are_folded(void **state)
{
	struct buffer message = { 0 }, result = { 0 };
	for (int more = 0; more < 2; more++) {
		buffer_clear(&message);
		buffer_add_cstr(&message, "Subject: a\r\n\r\n");
		for (int i = 0; i < 998 + more; i++)
			buffer_add_byte(&message, 'a');
		buffer_add_cstr(&message, "\r\n");
		assert_int_equal(
			downgraded(buffer_slice(&message), 0, DOWNGRADE_TO_8BIT, 100, &result),
			more ? DOWNGRADE_PLANNED : DOWNGRADE_NEEDLESS);
		downgraded_check(buffer_slice(&message), DOWNGRADE_TO_7BIT, 100);
	}
	buffer_free(&message);
	buffer_free(&result);
}

static void signatures_that_break_are_told_of(void **state)
{
	struct slice message = SLICE("DKIM-Signature: v=1\r\n\r\n\xe4\r\n");
	const struct downgrade_source source = { downgraded_source, &message };
	struct downgrade_outcome outcome;
	struct arena arena = { 0 };
	assert_int_equal(downgrade_plan(&source, structure_parse(message, &arena), 0,
					DOWNGRADE_TO_7BIT, &outcome),
			 ERR_OK);
	assert_true(outcome.breaks_dkim);
	assert_int_equal(outcome.encoded, 1);
	downgrade_free(&outcome.plan);
	arena_fini(&arena);
}

/* ---- limits ---- */

static void what_is_not_looked_into_is_not_converted(void **state)
{
	struct buffer message = { 0 };
	buffer_add_cstr(&message, "Content-Type: multipart/mixed; boundary=x\r\n\r\n");
	for (int i = 0; i < MIME_MAX_PARTS; i++)
		buffer_add_cstr(&message, "--x\r\n\r\na\r\n");
	assert_int_equal(downgraded_check(buffer_slice(&message), DOWNGRADE_TO_7BIT, 60000),
			 DOWNGRADE_NEEDLESS);
	buffer_add_cstr(&message, "--x\r\n\r\n\xe4\r\n--x--\r\n");
	assert_int_equal(downgraded_check(buffer_slice(&message), DOWNGRADE_TO_7BIT, 60000),
			 DOWNGRADE_LIMIT);
	buffer_clear(&message);
	for (int i = 0; i < MIME_MAX_DEPTH; i++)
		buffer_add_format(&message,
				  "Content-Type: multipart/mixed; boundary=x%d\r\n\r\n--x%d\r\n", i,
				  i);
	buffer_add_cstr(&message, "\r\n\xe4\r\n");
	assert_int_equal(downgraded_check(buffer_slice(&message), DOWNGRADE_TO_7BIT, 60000),
			 DOWNGRADE_LIMIT);
	buffer_clear(&message);
	buffer_add_cstr(&message, "Subject: a\r\n");
	for (int i = 0; i < MIME_MAX_HEADER_OCTETS / 64; i++)
		buffer_add_format(&message, " %062d\r\n", i);
	buffer_add_cstr(&message, "\r\n\xe4\r\n");
	assert_int_equal(downgraded_check(buffer_slice(&message), DOWNGRADE_TO_7BIT, 60000),
			 DOWNGRADE_LIMIT);
	buffer_free(&message);
}

/* Behind more fields than are kept the structure has a plain text, whatever the part says of itself. */
static void an_encoding_that_was_not_kept_is_not_encoded(void **state)
{
	static const struct {
		const char *part;
		enum downgrade_verdict verdict;
	} last[] = {
		{ CTE "quoted-printable\r\n\r\na=3Db, all but one \xe4", DOWNGRADE_LIMIT },
		{ "Content-Type: image/gif\r\n\r\nGIF89a \xe4", DOWNGRADE_LIMIT },
		{ "Content-Type: multipart/mixed; boundary=y\r\n\r\n--y\r\n\r\n\xe4\r\n--y--",
		  DOWNGRADE_LIMIT },
		{ "\r\nall but one \xe4", DOWNGRADE_PLANNED },
	};
	struct buffer message = { 0 }, result = { 0 };
	for (size_t i = 0; i < ARRAY_LEN(last); i++) {
		buffer_clear(&message);
		buffer_add_cstr(&message, "Content-Type: multipart/mixed; boundary=x\r\n\r\n");
		for (int n = 0; n < MIME_MAX_KEPT_OCTETS / 262000; n++)
			buffer_add_format(&message,
					  "--x\r\nContent-Description:%0262000d\r\n\r\na\r\n", n);
		for (int n = 0; n < 300; n++)
			buffer_add_cstr(&message,
					"--x\r\nContent-Description:1234567890\r\n\r\na\r\n");
		buffer_add_format(&message, "--x\r\n%s\r\n--x--\r\n", last[i].part);
		assert_int_equal(
			downgraded(buffer_slice(&message), 0, DOWNGRADE_TO_7BIT, 60000, &result),
			last[i].verdict);
	}
	buffer_free(&message);
	buffer_free(&result);
}

/* A message that nobody holds: text of 50 MB, every tenth line with an octet above 127. */
static const char large_header[] = "MIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n";
enum { LARGE_OCTETS = 50 * 1000 * 1000 };
static size_t reads;

static uint8_t large_octet(uint64_t at)
{
	if (at < sizeof(large_header) - 1)
		return (uint8_t)large_header[at];
	at -= sizeof(large_header) - 1;
	return at % 80 == 78 ? '\r' : at % 80 == 79 ? '\n' : at % 800 == 5 ? 0xe4 : 'a';
}

static enum err read_large(void *user, uint64_t offset, size_t len, struct buffer *out)
{
	uint8_t *to = buffer_reserve(out, len);
	for (size_t i = 0; i < len; i++)
		to[i] = large_octet(offset + i);
	out->len += len;
	reads++;
	return ERR_OK;
}

static void a_large_message_is_never_held(void **state)
{
	const struct downgrade_source source = { read_large, NULL };
	struct downgrade_outcome outcome;
	struct arena arena = { 0 };
	struct buffer out = { 0 };
	struct mime_part *root = structure_parse(slice_cstr(large_header), &arena);
	uint64_t octets = 0;
	root->body_end = LARGE_OCTETS;
	reads = 0;
	assert_int_equal(downgrade_plan(&source, root, 0, DOWNGRADE_TO_7BIT, &outcome), ERR_OK);
	assert_int_equal(outcome.verdict, DOWNGRADE_PLANNED);
	do {
		octets += out.len;
		buffer_clear(&out);
		assert_int_equal(downgrade_read(outcome.plan, &source, 64 * 1024, &out), ERR_OK);
	} while (out.len > 0);
	assert_int_equal(octets, outcome.size_octets);
	assert_true(out.cap <= 512 * 1024);
	assert_true(outcome.plan->reader.chunk.cap + outcome.plan->decoded.cap <= 512 * 1024);
	assert_int_equal(outcome.plan->step_count, 2);
	/* Looked at, measured, sent. */
	assert_true(reads <= 3 * (LARGE_OCTETS / DOWNGRADE_CHUNK_OCTETS + 2));
	downgrade_free(&outcome.plan);
	buffer_free(&out);
	arena_fini(&arena);
}

static enum err read_nothing(void *user, uint64_t offset, size_t len, struct buffer *out)
{
	enum err *err = user;
	return *err;
}

static void a_source_that_fails_is_told_of(void **state)
{
	enum err errors[] = { ERR_DISK, ERR_DAMAGED, ERR_OK };
	struct slice message = SLICE("MIME-Version: 1.0\r\n\r\n\xe4\r\n");
	const struct downgrade_source good = { downgraded_source, &message };
	struct downgrade_outcome outcome;
	struct arena arena = { 0 };
	struct buffer out = { 0 };
	struct mime_part *root = structure_parse(message, &arena);
	for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
		const struct downgrade_source bad = { read_nothing, &errors[i] };
		enum err want = errors[i] == ERR_OK ? ERR_DAMAGED : errors[i];
		assert_int_equal(downgrade_plan(&bad, root, 0, DOWNGRADE_TO_7BIT, &outcome), want);
		assert_null(outcome.plan);
	}
	assert_int_equal(downgrade_plan(&good, root, 0, DOWNGRADE_TO_7BIT, &outcome), ERR_OK);
	buffer_free(&outcome.plan->reader.chunk);
	const struct downgrade_source bad = { read_nothing, &errors[0] };
	assert_int_equal(downgrade_read(outcome.plan, &bad, 100, &out), ERR_DISK);
	downgrade_free(&outcome.plan);
	/* A structure of another message. */
	for (int i = 0; i < 3; i++) {
		struct mime_part other = *root;
		uint64_t start = i == 0 ? root->body_start + 1 : 0;
		if (i == 1)
			other.body_start = other.body_end + 1;
		if (i == 2)
			other.header_start = 1;
		assert_int_equal(downgrade_plan(&good, &other, start, DOWNGRADE_TO_7BIT, &outcome),
				 ERR_DAMAGED);
		assert_null(outcome.plan);
	}
	buffer_free(&out);
	arena_fini(&arena);
}

/* ---- whatever comes ---- */

static uint32_t seed;

static void add_body(struct buffer *out)
{
	static const char *const pieces[] = { "\r\n",  "\r\n",	   "\r\n", "--b1\r\n", "--b2--",
					      "-",     " ",	   "\t",   "=",	       "=3D",
					      ".",     "\xc3\xa4", "\xff", "\r",       "\n",
					      "text ", "plain",	   "From " };
	for (size_t left = dice_roll(&seed, 40); left > 0; left--) {
		if (dice_roll(&seed, 60) == 0)
			buffer_add_byte(out, 0);
		else if (dice_roll(&seed, 100) == 0)
			for (int i = 0; i < 1200; i++)
				buffer_add_byte(out, 'x');
		else
			buffer_add_cstr(out, pieces[dice_roll(&seed, ARRAY_LEN(pieces))]);
	}
}

static void add_random_part(struct buffer *out, int depth)
{
	static const char *const encodings[] = { "7bit",   "8bit",  "binary", "quoted-printable",
						 "base64", "x-odd", "8-bit",  "uuencode" };
	static const char *const types[] = { "text/plain; charset=utf-8", "text/html",
					     "application/pdf",		  "message/partial",
					     "message/delivery-status",	  "image/png" };
	const char *line_end = dice_roll(&seed, 12) ? "\r\n" : "\n";
	size_t kind = depth < 5 ? dice_roll(&seed, 4) : 3;
	if (dice_roll(&seed, 3) == 0)
		buffer_add_format(out, "Subject: %s%s", dice_roll(&seed, 12) ? "ascii" : "\xc3\xa4",
				  line_end);
	if (dice_roll(&seed, 2))
		buffer_add_format(out, "Content-Transfer-Encoding: %s%s",
				  encodings[kind < 2 ? dice_roll(&seed, 3)
						     : dice_roll(&seed, ARRAY_LEN(encodings))],
				  line_end);
	if (dice_roll(&seed, 20) == 0)
		buffer_add_format(out, "no field%s", line_end);
	if (kind < 2) {
		int boundary = depth + (int)dice_roll(&seed, 2);
		buffer_add_format(out, "Content-Type: multipart/%s; boundary=b%d%s%s",
				  dice_roll(&seed, 10) == 0  ? "signed"
				  : dice_roll(&seed, 6) == 0 ? "digest"
							     : "mixed",
				  boundary, line_end, line_end);
		if (dice_roll(&seed, 4) == 0)
			add_body(out);
		for (size_t parts = dice_roll(&seed, 4); parts > 0; parts--) {
			buffer_add_format(out, "%s--b%d%s%s", line_end, boundary,
					  dice_roll(&seed, 20) ? "" : " \r ", line_end);
			add_random_part(out, depth + 1);
		}
		if (dice_roll(&seed, 8))
			buffer_add_format(out, "%s--b%d--%s", line_end, boundary, line_end);
		if (dice_roll(&seed, 4) == 0)
			add_body(out);
		return;
	}
	if (kind == 2) {
		buffer_add_format(out, "Content-Type: message/%s%s%s",
				  dice_roll(&seed, 3) ? "rfc822" : "global", line_end, line_end);
		add_random_part(out, depth + 1);
		return;
	}
	if (dice_roll(&seed, 4))
		buffer_add_format(out, "Content-Type: %s%s",
				  types[dice_roll(&seed, ARRAY_LEN(types))], line_end);
	if (dice_roll(&seed, 15))
		buffer_add_cstr(out, line_end);
	add_body(out);
}

static void nothing_is_lost_in_any_message(void **state)
{
	struct buffer message = { 0 };
	unsigned seen[DOWNGRADE_VERDICTS] = { 0 };
	for (uint32_t round = 1; round <= 5000; round++) {
		seed = round;
		buffer_clear(&message);
		add_random_part(&message, 0);
		/* A copy of its own, so that a sanitizer sees who reads beyond it. */
		uint8_t *copy = malloc(message.len + 1);
		memcpy(copy, message.data ? message.data : (const uint8_t *)"", message.len);
		struct slice text = slice_of(copy, message.len);
		seen[downgraded_check(text, DOWNGRADE_TO_7BIT, 1 + dice_roll(&seed, 300))]++;
		seen[downgraded_check(text, DOWNGRADE_TO_8BIT, 1 + dice_roll(&seed, 300))]++;
		free(copy);
	}
	for (size_t i = 0; i < DOWNGRADE_LIMIT; i++)
		assert_true(seen[i] > 5);
	buffer_free(&message);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_part_becomes_what_it_has_to),
		cmocka_unit_test(binary_content_fits_afterwards),
		cmocka_unit_test(what_decodes_to_nothing_is_not_converted),
		cmocka_unit_test(what_lies_before_the_start_is_left_out),
		cmocka_unit_test(lines_that_are_too_long_are_folded),
		cmocka_unit_test(signatures_that_break_are_told_of),
		cmocka_unit_test(what_is_not_looked_into_is_not_converted),
		cmocka_unit_test(an_encoding_that_was_not_kept_is_not_encoded),
		cmocka_unit_test(a_large_message_is_never_held),
		cmocka_unit_test(a_source_that_fails_is_told_of),
		cmocka_unit_test(nothing_is_lost_in_any_message),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
