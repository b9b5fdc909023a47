/* tests/unit/smtpd/parameters.c - values of the parameters of MAIL and RCPT: their grammars (RFC 3461,
 * RFC 6533, RFC 4865, RFC 2852, RFC 6710) and what they mean. */
#include "tests/unit/unit.h"

#include "base/clock.h"
#include "smtpd/parameters_priv.h"

enum { NOW = 1783166400 };

typedef bool taker(struct slice value, struct arena *arena, void *into);

static struct arena arena;
static struct mail_parameters mail;
static struct envelope_recipient recipient;

static bool on_mail(taker *take, const char *value)
{
	mail = (struct mail_parameters){ 0 };
	return take(slice_cstr(value), &arena, &mail);
}

static bool on_rcpt(taker *take, const char *value)
{
	recipient = (struct envelope_recipient){ .notify = DSN_UNSAID };
	return take(slice_cstr(value), &arena, &recipient);
}

static void refuse_all(bool (*on)(taker *take, const char *value), taker *take,
		       const char *const *values, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (on(take, values[i]))
			fail_msg("taken: %s", values[i]);
}
#define REFUSE(on, take, ...)                                                      \
	do {                                                                       \
		static const char *const values_[] = { __VA_ARGS__ };              \
		refuse_all(on, take, values_, sizeof(values_) / sizeof(*values_)); \
	} while (0)

static void dsn_on_mail(void **state)
{
	char long_envid[ENVID_MAX_OCTETS + 2];

	assert_true(on_mail(take_dsn_ret, "full"));
	assert_int_equal(mail.envelope.returns, DSN_RETURN_FULL);
	assert_true(on_mail(take_dsn_ret, "HDRS"));
	assert_int_equal(mail.envelope.returns, DSN_RETURN_HEADERS);
	REFUSE(on_mail, take_dsn_ret, "", "HEADERS", "FULL,HDRS");
	assert_true(on_mail(take_dsn_envid, "QQ314159"));
	assert_slice(mail.envelope.envid, "QQ314159");
	assert_true(on_mail(take_dsn_envid, "a+20b+2Bc"));
	assert_slice(mail.envelope.envid, "a+20b+2Bc");
	REFUSE(on_mail, take_dsn_envid, "", "a+", "a+2", "a+2b", "a+0A", "a+7F", "\xc3\xbc");
	memset(long_envid, 'x', sizeof(long_envid));
	long_envid[ENVID_MAX_OCTETS + 1] = '\0';
	assert_false(on_mail(take_dsn_envid, long_envid));
	long_envid[ENVID_MAX_OCTETS] = '\0';
	assert_true(on_mail(take_dsn_envid, long_envid));
}

static void dsn_on_rcpt(void **state)
{
	char long_orcpt[ORCPT_MAX_OCTETS + 2];

	assert_true(on_rcpt(take_dsn_notify, "NEVER"));
	assert_int_equal(recipient.notify, DSN_NEVER);
	assert_true(on_rcpt(take_dsn_notify, "success,Failure"));
	assert_int_equal(recipient.notify, DSN_SUCCESS | DSN_FAILURE);
	assert_true(on_rcpt(take_dsn_notify, "DELAY"));
	assert_int_equal(recipient.notify, DSN_DELAY);
	REFUSE(on_rcpt, take_dsn_notify, "", "NEVER,DELAY", "DELAY,NEVER", "SUCCESS,", ",SUCCESS",
	       "SUCCESS,,DELAY", "SOMETIMES");
	assert_true(on_rcpt(take_dsn_orcpt, "rfc822;Bob+2Bx@Example.COM"));
	assert_slice(recipient.orcpt, "rfc822;Bob+2Bx@Example.COM");
	assert_true(on_rcpt(take_dsn_orcpt, "x400;/c=us") == false); /* "=" is no xchar */
	assert_true(on_rcpt(take_dsn_orcpt, "x400;/c+3Dus"));
	assert_true(on_rcpt(take_dsn_orcpt, "utf-8;b\\x{F6}b@example.org"));
	assert_true(on_rcpt(take_dsn_orcpt, "UTF-8;b\xc3\xb6@example.org"));
	REFUSE(on_rcpt, take_dsn_orcpt, "", "rfc822", "rfc822;", ";bob@example.org",
	       "rfc 822;bob@example.org", "rfc822;b\xc3\xb6@example.org", "rfc822;bob+2", "utf-8;",
	       "utf-8;a+2B", "rfc822;a+0Db");
	memset(long_orcpt, 'x', sizeof(long_orcpt));
	memcpy(long_orcpt, "rfc822;", 7);
	long_orcpt[ORCPT_MAX_OCTETS + 1] = '\0';
	assert_false(on_rcpt(take_dsn_orcpt, long_orcpt));
	long_orcpt[ORCPT_MAX_OCTETS] = '\0';
	assert_true(on_rcpt(take_dsn_orcpt, long_orcpt));
}

static void future_release(void **state)
{
	assert_true(on_mail(take_hold_for, "3600"));
	assert_int_equal(mail.envelope.hold_until_unix, NOW + 3600);
	assert_true(on_mail(take_hold_for, "2678400"));
	REFUSE(on_mail, take_hold_for, "", "0", "-1", "+1", "1x", "2678401", "999999999",
	       "0000000001");
	assert_true(on_mail(take_hold_until, "2026-07-04T12:00:01Z"));
	assert_int_equal(mail.envelope.hold_until_unix, NOW + 1);
	REFUSE(on_mail, take_hold_until, "", "2026-07-04T12:00:00Z", "2025-07-04T12:00:00Z",
	       "2027-07-04T12:00:00Z", "tomorrow");
	/* Both at once make no sense. */
	assert_true(on_mail(take_hold_for, "10"));
	assert_false(take_hold_until(SLICE("2026-07-04T12:00:01Z"), &arena, &mail));
}

static void deliver_by(void **state)
{
	assert_true(on_mail(take_deliver_by, "120;R"));
	assert_int_equal(mail.envelope.deliver_by, DELIVER_BY_RETURN);
	assert_int_equal(mail.envelope.deliver_by_unix, NOW + 120);
	assert_false(mail.envelope.traces_deliver_by);
	assert_true(on_mail(take_deliver_by, "+120;nT"));
	assert_int_equal(mail.envelope.deliver_by, DELIVER_BY_NOTIFY);
	assert_true(mail.envelope.traces_deliver_by);
	assert_true(on_mail(take_deliver_by, "-5;N"));
	assert_int_equal(mail.envelope.deliver_by_unix, NOW - 5);
	REFUSE(on_mail, take_deliver_by, "", "120", "120;", "120;X", "120;RT2", "120;TR", ";R",
	       "1000000000;R", "0;R", "-5;R", "12 0;R");
}

static void priority(void **state)
{
	assert_true(on_mail(take_priority, "9"));
	assert_int_equal(mail.envelope.priority, 9);
	assert_true(on_mail(take_priority, "-9"));
	assert_int_equal(mail.envelope.priority, -9);
	assert_true(on_mail(take_priority, "0"));
	REFUSE(on_mail, take_priority, "", "-", "-0", "10", "+1", "00", "x");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dsn_on_mail),	  cmocka_unit_test(dsn_on_rcpt),
		cmocka_unit_test(future_release), cmocka_unit_test(deliver_by),
		cmocka_unit_test(priority),
	};
	clock_set_fake_unix_ms(NOW * INT64_C(1000));
	int status = cmocka_run_group_tests(tests, NULL, NULL);
	arena_fini(&arena);
	return status;
}
