/* tests/fuzz/imap_grammar.c - every take_ function on arbitrary octets: it succeeds and moves
 * forward, or takes nothing; what it returns is inside the input or the arena; and what we
 * write of it can be read again. */
#include <assert.h>

#include "imapd/grammar_priv.h"
#include "imapd/id_priv.h"
#include "imapd/list_priv.h"
#include "imapd/respond_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct arena arena;
static unsigned sink; /* so that every octet of a result is read */

static void read_all(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		sink += s.ptr[i];
}

static void string_comes_back(struct slice text)
{
	struct buffer out = { 0 };
	struct slice again;
	if (slice_find_byte(text, 0, 0) < text.len)
		return;
	for (int utf8 = 0; utf8 < 2; utf8++) {
		buffer_clear(&out);
		respond_string(&out, text, utf8);
		struct cursor c = cursor_of(buffer_slice(&out));
		assert(take_string(&c, &arena, &again) && at_end(&c) && slice_eq(again, text));
	}
	buffer_free(&out);
}

static void name_comes_back(struct slice name, bool utf8)
{
	struct buffer out = { 0 };
	struct slice again;
	respond_mailbox(&out, name, utf8);
	struct cursor c = cursor_of(buffer_slice(&out));
	if (slice_find_byte(name, 0, 0) == name.len) {
		assert(take_mailbox(&c, &arena, utf8, &again) && at_end(&c));
		assert(slice_eq(again, name));
	}
	buffer_free(&out);
}

static bool take_strings(struct cursor *c, unsigned which)
{
	struct slice text = SLICE_NONE;
	bool taken = false;
	switch (which) {
	case 0: taken = take_tag(c, &text); break;
	case 1: taken = take_atom(c, &text); break;
	case 2: taken = take_quoted(c, &arena, &text); break;
	case 3: taken = take_literal(c, &text); break;
	case 4: taken = take_string(c, &arena, &text); break;
	case 5: taken = take_nstring(c, &arena, &text); break;
	case 6: taken = take_astring(c, &arena, &text); break;
	case 7: taken = take_list_mailbox(c, &arena, &text); break;
	default: break;
	}
	if (taken) {
		read_all(text);
		string_comes_back(text);
	}
	return taken;
}

static bool take_set(struct cursor *c)
{
	struct sequence_set set;
	struct ranges numbers = { 0 }, again = { 0 };
	struct buffer out = { 0 };
	if (!take_sequence_set(c, &arena, &set))
		return false;
	sequence_set_numbers(&set, 1000, &numbers);
	for (uint32_t i = 1; i < numbers.count; i++)
		assert(numbers.runs[i - 1].last + 1 < numbers.runs[i].first);
	if (numbers.count > 0) {
		respond_ranges(&out, &numbers);
		struct cursor back = cursor_of(buffer_slice(&out));
		assert(take_sequence_set(&back, &arena, &set) && at_end(&back));
		sequence_set_numbers(&set, 1000, &again);
		assert(ranges_total(&again) == ranges_total(&numbers));
	}
	buffer_free(&out);
	ranges_free(&numbers);
	ranges_free(&again);
	return true;
}

static bool take_others(struct cursor *c, unsigned which)
{
	struct flag_list list = { 0 };
	struct section section = { 0 };
	struct partial partial;
	struct slice name;
	int64_t moment;
	int32_t day;
	unsigned items;
	bool taken = false;
	switch (which) {
	case 0: taken = take_set(c); break;
	case 1: taken = take_flag_list(c, &arena, &list); break;
	case 2: taken = take_flags(c, &arena, &list); break;
	case 3: taken = take_section(c, &arena, &section); break;
	case 4: taken = take_section_binary(c, &arena, &section); break;
	case 5: return take_partial(c, &partial);
	case 6: return take_date_time(c, &moment);
	case 7: return take_date(c, &day);
	case 8: return take_status_items(c, &items);
	case 9: return take_id_parameters(c, &arena);
	case 10:
	case 11:
		taken = take_mailbox(c, &arena, which == 10, &name);
		if (taken)
			name_comes_back(name, which == 10);
		break;
	default: break;
	}
	for (size_t i = 0; taken && i < list.keyword_count; i++)
		read_all(list.keywords[i]);
	for (size_t i = 0; taken && i < section.field_count; i++)
		read_all(section.fields[i]);
	return taken;
}

static void match_pattern(struct slice input)
{
	uint8_t pattern[PATTERN_MAX_OCTETS];
	size_t split = slice_find_byte(input, 0, ' ');
	struct slice first = slice_sub(input, 0, split);
	struct slice name = slice_sub(input, split + 1, MAILBOX_NAME_MAX_OCTETS);
	if (first.len > sizeof(pattern))
		return;
	if (first.len)
		memcpy(pattern, first.ptr, first.len);
	size_t len = list_pattern_simplify(pattern, first.len);
	assert(list_pattern_matches(slice_of(pattern, len), name) ==
	       list_pattern_matches(first, name));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	unsigned which = data[0] % 21;
	/* A copy of its own, so that a step past its end is seen. */
	uint8_t *copy = arena_alloc(&arena, size);
	memcpy(copy, data, size);
	struct slice input = slice_of(copy + 1, size - 1);
	struct cursor c = cursor_of(input);
	if (which == 20) {
		match_pattern(input);
	} else {
		bool taken = which < 8 ? take_strings(&c, which) : take_others(&c, which - 8);
		assert(taken ? c.at > input.ptr : c.at == input.ptr);
		assert(c.at <= c.end && c.end == input.ptr + input.len);
	}
	arena_fini(&arena);
	return 0;
}
