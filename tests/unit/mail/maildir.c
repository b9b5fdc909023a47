/* tests/unit/mail/maildir.c - what a Maildir says in names and small files. */
#include "tests/unit/unit.h"

#include "mail/maildir.h"

static void names(void **state)
{
	static const struct {
		const char *name, *base;
		uint8_t flags;
		bool passed;
		uint32_t keywords;
	} rows[] = {
		{ "1.M2.host:2,FRSa", "1.M2.host",
		  MAILDIR_FLAGGED | MAILDIR_ANSWERED | MAILDIR_SEEN, false, 1 },
		{ "1.M2.host,S=1:2,DPTz", "1.M2.host,S=1", MAILDIR_DRAFT | MAILDIR_DELETED, true,
		  1u << 25 },
		{ "1.M2.host", "1.M2.host", 0, false, 0 },
		{ "1.M2.host:2,", "1.M2.host", 0, false, 0 },
		{ "1.M2.host;2,S", "1.M2.host", MAILDIR_SEEN, false, 0 },
		{ "1.M2.host!2,S", "1.M2.host", MAILDIR_SEEN, false, 0 },
		{ "1.M2.host:1,whatever", "1.M2.host", 0, false, 0 },
		{ "1.M2.host:2,S?X", "1.M2.host", MAILDIR_SEEN, false, 0 },
	};
	struct maildir_name name;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_true(maildir_name_parse(slice_cstr(rows[i].name), &name));
		assert_slice(name.base, rows[i].base);
		assert_int_equal(name.flags, rows[i].flags);
		assert_int_equal(name.passed, rows[i].passed);
		assert_int_equal(name.keywords, rows[i].keywords);
	}
	assert_false(maildir_name_parse(SLICE(""), &name));
	assert_false(maildir_name_parse(SLICE(".hidden"), &name));
	assert_false(maildir_name_parse(SLICE(":2,S"), &name));
	assert_int_equal(maildir_name_time(SLICE("1420247134.M1")), 1420247134);
	assert_int_equal(maildir_name_time(SLICE("msg")), 0);
	struct buffer info = { 0 };
	name = (struct maildir_name){ .flags = 31, .passed = true, .keywords = 5 };
	maildir_info_format(&name, &info);
	assert_slice(buffer_slice(&info), ":2,DFPRSTac");
	buffer_free(&info);
}

static void folders(void **state)
{
	static const char *const rows[][2] = {
		{ ".Work", "Work" },
		{ ".Work.Old", "Work/Old" },
		{ ".R&AOk-sum&AOk-", "R\xc3\xa9sum\xc3\xa9" },
		{ ".R\xc3\xa9sum\xc3\xa9", "R\xc3\xa9sum\xc3\xa9" },
		{ ".inbox.Sub", "INBOX/Sub" },
		{ ".A&-B", "A&B" },
		{ ".AC/DC", "AC_DC" },
	};
	static const char *const bad[] = { "", ".", "..", "..x", ".a..b", ".a.", ".\xff", "x" };
	struct buffer out = { 0 };
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		buffer_clear(&out);
		assert_true(maildir_folder_decode(slice_cstr(rows[i][0]), &out));
		assert_slice(buffer_slice(&out), rows[i][1]);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		buffer_clear(&out);
		assert_false(maildir_folder_decode(slice_cstr(bad[i]), &out));
		assert_int_equal(out.len, 0);
	}
	assert_true(maildir_folder_encode(SLICE("Work/R\xc3\xa9sum\xc3\xa9"), &out));
	assert_slice(buffer_slice(&out), ".Work.R&AOk-sum&AOk-");
	buffer_clear(&out);
	assert_false(maildir_folder_encode(SLICE("a.b"), &out));
	char longer[301];
	memset(longer, 'x', 300);
	assert_false(maildir_folder_encode(slice_of(longer, 300), &out));
	assert_int_equal(out.len, 0);
	buffer_free(&out);
}

static void uid_lists(void **state)
{
	struct uidlist_header header;
	struct uidlist_entry entry;
	assert_true(uidlist_header_parse(SLICE("3 V1500000000 N200 G0123abcd"), &header));
	assert_int_equal(header.uidvalidity, 1500000000);
	assert_int_equal(header.uidnext, 200);
	assert_true(uidlist_entry_parse(&header, SLICE("7 W12 S11 :1.M1.host:2,S"), &entry));
	assert_int_equal(entry.uid, 7);
	assert_slice(entry.base, "1.M1.host");
	assert_true(uidlist_entry_parse(&header, SLICE("8 :a name with blanks"), &entry));
	assert_slice(entry.base, "a name with blanks");
	static const char *const bad[] = {
		"", "7", "7 ", "0 :x", "x :y", "7 W12", "4294967296 :x"
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(uidlist_entry_parse(&header, slice_cstr(bad[i]), &entry));
	assert_true(uidlist_header_parse(SLICE("1 1500000000 9"), &header));
	assert_int_equal(header.uidnext, 9);
	assert_true(uidlist_entry_parse(&header, SLICE("7 1.M1.host"), &entry));
	assert_slice(entry.base, "1.M1.host");
	static const char *const no_headers[] = {
		"", "2 V1 N1", "3", "3 V1", "3 N1", "3 Vx N1", "3 V4294967296 N1", "noise"
	};
	for (size_t i = 0; i < sizeof(no_headers) / sizeof(no_headers[0]); i++)
		assert_false(uidlist_header_parse(slice_cstr(no_headers[i]), &header));
}

static void keywords_and_subscriptions(void **state)
{
	unsigned index;
	struct slice keyword;
	assert_true(maildir_keyword_parse(SLICE("25 $Label1"), &index, &keyword));
	assert_int_equal(index, 25);
	assert_slice(keyword, "$Label1");
	assert_false(maildir_keyword_parse(SLICE("26 x"), &index, &keyword));
	assert_false(maildir_keyword_parse(SLICE("1 a b"), &index, &keyword));
	assert_false(maildir_keyword_parse(SLICE("1 "), &index, &keyword));
	struct buffer out = { 0 };
	assert_true(subscription_decode(true, SLICE("Work\tR&AOk-"), &out));
	assert_slice(buffer_slice(&out), "Work/R\xc3\xa9");
	buffer_clear(&out);
	assert_true(subscription_decode(false, SLICE("Work.Old"), &out));
	assert_slice(buffer_slice(&out), "Work/Old");
	buffer_clear(&out);
	assert_false(subscription_decode(true, SLICE("a\t\tb"), &out));
	assert_true(subscription_encode(SLICE("Work/R\xc3\xa9"), &out));
	assert_slice(buffer_slice(&out), "Work\tR&AOk-\n");
	buffer_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(folders),
		cmocka_unit_test(uid_lists),
		cmocka_unit_test(keywords_and_subscriptions),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
