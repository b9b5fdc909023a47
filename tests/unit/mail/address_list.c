/* tests/unit/mail/address_list.c - header address lists, good and broken. */
#include "tests/unit/unit.h"

#include "base/attributes.h"
#include "mail/address.h"

/* Entries as "name|route|mailbox|host", a NULL as "-", joined by " / ". */
static char *describe(struct arena *arena, const struct header_address *list, size_t count)
{
	char *text = arena_string(arena, SLICE(""));
	for (size_t i = 0; i < count; i++) {
		const struct slice *slices[] = { &list[i].name, &list[i].route, &list[i].mailbox,
						 &list[i].host };
		for (size_t k = 0; k < 4; k++)
			text = arena_format(arena, "%s%s%.*s", text,
					    k	    ? "|"
					    : i > 0 ? " / "
						    : "",
					    slices[k]->ptr ? (int)slices[k]->len : 1,
					    slices[k]->ptr ? (const char *)slices[k]->ptr : "-");
	}
	return text;
}

static const struct {
	const char *text, *want;
} cases[] = {
	/* RFC 5322 appendix A.1 */
	{ "John Doe <jdoe@machine.example>", "John Doe|-|jdoe|machine.example" },
	{ "\"Joe Q. Public\" <john.q.public@example.com>",
	  "Joe Q. Public|-|john.q.public|example.com" },
	{ "Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>",
	  "Mary Smith|-|mary|x.test / -|-|jdoe|example.org / Who?|-|one|y.test" },
	{ "<boss@nil.test>, \"Giant; \\\"Big\\\" Box\" <sysservices@example.net>",
	  "-|-|boss|nil.test / Giant; \"Big\" Box|-|sysservices|example.net" },
	{ "A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;",
	  "-|-|A Group|- / Ed Jones|-|c|a.test / -|-|joe|where.test / John|-|jdoe|one.test / "
	  "-|-|-|-" },
	{ "Undisclosed recipients:;", "-|-|Undisclosed recipients|- / -|-|-|-" },
	/* appendix A.5 and A.6 */
	{ "Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>",
	  "Pete|-|pete|silly.test" },
	{ "A Group(Some people)\r\n :Chris Jones <c@(Chris's host.)public.example>,\r\n"
	  " joe@example.org,\r\n John <jdoe@one.test> (my dear friend); (the end of the group)",
	  "-|-|A Group|- / Chris Jones|-|c|public.example / -|-|joe|example.org / "
	  "John|-|jdoe|one.test / -|-|-|-" },
	{ "(Empty list)(start)Hidden recipients  :(nobody(that I know))  ;",
	  "-|-|Hidden recipients|- / -|-|-|-" },
	{ "Joe Q. Public <john.q.public@example.com>",
	  "Joe Q. Public|-|john.q.public|example.com" },
	{ "Mary Smith <@node.test:mary@example.net>, , jdoe@test  . example",
	  "Mary Smith|@node.test|mary|example.net / -|-|jdoe|test.example" },
	{ "John Doe <jdoe@machine(comment).  example>", "John Doe|-|jdoe|machine.example" },
	{ "<@a , @b.example:c@d>", "-|@a,@b.example|c|d" },
	/* Names in comments, as RFC 822 had them. */
	{ "jdoe@example.org (John Doe)", "John Doe|-|jdoe|example.org" },
	{ "<jdoe@example.org> (John \\(J\\) Doe)", "John (J) Doe|-|jdoe|example.org" },
	{ "(Pete) <a@b>, <c(Joe)@d>, E (e) <e@f>", "Pete|-|a|b / Joe|-|c|d / E|-|e|f" },
	{ "e@[192.0.2.1] (comment (inner))", "comment (inner)|-|e|[192.0.2.1]" },
	{ "e@[IPv6:2001:db8::1], f@g", "-|-|e|[IPv6:2001:db8::1] / -|-|f|g" },
	{ "\"local part\"@x.example", "-|-|local part|x.example" },
	{ "\"a@b\" <c@d>", "a@b|-|c|d" },
	{ "a@b <c@d>", "a@b|-|c|d" },
	{ "\"\" <c@d>", "-|-|c|d" },
	{ "=?utf-8?Q?Doe,_J?= =?utf-8?B?w7Y=?= <c@d>, e@f",
	  "=?utf-8?Q?Doe,_J?= =?utf-8?B?w7Y=?=|-|c|d / -|-|e|f" },
	{ "=?utf-8?Q?open, e@f", "-|-|=?utf-8?Q?open| / -|-|e|f" },
	{ "\"J\xc3\xb6rg\" <j\xc3\xb6rg@b\xc3\xbc"
	  "cher.example>",
	  "J\xc3\xb6rg|-|j\xc3\xb6rg|b\xc3\xbc"
	  "cher.example" },
	/* RFC 7103 section 7.1 */
	{ "<@example.net:fran@example.com>", "-|@example.net|fran|example.com" },
	{ "<<<user2@example.org>>>", "-|-|user2|example.org" },
	{ "<another@example.net", "-|-|another|example.net" },
	{ "second@example.org>", "-|-|second|example.org" },
	{ "(Testing <fran@example.com>", "Testing|-|fran|example.com" },
	{ "Testing) <sam@example.com>", "Testing)|-|sam|example.com" },
	{ "<third@example.net, fourth@example.net>",
	  "-|-|third|example.net / -|-|fourth|example.net" },
	{ "\"Joe <joe@example.com>", "Joe|-|joe|example.com" },
	{ "Joe", "-|-|Joe|" },
	/* and worse */
	{ "John Doe joe@example.com", "John Doe|-|joe|example.com" },
	{ "a@b c", "-|-|a|b" },
	{ "a@b; c@d", "-|-|a|b / -|-|c|d" },
	{ "a <b@c> <d@e>", "a|-|b|c / -|-|d|e" },
	{ "a <b@c> junk, d@e", "a|-|b|c / -|-|d|e" },
	{ "G: a@b", "-|-|G|- / -|-|a|b / -|-|-|-" },
	{ "G: H: a@b;", "-|-|G|- / H:|-|a|b / -|-|-|-" },
	{ ": a@b", "-|-|a|b" },
	{ "<>", "-|-||" },
	{ "@x", "-|-||x" },
	{ "a@b@c", "-|-|a@b|c" },
	{ "<@x>", "-|-||x" },
	{ "a@[b, c@d", "-|-|a|[b / -|-|c|d" },
	{ "", "" },
	{ " , ,, ", "" },
	{ "(only a comment)", "" },
	{ "\"", "" },
	{ "\\", "-|-|\\|" },
};

static void lists(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct arena arena = { 0 };
		size_t count;
		struct header_address *list =
			address_list_parse(slice_cstr(cases[i].text), &arena, &count);
		char *got = describe(&arena, list, count);
		if (strcmp(got, cases[i].want) != 0)
			fail_msg("%s\n  got  %s\n  want %s", cases[i].text, got, cases[i].want);
		arena_fini(&arena);
	}
}

static void long_lists_end(void **state)
{
	struct arena arena = { 0 };
	size_t len = 4 * (size_t)ADDRESS_LIST_MAX, count;
	uint8_t *text = arena_alloc(&arena, len);
	memset(text, 'a', len);
	for (size_t i = 0; i < len; i += 2)
		text[i + 1] = ',';
	text[0] = 'G';
	text[1] = ':';
	struct header_address *list = address_list_parse(slice_of(text, len), &arena, &count);
	assert_int_equal(count, ADDRESS_LIST_MAX);
	assert_null(list[count - 1].mailbox.ptr);
	arena_fini(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists),
		cmocka_unit_test(long_lists_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
