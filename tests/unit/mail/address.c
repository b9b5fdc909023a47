/* tests/unit/mail/address.c - the paths of SMTP and the forms of names. */
#include "tests/unit/unit.h"

#include "base/attributes.h"
#include "mail/address.h"

struct path_case {
	const char *text;
	const char *local, *domain; /* NULL: no path */
	const char *left;
};

/* RFC 5321 sections 4.1.2, 4.1.3, appendix C; RFC 3696 section 3 for the odd local parts. */
static const struct path_case forward_paths[] = {
	{ "<a@b.example>", "a", "b.example", "" },
	{ "<a@b.example> SIZE=1", "a", "b.example", " SIZE=1" },
	{ "<a.b+c@x-y.example>", "a.b+c", "x-y.example", "" },
	{ "<!#$%&'*+-/=?^_`{|}~@b>", "!#$%&'*+-/=?^_`{|}~", "b", "" },
	{ "<\"john smith\"@b>", "john smith", "b", "" },
	{ "<\"a\\\"b\\\\c\\ d\"@b>", "a\"b\\c d", "b", "" },
	{ "<\"a@b>c\"@d>", "a@b>c", "d", "" },
	{ "<\"\"@d>", "", "d", "" },
	{ "<@one,@two.example:joe@three>", "joe", "three", "" },
	{ "<@one:joe@three>", "joe", "three", "" },
	{ "<a@[192.0.2.1]>", "a", "[192.0.2.1]", "" },
	{ "<a@[IPv6:2001:db8::1]>", "a", "[IPv6:2001:db8::1]", "" },
	{ "<a@[ipv6:::ffff:192.0.2.1]>", "a", "[ipv6:::ffff:192.0.2.1]", "" },
	{ "<a@[x400:c=us]>", "a", "[x400:c=us]", "" },
	{ "<postMASTER>", "postMASTER", "", "" },
	{ "<>", NULL, NULL, NULL },
	{ "a@b", NULL, NULL, NULL },
	{ "<a@b", NULL, NULL, NULL },
	{ "< a@b>", NULL, NULL, NULL },
	{ "<a@b >", NULL, NULL, NULL },
	{ "<a>", NULL, NULL, NULL },
	{ "<@b>", NULL, NULL, NULL },
	{ "<a@>", NULL, NULL, NULL },
	{ "<.a@b>", NULL, NULL, NULL },
	{ "<a.@b>", NULL, NULL, NULL },
	{ "<a..b@c>", NULL, NULL, NULL },
	{ "<a b@c>", NULL, NULL, NULL },
	{ "<\"a\"b@c>", NULL, NULL, NULL },
	{ "<\"a\tb\"@c>", NULL, NULL, NULL },
	{ "<\"a@c>", NULL, NULL, NULL },
	{ "<a@b..c>", NULL, NULL, NULL },
	{ "<a@.b>", NULL, NULL, NULL },
	{ "<a@b.>", NULL, NULL, NULL },
	{ "<a@-b>", NULL, NULL, NULL },
	{ "<a@b->", NULL, NULL, NULL },
	{ "<a@b_c>", NULL, NULL, NULL },
	{ "<a@[192.0.2]>", NULL, NULL, NULL },
	{ "<a@[192.0.2.256]>", NULL, NULL, NULL },
	{ "<a@[192.0.2.0001]>", NULL, NULL, NULL },
	{ "<a@[IPv6:2001:db8::1::2]>", NULL, NULL, NULL },
	{ "<a@[IPv6:x]>", NULL, NULL, NULL },
	{ "<a@[2001:db8::1]x>", NULL, NULL, NULL },
	{ "<a@[]>", NULL, NULL, NULL },
	{ "<@one,joe@three>", NULL, NULL, NULL },
	{ "<@one joe@three>", NULL, NULL, NULL },
	{ "<j\xc3\xb6rg@b>", "j\xc3\xb6rg", "b", "" },
	{ "<j\xf6rg@b>", NULL, NULL, NULL },
	{ "<j@b\xc3\xbc>", "j", "b\xc3\xbc", "" },
	{ "<j@\xc3\xbc\xff>", NULL, NULL, NULL },
	{ "", NULL, NULL, NULL },
	{ "<", NULL, NULL, NULL },
};

static void forward_path_grammar(void **state)
{
	struct arena arena = { 0 };
	for (size_t i = 0; i < ARRAY_LEN(forward_paths); i++) {
		const struct path_case *t = &forward_paths[i];
		struct cursor c = cursor_of(slice_cstr(t->text));
		struct address address;
		bool taken = take_forward_path(&c, &arena, &address);
		if (taken != (t->local != NULL))
			fail_msg("%s: taken %d", t->text, taken);
		if (!taken) {
			assert_slice(cursor_rest(&c), t->text);
			continue;
		}
		assert_slice(address.local, t->local);
		assert_slice(address.domain, t->domain);
		assert_slice(cursor_rest(&c), t->left);
	}
	arena_fini(&arena);
}

static void reverse_path_may_be_empty(void **state)
{
	struct arena arena = { 0 };
	struct address address;
	struct cursor c = cursor_of(SLICE("<> X"));
	assert_true(take_reverse_path(&c, &arena, &address));
	assert_int_equal(address.local.len + address.domain.len, 0);
	assert_slice(cursor_rest(&c), " X");
	assert_slice(address_format(&address, &arena), "");
	c = cursor_of(SLICE("<Postmaster>"));
	assert_false(take_reverse_path(&c, &arena, &address));
	c = cursor_of(SLICE("<a@b>"));
	assert_true(take_reverse_path(&c, &arena, &address));
	arena_fini(&arena);
}

/* RFC 5321 section 4.5.3.1: 64, 255 and 256 octets are the most. */
static void lengths_have_limits(void **state)
{
	struct arena arena = { 0 };
	struct address address;
	for (int over = 0; over < 2; over++) {
		char *path = arena_format(&arena, "<%0*d@b>", 64 + over, 0);
		struct cursor c = cursor_of(slice_cstr(path));
		assert_int_equal(take_forward_path(&c, &arena, &address), !over);
		path = arena_format(&arena, "<\"%0*d\"@b>", 62 + over, 0);
		c = cursor_of(slice_cstr(path));
		assert_int_equal(take_forward_path(&c, &arena, &address), !over);
		char *domain = arena_format(&arena, "%0*d", 255 + over, 0);
		struct slice taken;
		c = cursor_of(slice_cstr(domain));
		assert_int_equal(take_domain_or_literal(&c, &taken), !over);
		path = arena_format(&arena, "<%064d@%0*d>", 0, 189 + over, 0);
		c = cursor_of(slice_cstr(path));
		assert_int_equal(take_forward_path(&c, &arena, &address), !over);
	}
	arena_fini(&arena);
}

static void parses_and_formats(void **state)
{
	struct arena arena = { 0 };
	static const struct {
		const char *text, *formatted;
	} cases[] = {
		{ "a@b.example", "a@b.example" },
		{ "\"a\"@b", "a@b" },
		{ "\"a b\"@b", "\"a b\"@b" },
		{ "\"a\\\"b\"@b", "\"a\\\"b\"@b" },
		{ "\"a.\"@b", "\"a.\"@b" },
		{ "\"\"@b", "\"\"@b" },
		{ "a@m\xc3\xbcnchen.example", "a@m\xc3\xbcnchen.example" },
		{ "a@[192.0.2.1]", "a@[192.0.2.1]" },
	};
	struct address address;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_true(address_parse(slice_cstr(cases[i].text), &arena, &address));
		assert_slice(address_format(&address, &arena), cases[i].formatted);
	}
	static const char *wrong[] = { "a", "@b", "a@", "a@b ", " a@b", "<a@b>", "a@b@c", "" };
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		assert_false(address_parse(slice_cstr(wrong[i]), &arena, &address));
	address = (struct address){ SLICE("Postmaster"), SLICE_NONE };
	assert_slice(address_format(&address, &arena), "Postmaster");
	arena_fini(&arena);
}

static void domains_have_one_form(void **state)
{
	struct arena arena = { 0 };
	static const struct {
		const char *text, *normal;
	} cases[] = {
		{ "Example.COM", "example.com" },
		{ "example.com.", "example.com" },
		{ "m\xc3\xbcnchen.example", "xn--mnchen-3ya.example" },
		{ "M\xc3\x9cNCHEN.example", "xn--mnchen-3ya.example" },
		{ "XN--MNCHEN-3YA.example", "xn--mnchen-3ya.example" },
		{ "stra\xc3\x9f"
		  "e.example",
		  "xn--strae-oqa.example" },
		{ "_dmarc.example", "_dmarc.example" },
		{ "", NULL },
		{ ".", NULL },
		{ "a..b", NULL },
		{ ".a", NULL },
		{ "a..", NULL },
		{ "a b", NULL },
		{ "[192.0.2.1]", NULL },
		{ "\xff\xfe.example", NULL },
		{ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.b", NULL },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct slice normal;
		bool ok = domain_normalise(slice_cstr(cases[i].text), &arena, &normal);
		if (ok != (cases[i].normal != NULL))
			fail_msg("%s: %d", cases[i].text, ok);
		if (ok)
			assert_slice(normal, cases[i].normal);
	}
	struct slice with_nul, ignored;
	with_nul = SLICE("a\0b.example");
	assert_false(domain_normalise(with_nul, &arena, &ignored));
	arena_fini(&arena);
}

static void local_parts_have_one_form(void **state)
{
	static const char *const pairs[][2] = {
		{ "Bob.X", "bob.x" },
		{ "J\u00dcRGEN", "j\u00fcrgen" },
		{ "ju\u0308rgen", "j\u00fcrgen" }, /* decomposed */
		{ "Stra\u00dfe", "strasse" },
		{ "\u03a3\u0399\u03a3", "\u03c3\u03b9\u03c3" },
		{ "x\u00b2", "x\u00b2" },     /* no compatibility forms: this is not x2 */
		{ "A\xff\xfe", "a\xff\xfe" }, /* not UTF-8 */
		{ "", "" },
	};
	struct arena arena = { 0 };
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		struct slice once = local_normalise(slice_cstr(pairs[i][0]), &arena);
		assert_slice(once, pairs[i][1]);
		assert_slice(local_normalise(once, &arena), pairs[i][1]);
	}
	arena_fini(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forward_path_grammar),
		cmocka_unit_test(reverse_path_may_be_empty),
		cmocka_unit_test(lengths_have_limits),
		cmocka_unit_test(parses_and_formats),
		cmocka_unit_test(domains_have_one_form),
		cmocka_unit_test(local_parts_have_one_form),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
