/* tests/unit/mail/mime_parameters.c - parameters and their continuations. */
#include "tests/unit/unit.h"

#include "base/attributes.h"
#include "base/buffer.h"
#include "mail/mime.h"

/* Each as name=[value]. */
static const struct {
	const char *text, *want;
} cases[] = {
	{ "", "" },
	{ "; charset=us-ascii (Plain text)", "charset=[us-ascii]" },
	{ "; charset=\"us-ascii\"", "charset=[us-ascii]" },
	{ ";CharSet = \"us-\\ascii\" (a (nested) comment) ; ; format=flowed;delsp",
	  "charset=[us-ascii] format=[flowed]" },
	{ "; a=1; a=2", "a=[1] a=[2]" },
	{ "; a=; b", "a=[]" },
	{ "; a=\"\"", "a=[]" },
	{ "; =x; a=1", "a=[1]" },
	{ "; a=\"never closed; b=2", "a=[never closed; b=2]" },
	{ "; a=\"x;y\" junk; b=2", "a=[x;y] b=[2]" },
	{ "; name=my file (1).pdf; b=2", "name=[my file (1).pdf] b=[2]" },
	{ "; name=a/b=c?; b=2", "name=[a/b=c?] b=[2]" },
	{ "; name=x (a) (b)", "name=[x]" },
	{ "; name=(c) x", "name=[x]" },
	{ "; a=\"b\\", "a=[b\\]" },
	{ "; a=\xc3\xa4", "a=[\xc3\xa4]" },
	/* RFC 2231 sections 3 and 4 */
	{ "; access-type=URL; URL*0=\"ftp://\"; URL*1=\"cs.utk.edu/pub/\"",
	  "access-type=[URL] url=[ftp://cs.utk.edu/pub/]" },
	{ "; title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A",
	  "title*=[us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A]" },
	{ "; title*0*=us-ascii'en'This%20is%20even%20more%20; title*1*=%2A%2A%2Afun%2A%2A%2A%20;"
	  " title*2=\"isn't it!\"",
	  "title*=[us-ascii'en'This%20is%20even%20more%20%2A%2A%2Afun%2A%2A%2A%20isn%27t%20it!]" },
	{ "; n*1*=%C3%9F; n*0*=utf-8'de'Gr%C3%BC; n*2=\" end;x\"",
	  "n*=[utf-8'de'Gr%C3%BC%C3%9F%20end%3Bx]" },
	{ "; n*0=\"a b\"; n*1*=%20c", "n*=[''a%20b%20c]" },
	{ "; n*=utf-8''x; n=y", "n*=[utf-8''x] n=[y]" },
	/* gaps, doubles and nonsense */
	{ "; n*0=a; n*2=c", "n=[a] n*2=[c]" },
	{ "; n*1=a; n*2=c", "n*1=[a] n*2=[c]" },
	{ "; n*0=a; n*0=b; n*1=c; n*1=d", "n=[ac]" },
	{ "; n*0=a; n*01=b", "n=[a] n*01=[b]" },
	{ "; n*10=k; n*9=j; n*8=i; n*7=h; n*6=g; n*5=f; n*4=e; n*3=d; n*2=c; n*1=b; n*0=a",
	  "n=[abcdefghijk]" },
	{ "; n*99999999999999999999=a; *0=b; n**=c", "n*99999999999999999999=[a] *0=[b] n**=[c]" },
};

static void parses(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct arena arena = { 0 };
		struct buffer text = { 0 };
		size_t count;
		struct mime_parameter *list =
			mime_parameters_parse(slice_cstr(cases[i].text), &arena, &count);
		for (size_t k = 0; k < count; k++)
			buffer_add_format(&text, "%s%.*s=[%.*s]", k ? " " : "",
					  SLICE_ARG(list[k].name), SLICE_ARG(list[k].value));
		if (!slice_eq(buffer_slice(&text), slice_cstr(cases[i].want)))
			fail_msg("%s\n  got  %.*s\n  want %s", cases[i].text,
				 SLICE_ARG(buffer_slice(&text)), cases[i].want);
		buffer_free(&text);
		arena_fini(&arena);
	}
}

static void count_is_bounded(void **state)
{
	struct arena arena = { 0 };
	struct buffer text = { 0 };
	size_t count;
	for (int i = 2 * MIME_MAX_PARAMETERS; i-- > 0;)
		buffer_add_format(&text, ";n*%d*=x", i);
	mime_parameters_parse(buffer_slice(&text), &arena, &count);
	assert_true(count <= MIME_MAX_PARAMETERS);
	buffer_free(&text);
	arena_fini(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses),
		cmocka_unit_test(count_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
