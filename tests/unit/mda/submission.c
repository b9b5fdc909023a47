/* tests/unit/mda/submission.c - the header of what an account submits. */
#include "tests/unit/storage/bed.h"

#include "base/log.h"
#include "mda/submission.h"

static struct bed bed;
static char hostname[] = "mx.example.org", separators[] = "+";
static struct config config = { .hostname = hostname, .separators = separators };
static struct sender alice;

#define TRACE "Return-Path: <alice@example.org>\r\nReceived: by x; now\r\n"
#define OWN "From: Alice <alice@example.org>\r\n"
#define DATED "Date: Fri, 21 Nov 1997 09:55:06 +0000\r\nMessage-ID: <1@x>\r\n"

/* Feeds `text` in pieces of `step` octets. */
static enum err submit(const char *text, size_t step, struct buffer *out)
{
	struct submission *submission =
		submission_new(bed.store, &alice, SLICE("alice@example.org"));
	struct slice rest = slice_cstr(text);
	enum err err = ERR_OK;

	buffer_clear(out);
	while (err == ERR_OK && rest.len > 0) {
		err = submission_feed(submission, slice_sub(rest, 0, step), out);
		rest = slice_sub(rest, step, rest.len);
	}
	if (err == ERR_OK)
		err = submission_finish(submission, out);
	submission_free(&submission);
	return err;
}

static void check(const char *text, enum err want_err, const char *want)
{
	static const size_t steps[] = { 1, 2, 3, 7, 64, 100000 };
	struct buffer out = { 0 };
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		enum err err = submit(text, steps[i], &out);
		if (err != want_err)
			fail_msg("%s: %s", text, err_word(err));
		if (err == ERR_OK)
			assert_slice(buffer_slice(&out), want);
	}
	buffer_free(&out);
}

static void what_is_whole_stays_as_it_is(void **state)
{
	static const char *const texts[] = {
		TRACE OWN DATED "\r\nhello\r\n\r\nBcc: in the body\r\n",
		TRACE OWN DATED "\r\n",
		TRACE "from :\r\n alice@example.org (me)\r\n" DATED "To: x\r\n\r\n\x80\xff\r\n",
		TRACE "X: y\r\nno field\r\n" OWN DATED "\r\nhello",
	};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		check(texts[i], ERR_OK, texts[i]);
}

static void bcc_is_removed(void **state)
{
	check(TRACE "BCC: a@b,\r\n\tc@d\r\n" OWN "Bcc :\r\nResent-Bcc: x@y\r\n" DATED
		    "\r\nhello\r\n",
	      ERR_OK, TRACE OWN DATED "\r\nhello\r\n");
}

static bool has(const struct buffer *out, const char *text)
{
	return slice_find(buffer_slice(out), 0, slice_cstr(text)) < out->len;
}

static void what_is_missing_is_added(void **state)
{
	struct buffer out = { 0 };
	assert_int_equal(submit(TRACE OWN "Subject: x\r\n\r\nhello\r\n", 5, &out), ERR_OK);
	assert_true(has(&out, "Subject: x\r\nDate: "));
	assert_true(has(&out, " +0000\r\nMessage-ID: <"));
	assert_true(has(&out, "@example.org>\r\n\r\nhello\r\n"));
	assert_int_equal(submit(TRACE "Subject: x\r\n" DATED "\r\nhello\r\n", 100, &out), ERR_OK);
	assert_slice(buffer_slice(&out),
		     TRACE "Subject: x\r\n" DATED "From: <alice@example.org>\r\n\r\nhello\r\n");
	/* No header, no empty line, nothing at all. */
	assert_int_equal(submit(TRACE "hello\r\nyou\r\n", 4, &out), ERR_OK);
	assert_true(has(&out, ">\r\n\r\nhello\r\nyou\r\n"));
	assert_true(has(&out, "From: <alice@example.org>\r\nDate: "));
	assert_int_equal(submit(TRACE OWN DATED "Subject: x\r\n", 4, &out), ERR_OK);
	assert_slice(buffer_slice(&out), TRACE OWN DATED "Subject: x\r\n\r\n");
	assert_int_equal(submit(TRACE OWN DATED "Subject: x", 4, &out), ERR_OK);
	assert_slice(buffer_slice(&out), TRACE OWN DATED "Subject: x\r\n\r\n");
	/* An empty line behind a bare line feed, which BINARYMIME lets through: what is added stands
	 * before it. */
	assert_int_equal(submit(TRACE OWN "Subject: x\n\r\nhello\r\n", 4, &out), ERR_OK);
	assert_true(has(&out, "Subject: x\nDate: "));
	assert_true(has(&out, "@example.org>\r\n\r\nhello\r\n"));
	buffer_free(&out);
}

static void authors_are_the_account(void **state)
{
	static const char *const good[] = {
		TRACE "From: Alice+x@Example.ORG\r\n" DATED "\r\n",
		TRACE "From: \"bob@example.org\" <alice@example.org>\r\n" DATED "\r\n",
		TRACE "From: us: alice@example.org, <alice+b@example.org>;\r\n" DATED "\r\n",
		TRACE "From: info@example.org\r\n" DATED "\r\n",
		TRACE "From: sales@elsewhere.example\r\n" DATED "\r\n",
		TRACE "From: any@partner.example\r\n" DATED "\r\n",
		TRACE OWN "Sender: bob@example.org\r\n" DATED "\r\n",
	};
	static const char *const bad[] = {
		TRACE "From: bob@example.org\r\n" DATED "\r\n",
		TRACE "From: alice@example.org, bob@example.org\r\n" DATED "\r\n",
		TRACE OWN "From: bob@example.org\r\n" DATED "\r\n",
		TRACE "FROM : <bob@example.org>\r\n" OWN DATED "\r\n",
		TRACE "From:\r\n" DATED "\r\n",
		TRACE "From: alice\r\n" DATED "\r\n",
		TRACE "From: nobody@example.org\r\n" DATED "\r\n",
		TRACE "From: alice@elsewhere.example\r\n" DATED "\r\n",
		TRACE "From: undisclosed:;\r\n" DATED "\r\n",
		TRACE "From: bob@example.org\r\n" DATED "hello", /* no end of the header */
		TRACE "From: alice@example.org (<bob@example.org>), <bob@example.org>\r\n\r\n",
	};
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		check(good[i], ERR_OK, good[i]);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		check(bad[i], ERR_BAD_INPUT, NULL);
}

static enum err set_senders(struct write *write, void *arg)
{
	const struct domain_record record = { .senders = *(enum domain_senders *)arg };
	return domain_set(write, SLICE("example.org"), &record);
}

static void a_domain_may_allow_more(void **state)
{
	static const char bob[] = TRACE "From: bob@example.org\r\n" DATED "\r\n";
	static const char other[] = TRACE "From: bob@other-name.example\r\n" DATED "\r\n";
	static const char elsewhere[] = TRACE "From: x@elsewhere.example\r\n" DATED "\r\n";
	enum domain_senders senders = SENDERS_DOMAIN;
	assert_int_equal(bed_write(&bed, set_senders, &senders), ERR_OK);
	check(bob, ERR_OK, bob);
	check(other, ERR_OK, other);
	check(elsewhere, ERR_BAD_INPUT, NULL);
	senders = SENDERS_ANY;
	assert_int_equal(bed_write(&bed, set_senders, &senders), ERR_OK);
	check(elsewhere, ERR_OK, elsewhere);
	senders = SENDERS_OWN;
	assert_int_equal(bed_write(&bed, set_senders, &senders), ERR_OK);
	check(bob, ERR_BAD_INPUT, NULL);
}

static void a_header_has_an_end(void **state)
{
	struct buffer text = { 0 }, out = { 0 };
	buffer_add_cstr(&text, TRACE OWN "X: ");
	while (text.len < SUBMISSION_HEADER_MAX_OCTETS + 10)
		buffer_add_cstr(&text, "0123456789012345678901234567890123456789");
	buffer_add_byte(&text, 0);
	assert_int_equal(submit((const char *)text.data, 60000, &out), ERR_LIMIT);
	buffer_free(&text);
	buffer_free(&out);
}

static enum err prepare(struct write *write, void *arg)
{
	uint32_t bob;
	struct slice alices = SLICE("alice@example.org");
	enum err err = account_add(write, SLICE("bob"), SLICE("example.org"), SLICE("-"), &bob);
	if (err == ERR_OK)
		err = alias_set(write, SLICE("info"), SLICE("example.org"), &alices, 1);
	if (err == ERR_OK)
		err = domain_set_alias(write, SLICE("other-name.example"), SLICE("example.org"));
	if (err == ERR_OK)
		err = submission_allow(write, *(uint32_t *)arg, SLICE("sales@elsewhere.example"));
	if (err == ERR_OK)
		err = submission_allow(write, *(uint32_t *)arg, SLICE("@partner.example"));
	return err;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_whole_stays_as_it_is),
		cmocka_unit_test(bcc_is_removed),
		cmocka_unit_test(what_is_missing_is_added),
		cmocka_unit_test(authors_are_the_account),
		cmocka_unit_test(a_domain_may_allow_more),
		cmocka_unit_test(a_header_has_an_end),
	};
	log_set_level(LOG_ERROR);
	bed_begin(&bed, STORE_CREATE);
	assert_int_equal(bed_write(&bed, prepare, &bed.account_id), ERR_OK);
	alice = (struct sender){
		.config = &config,
		.reverse_path = SLICE("alice@example.org"),
		.account_id = bed.account_id,
		.may_relay = true,
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	bed_end(&bed);
	return failed;
}
