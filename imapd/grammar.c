/* imapd/grammar.c - the words of the formal syntax: atoms, strings, mailbox names, numbers,
 * sequence sets, dates. In the front and in the back.
 *
 * RFC 9051 section 9 and, where it differs, RFC 3501 section 9. Sections of BODY[...] are in
 * section.c, flags in flags.c. Octets above 127 are let through in quoted strings and literals whether or not
 * the client has enabled UTF-8; what they mean is the business of who reads them. */
#include "imapd/grammar_priv.h"

#include <stdlib.h>

#include "base/heap.h"
#include "mail/date.h"
#include "mail/text.h"

enum { HIERARCHY_SEPARATOR = '/' }; /* the store's MAILBOX_SEPARATOR */

bool is_atom_char(uint8_t c)
{
	if (c <= ' ' || c >= 127)
		return false;
	switch (c) {
	case '(':
	case ')':
	case '{':
	case '%':
	case '*':
	case '"':
	case '\\':
	case ']': return false;
	default: return true;
	}
}

bool is_astring_char(uint8_t c)
{
	return is_atom_char(c) || c == ']';
}

static bool is_tag_char(uint8_t c)
{
	return is_astring_char(c) && c != '+';
}

static bool is_list_char(uint8_t c)
{
	return is_astring_char(c) || c == '%' || c == '*';
}

bool take_space(struct cursor *c)
{
	return take_byte(c, ' ');
}

bool take_tag(struct cursor *c, struct slice *tag_out)
{
	return take_while(c, is_tag_char, tag_out);
}

bool take_atom(struct cursor *c, struct slice *atom_out)
{
	return take_while(c, is_atom_char, atom_out);
}

bool take_keyword(struct cursor *at, const char *word)
{
	struct cursor c = *at;
	if (!take_word_nocase(&c, slice_cstr(word)))
		return false;
	if (!at_end(&c) && is_atom_char(*c.at) && *c.at != '[')
		return false;
	*at = c;
	return true;
}

/* quoted = DQUOTE *QUOTED-CHAR DQUOTE; only DQUOTE and "\" may be escaped. Octets above 127 are
 * UTF-8 or the command is none (RFC 6855 section 3). */
bool take_quoted(struct cursor *at, struct arena *arena, struct slice *text_out)
{
	struct cursor c = *at;
	if (!take_byte(&c, '"'))
		return false;
	const uint8_t *start = c.at;
	size_t escapes = 0;
	for (; c.at != c.end && *c.at != '"'; c.at++) {
		if (*c.at == '\r' || *c.at == '\n' || *c.at == 0)
			return false;
		if (*c.at != '\\')
			continue;
		if (++c.at == c.end || (*c.at != '"' && *c.at != '\\'))
			return false;
		escapes++;
	}
	struct slice raw = slice_of(start, (size_t)(c.at - start));
	if (!take_byte(&c, '"') || !text_is_utf8(raw))
		return false;
	*at = c;
	*text_out = raw;
	if (escapes == 0)
		return true;
	uint8_t *text = arena_alloc(arena, raw.len);
	size_t len = 0;
	for (size_t i = 0; i < raw.len; i++) {
		if (raw.ptr[i] == '\\')
			i++;
		text[len++] = raw.ptr[i];
	}
	*text_out = slice_of(text, len);
	return true;
}

/* literal, as framing has left it in the command. A literal8 is for APPEND alone, which does
 * not come here. */
bool take_literal(struct cursor *at, struct slice *octets_out)
{
	struct cursor c = *at;
	struct literal literal;
	if (!next_is(&c, '{') || !take_literal_header(&c, &literal))
		return false;
	if (!take_byte(&c, '\r') || !take_byte(&c, '\n') || literal.size_octets > cursor_left(&c) ||
	    !take_octets(&c, (size_t)literal.size_octets, octets_out))
		return false;
	*at = c;
	return true;
}

bool take_string(struct cursor *c, struct arena *arena, struct slice *text_out)
{
	return take_quoted(c, arena, text_out) || take_literal(c, text_out);
}

bool take_nstring(struct cursor *c, struct arena *arena, struct slice *text_out)
{
	if (take_keyword(c, "NIL")) {
		*text_out = SLICE_NONE;
		return true;
	}
	return take_string(c, arena, text_out);
}

bool take_astring(struct cursor *c, struct arena *arena, struct slice *text_out)
{
	return take_while(c, is_astring_char, text_out) || take_string(c, arena, text_out);
}

bool take_list_mailbox(struct cursor *c, struct arena *arena, struct slice *pattern_out)
{
	return take_while(c, is_list_char, pattern_out) || take_string(c, arena, pattern_out);
}

/* INBOX is the same in any case (RFC 9051 section 5.1); its inferiors follow it. */
static struct slice inbox_in_capitals(struct slice name, struct arena *arena)
{
	static const struct slice inbox = SLICE("INBOX");
	if (!slice_starts_nocase(name, inbox) ||
	    (name.len > inbox.len && name.ptr[inbox.len] != HIERARCHY_SEPARATOR))
		return name;
	char *copy = arena_string(arena, name);
	memcpy(copy, inbox.ptr, inbox.len);
	return slice_of(copy, name.len);
}

static bool has_high_octet(struct slice wire)
{
	for (size_t i = 0; i < wire.len; i++)
		if (wire.ptr[i] > 127)
			return true;
	return false;
}

bool mailbox_name_from_wire(struct slice wire, struct arena *arena, bool utf8,
			    struct slice *name_out)
{
	/* Modified UTF-7 has no octets above 127, so UTF-8 is told from it in either mode (RFC 6855
	 * section 3). */
	if (utf8 || has_high_octet(wire)) {
		if (!text_is_utf8(wire))
			return false;
		*name_out = inbox_in_capitals(wire, arena);
		return true;
	}
	struct buffer name = { 0 };
	bool is_good = mutf7_decode(wire, &name);
	if (is_good)
		*name_out = inbox_in_capitals(arena_copy(arena, buffer_slice(&name)), arena);
	buffer_free(&name);
	return is_good;
}

bool take_mailbox(struct cursor *at, struct arena *arena, bool utf8, struct slice *name_out)
{
	struct cursor c = *at;
	struct slice wire;
	if (!take_astring(&c, arena, &wire) || !mailbox_name_from_wire(wire, arena, utf8, name_out))
		return false;
	*at = c;
	return true;
}

bool take_number32(struct cursor *c, uint32_t *number_out)
{
	uint64_t number;
	if (!take_number(c, UINT32_MAX, &number))
		return false;
	*number_out = (uint32_t)number;
	return true;
}

bool take_nz_number(struct cursor *at, uint32_t *number_out)
{
	struct cursor c = *at;
	if (!take_number32(&c, number_out) || *number_out == 0)
		return false;
	*at = c;
	return true;
}

bool take_number64(struct cursor *c, uint64_t *number_out)
{
	return take_number(c, INT64_MAX, number_out);
}

/* seq-number = nz-number / "*" */
static bool take_seq_number(struct cursor *c, uint32_t *number_out)
{
	if (take_byte(c, '*')) {
		*number_out = 0;
		return true;
	}
	return take_nz_number(c, number_out);
}

static bool take_sequence_item(struct cursor *c, struct range *item_out)
{
	if (!take_seq_number(c, &item_out->first))
		return false;
	item_out->last = item_out->first;
	return !take_byte(c, ':') || take_seq_number(c, &item_out->last);
}

static size_t count_bytes(struct slice s, uint8_t byte)
{
	size_t count = 0;
	for (size_t i = 0; i < s.len; i++)
		count += s.ptr[i] == byte;
	return count;
}

static bool is_sequence_char(uint8_t c)
{
	return ascii_is_digit(c) || c == '*' || c == ':' || c == ',' || c == '$';
}

bool take_sequence_set(struct cursor *at, struct arena *arena, struct sequence_set *set_out)
{
	struct cursor c = *at;
	struct sequence_set set = { 0 };
	struct cursor ahead = c;
	struct slice text;
	if (!take_while(&ahead, is_sequence_char, &text))
		return false;
	set.items = arena_alloc_array(arena, count_bytes(text, ',') + 1, sizeof(*set.items));
	do { /* nothing stands behind "$": sequence-set =/ seq-last-command */
		set.has_saved_result = take_byte(&c, '$');
		if (!set.has_saved_result && !take_sequence_item(&c, &set.items[set.count++]))
			return false;
	} while (!set.has_saved_result && take_byte(&c, ','));
	*set_out = set;
	*at = c;
	return true;
}

static int compare_ranges(const void *a, const void *b)
{
	const struct range *x = a, *y = b;
	return (x->first > y->first) - (x->first < y->first);
}

void sequence_set_numbers(const struct sequence_set *set, uint32_t star, struct ranges *numbers_out)
{
	if (set->count == 0)
		return;
	/* In ascending order each addition is cheap, whatever order the client chose. */
	struct range *sorted = heap_alloc_array(set->count, sizeof(*sorted));
	for (size_t i = 0; i < set->count; i++) {
		uint32_t first = set->items[i].first ? set->items[i].first : star;
		uint32_t last = set->items[i].last ? set->items[i].last : star;
		sorted[i] = first <= last ? (struct range){ first, last }
					  : (struct range){ last, first };
	}
	qsort(sorted, set->count, sizeof(*sorted), compare_ranges);
	for (size_t i = 0; i < set->count; i++)
		if (sorted[i].last > 0) /* "*" of an empty mailbox is nothing */
			ranges_add(numbers_out, sorted[i].first ? sorted[i].first : 1,
				   sorted[i].last);
	free(sorted);
}

bool take_date_time(struct cursor *at, int64_t *unix_out)
{
	struct cursor c = *at;
	if (!take_byte(&c, '"') || !take_imap_date_time(&c, unix_out) || !take_byte(&c, '"'))
		return false;
	*at = c;
	return true;
}

bool take_date(struct cursor *at, int32_t *day_out)
{
	struct cursor c = *at;
	bool is_quoted = take_byte(&c, '"');
	if (!take_imap_date(&c, day_out) || (is_quoted && !take_byte(&c, '"')))
		return false;
	*at = c;
	return true;
}
