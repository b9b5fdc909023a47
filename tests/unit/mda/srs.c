/* tests/unit/mda/srs.c - reverse-paths rewritten for what is passed on, and back. */
#include "tests/unit/unit.h"

#include "mail/address.h"
#include "mda/srs.h"

enum { DAY = 24 * 3600 };

static const uint8_t key[MAC_KEY_OCTETS] = { 1, 2, 3 }, other_key[MAC_KEY_OCTETS] = { 4 };
static const int64_t now_unix = 1800000000;

static struct slice local_of(struct slice path, struct arena *arena)
{
	struct address address;
	assert_true(address_parse(path, arena, &address));
	return address.local;
}

static struct slice forward(const char *path, const char *domain, struct arena *arena)
{
	return srs_forward(key, slice_cstr(path), slice_cstr(domain), now_unix, arena);
}

static void paths_come_back_as_they_were(void **state)
{
	static const char *const paths[] = {
		"ann@far.example",	"Ann.Bee+tag@Far.Example",
		"a=b=c@far.example",	"\"john smith\"@far.example",
		"x@[192.0.2.1]",	"srs0@far.example",
		"SRS1=odd@far.example", "b\xc3\xbc@far.example",
	};
	struct arena arena = { 0 };
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		struct slice path = forward(paths[i], "ours.example", &arena);
		struct slice local = local_of(path, &arena);
		assert_true(slice_starts_nocase(path, SLICE("SRS0=")) ||
			    slice_starts_nocase(path, SLICE("\"SRS0=")));
		assert_true(srs_is_rewritten(local));
		assert_true(slice_eq(srs_back(key, local, now_unix, &arena), slice_cstr(paths[i])));
		assert_true(srs_back(other_key, local, now_unix, &arena).len == 0);
		/* Whoever changes the case on the way leaves it readable. */
		struct slice lower = srs_back(key, arena_lower(&arena, local), now_unix, &arena);
		assert_true(slice_eq_nocase(lower, slice_cstr(paths[i])));
	}
	arena_fini(&arena);
}

static void the_second_forwarder_leads_to_the_first(void **state)
{
	struct arena arena = { 0 };
	struct slice first = forward("ann@far.example", "one.example", &arena);
	struct slice second = srs_forward(other_key, first, SLICE("two.example"), now_unix, &arena);
	assert_true(slice_starts_nocase(second, SLICE("SRS1=")));
	struct slice local = local_of(second, &arena);
	assert_true(slice_eq(srs_back(other_key, local, now_unix, &arena), first));
	assert_true(srs_back(key, local, now_unix, &arena).len == 0);
	/* The third does not make it longer. */
	struct slice third = srs_forward(key, second, SLICE("six.example"), now_unix, &arena);
	assert_int_equal(third.len, second.len);
	assert_true(slice_eq(srs_back(key, local_of(third, &arena), now_unix, &arena), first));
	/* Others have other separators. */
	struct slice odd =
		forward("SRS0+hhh=tt=far.example=ann@one.example", "two.example", &arena);
	assert_true(slice_eq(srs_back(key, local_of(odd, &arena), now_unix, &arena),
			     SLICE("SRS0+hhh=tt=far.example=ann@one.example")));
	arena_fini(&arena);
}

static void old_and_forged_ones_lead_nowhere(void **state)
{
	struct arena arena = { 0 };
	struct slice local = local_of(forward("ann@far.example", "ours.example", &arena), &arena);
	assert_true(srs_back(key, local, now_unix + SRS_DAYS * DAY, &arena).len > 0);
	assert_true(srs_back(key, local, now_unix + (SRS_DAYS + 1) * DAY, &arena).len == 0);
	assert_true(srs_back(key, local, now_unix - DAY, &arena).len == 0);
	/* Every octet counts. */
	for (size_t i = 0; i < local.len; i++) {
		struct slice copy = arena_copy(&arena, local);
		((uint8_t *)(uintptr_t)copy.ptr)[i] ^= 1;
		assert_true(srs_back(key, copy, now_unix, &arena).len == 0);
		assert_true(srs_back(key, slice_sub(local, 0, i), now_unix, &arena).len == 0);
	}
	static const char *const odd[] = { "SRS0",	     "SRS0=",	    "SRS0====",
					   "SRS1=",	     "SRS1=a=b=",   "SRS1=a=b==",
					   "SRS1=AAAAAA===", "SRS0==AA=b=c" };
	for (size_t i = 0; i < ARRAY_LEN(odd); i++)
		assert_true(srs_back(key, slice_cstr(odd[i]), now_unix, &arena).len == 0);
	arena_fini(&arena);
}

static void what_cannot_be_rewritten_stays(void **state)
{
	struct arena arena = { 0 };
	assert_true(forward("", "ours.example", &arena).len == 0);
	assert_true(forward("no path", "ours.example", &arena).len == 0);
	assert_true(forward("a.local.part.that.has.not.quite.the.size.that.fits@far.example",
			    "ours.example", &arena)
			    .len == 0);
	arena_fini(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths_come_back_as_they_were),
		cmocka_unit_test(the_second_forwarder_leads_to_the_first),
		cmocka_unit_test(old_and_forged_ones_lead_nowhere),
		cmocka_unit_test(what_cannot_be_rewritten_stays),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
