/* tests/unit/imapd/search_addresses.c - FROM, TO, CC and BCC find what is in the text of the addresses,
 * whether that text is made or found not to be needed. */
#include "tests/unit/unit.h"

#include "imapd/search_match_priv.h"
#include "mail/digest.h"
#include "mail/text.h"
#include "tests/dice.h"
#include "tests/octets_source.h"

static uint32_t seed;

/* Few letters, so that much is found and much nearly; what folds to ASCII, what decodes, what stands
 * between addresses, and lengths that are control characters or look like those. */
static const char *const pieces[] = {
	"a",
	"b",
	"A",
	"B",
	"ab",
	"k",
	"s",
	"K",
	" ",
	".",
	":",
	",",
	"@",
	"<",
	">",
	"=",
	"?",
	"\r\n ",
	"\r",
	"\t",
	"=?us-ascii?q?ab=41_b?=",
	"=?utf-8?b?w4RCYQ==?=",
	"\xc3\xa4",
	"\xe2\x84\xaa",
	"\xc5\xbf",
	"\xff",
	"abababababab",
};

/* `rare`: one in so many pieces is something else than plain letters. */
static struct slice random_text(struct arena *arena, uint32_t rare)
{
	struct buffer text = { 0 };
	if (dice_roll(&seed, 5) == 0)
		return SLICE_NONE;
	for (uint32_t left = dice_roll(&seed, dice_roll(&seed, 30) ? 6 : 60); left > 0; left--) {
		bool is_odd = dice_roll(&seed, rare) == 0;
		buffer_add_cstr(&text, pieces[dice_roll(&seed, is_odd ? ARRAY_LEN(pieces) : 8)]);
	}
	struct slice kept = arena_copy(arena, buffer_slice(&text));
	buffer_free(&text);
	return kept;
}

static struct header_address *random_list(struct arena *arena, uint32_t rare, size_t *count_out)
{
	*count_out = dice_roll(&seed, 4);
	struct header_address *list = arena_alloc_array(arena, *count_out + 1, sizeof(*list));
	for (size_t i = 0; i < *count_out; i++)
		list[i] = (struct header_address){
			.name = random_text(arena, rare),
			.route = random_text(arena, rare),
			.mailbox = random_text(arena, rare),
			.host = random_text(arena, rare),
		};
	return list;
}

static void random_envelope(struct arena *arena, struct mime_envelope *e)
{
	uint32_t rare = dice_roll(&seed, 2) ? 1000 : 1 + dice_roll(&seed, 20);
	*e = (struct mime_envelope){ .subject = random_text(arena, rare) };
	e->from = random_list(arena, rare, &e->from_count);
	e->to = random_list(arena, rare, &e->to_count);
	e->cc = random_list(arena, rare, &e->cc_count);
	e->bcc = random_list(arena, rare, &e->bcc_count);
	e->sender = e->reply_to = e->from;
	e->sender_count = e->reply_to_count = e->from_count;
	if (dice_roll(&seed, 2))
		e->sender = random_list(arena, rare, &e->sender_count);
	if (dice_roll(&seed, 2))
		e->reply_to = random_list(arena, rare, &e->reply_to_count);
}

/* `Name <local@domain>, ` of each, a group's name with a colon: what is looked into. */
static void add_text(const struct header_address *list, size_t count, struct buffer *utf8)
{
	for (const struct header_address *a = list; a < list + count; a++) {
		text_decode_header(a->name, utf8);
		if (a->name.len)
			buffer_add_byte(utf8, ' ');
		if (a->host.ptr) {
			buffer_add_format(utf8, "<%.*s@%.*s>, ", SLICE_ARG(a->mailbox),
					  SLICE_ARG(a->host));
		} else if (a->mailbox.ptr) {
			text_decode_header(a->mailbox, utf8);
			buffer_add_cstr(utf8, ": ");
		}
	}
}

/* Some of the text, perhaps with something in it that is not there; never more than UTF-8. */
static struct slice random_needle(struct arena *arena, struct slice text)
{
	struct buffer needle = { 0 };
	if (dice_roll(&seed, 8))
		buffer_add(&needle, slice_sub(text, dice_roll(&seed, (uint32_t)text.len + 1),
					      dice_roll(&seed, 12)));
	if (dice_roll(&seed, 3) == 0)
		buffer_add_cstr(&needle, pieces[dice_roll(&seed, ARRAY_LEN(pieces))]);
	struct slice kept = text_is_utf8(buffer_slice(&needle))
				    ? arena_copy(arena, buffer_slice(&needle))
				    : SLICE("b");
	buffer_free(&needle);
	return kept;
}

/* `is_required`: the key stands alone, so that a look at the digest in place may do. */
static bool found(const char *field, struct slice needle, struct slice record,
		  enum comparator comparator, bool is_required)
{
	struct arena arena = { 0 };
	struct octets_source octets = octets_source_of(SLICE_NONE, record);
	struct message_entry entry = { .uid = 1 };
	struct search_program program = { .comparator = comparator };
	struct matcher matcher;
	struct buffer keys = { 0 };
	bool yes = false;
	buffer_add_format(&keys, "%s%s {%zu}\r\n", is_required ? "" : "NOT ", field, needle.len);
	buffer_add(&keys, needle);
	struct cursor c = cursor_of(buffer_slice(&keys));
	assert_int_equal(take_search_program(&c, CHARSET_NAMED, NULL, &arena, &program),
			 SEARCH_PARSED);
	matcher_init(&matcher, &program);
	assert_int_equal(matcher_match(&matcher, &entry, &octets.source, &yes), ERR_OK);
	matcher_fini(&matcher);
	search_program_fini(&program);
	buffer_free(&keys);
	arena_fini(&arena);
	assert_true(is_required || octets.digests == 1);
	return yes == is_required;
}

static bool holds(struct slice utf8, struct slice needle, enum comparator comparator)
{
	struct buffer folded = { 0 }, folded_needle = { 0 };
	comparator_fold(comparator, utf8, &folded);
	comparator_fold(comparator, needle, &folded_needle);
	bool yes = folded_needle.len == 0 ||
		   slice_find(buffer_slice(&folded), 0, buffer_slice(&folded_needle)) < folded.len;
	buffer_free(&folded);
	buffer_free(&folded_needle);
	return yes;
}

static void each_field_as_its_text(void **state)
{
	static const char *const fields[] = { "FROM", "TO", "CC", "BCC" };
	unsigned matches = 0, others = 0;
	for (unsigned round = 0; round < 20000; round++) {
		struct arena arena = { 0 };
		struct buffer record = { 0 }, utf8 = { 0 };
		struct mime_envelope e;
		random_envelope(&arena, &e);
		struct mime_part root = { .type = SLICE("text"),
					  .subtype = SLICE("plain"),
					  .encoding = SLICE("7bit"),
					  .envelope = &e };
		const struct header_address *lists[] = { e.from, e.to, e.cc, e.bcc };
		size_t counts[] = { e.from_count, e.to_count, e.cc_count, e.bcc_count };
		uint32_t field = dice_roll(&seed, ARRAY_LEN(fields));
		enum comparator comparator = (enum comparator)dice_roll(&seed, COMPARATORS);
		digest_encode(&root, &record);
		add_text(lists[field], counts[field], &utf8);
		struct slice needle = random_needle(&arena, buffer_slice(&utf8));
		bool want = counts[field] > 0 && holds(buffer_slice(&utf8), needle, comparator);
		if (found(fields[field], needle, buffer_slice(&record), comparator, round % 2) !=
		    want)
			fail_msg("%s, round %u: %.*s in %.*s", fields[field], round,
				 SLICE_ARG(needle), SLICE_ARG(buffer_slice(&utf8)));
		matches += want;
		others += !want;
		buffer_free(&record);
		buffer_free(&utf8);
		arena_fini(&arena);
	}
	assert_true(matches > 2000 && others > 2000);
}

/* KELVIN SIGN and LONG S fold to letters of ASCII, an encoded word stands for what it says, and a string
 * may reach from one part of an address, or from one address, into the next. */
static void what_is_not_written_so(void **state)
{
	struct header_address list[] = {
		{ .name = SLICE("\xe2\x84\xaa"
				"urt"),
		  .mailbox = SLICE("me\xc5\xbf\xc5\xbf"),
		  .host = SLICE("a.example") },
		{ .name = SLICE("=?utf-8?q?J=C3=B6rg?= (Sales)"),
		  .mailbox = SLICE("joerg"),
		  .host = SLICE("b.example") },
		{ .mailbox = SLICE("team") },
		{ .mailbox = SLICE("x"), .host = SLICE("c.example") },
		{ .name = SLICE_NONE },
	};
	static const struct {
		const char *needle;
		bool want;
	} cases[] = {
		{ "kurt", true },
		{ "KURT <mess@a", true },
		{ "mess", true },
		{ "j\xc3\xb6rg (sales) <joerg@b.example>, team: <x", true },
		{ "utf-8", false },
		{ "example>, j", true },
		{ "example, j", false },
		{ "team:", true },
		{ "y@c.example", false },
	};
	struct mime_envelope e = { .to = list, .to_count = ARRAY_LEN(list) };
	struct mime_part root = { .type = SLICE("text"),
				  .subtype = SLICE("plain"),
				  .encoding = SLICE("7bit"),
				  .envelope = &e };
	struct buffer record = { 0 };
	digest_encode(&root, &record);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (found("TO", slice_cstr(cases[i].needle), buffer_slice(&record),
			  COMPARATOR_UNICODE_CASEMAP, true) != cases[i].want)
			fail_msg("%s", cases[i].needle);
	/* Where all is plain, nothing is decoded, and strings that cross parts are found all the same. */
	e.to = list + 3;
	e.to_count = 2;
	buffer_clear(&record);
	digest_encode(&root, &record);
	assert_true(found("TO", SLICE("<X@C.example>, "), buffer_slice(&record),
			  COMPARATOR_UNICODE_CASEMAP, true));
	assert_false(found("TO", SLICE("<x@c.example>,y"), buffer_slice(&record),
			   COMPARATOR_UNICODE_CASEMAP, true));
	assert_true(found("TO", SLICE("@"), buffer_slice(&record), COMPARATOR_OCTET, true));
	buffer_free(&record);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_field_as_its_text),
		cmocka_unit_test(what_is_not_written_so),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
