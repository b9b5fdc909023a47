/* tests/transcripts/expectation.c - matching and expanding the lines of a transcript. */
#include "tests/transcripts/expectation.h"

#include <stdio.h>

#include "base/base64.h"
#include "base/cursor.h"

void names_free(struct names *names)
{
	for (size_t i = 0; i < names->count; i++)
		buffer_free(&names->rows[i].value);
	names->count = 0;
}

static const struct buffer *find_name(const struct names *names, struct slice name)
{
	for (size_t i = 0; i < names->count; i++)
		if (slice_eq(slice_cstr(names->rows[i].name), name))
			return &names->rows[i].value;
	return NULL;
}

static void keep_name(struct names *names, struct slice name, struct slice value)
{
	struct buffer *kept = (struct buffer *)(uintptr_t)find_name(names, name);
	if (!kept) {
		if (names->count == NAMES_MAX || name.len >= NAME_MAX_OCTETS)
			return;
		snprintf(names->rows[names->count].name, NAME_MAX_OCTETS, "%.*s", SLICE_ARG(name));
		kept = &names->rows[names->count++].value;
		*kept = (struct buffer){ 0 };
	}
	buffer_clear(kept);
	buffer_add(kept, value);
}

/* "{...}" whose inside begins with a letter or one of "=*"; {123} is IMAP's literal. */
static bool take_braces(struct cursor *c, struct slice *inside_out)
{
	struct cursor copy = *c;
	if (!take_byte(&copy, '{') || at_end(&copy))
		return false;
	if (!ascii_is_alpha(*copy.at) && *copy.at != '=' && *copy.at != '*')
		return false;
	if (!take_until_byte(&copy, '}', inside_out))
		return false;
	copy.at++;
	*c = copy;
	return true;
}

static bool match(struct cursor pattern, struct cursor line, struct names *names, bool opening)
{
	while (!at_end(&pattern)) {
		struct slice inside;
		if (take_braces(&pattern, &inside)) {
			if (slice_eq(inside, SLICE("*"))) {
				if (!take_byte(&line, '*'))
					return false;
			} else if (inside.ptr[0] == '=') {
				const struct buffer *value =
					find_name(names, slice_sub(inside, 1, inside.len));
				struct slice same;
				if (!value || !take_octets(&line, value->len, &same) ||
				    !slice_eq(same, buffer_slice(value)))
					return false;
			} else {
				for (size_t len = 1; len <= cursor_left(&line); len++) {
					struct cursor rest = line;
					rest.at += len;
					if (!match(pattern, rest, names, false))
						continue;
					keep_name(names, inside, slice_of(line.at, len));
					return true;
				}
				return false;
			}
		} else if (next_is(&pattern, '*') &&
			   !(opening && cursor_left(&pattern) > 1 && pattern.at[1] == ' ')) {
			pattern.at++;
			if (at_end(&pattern))
				return true;
			for (; line.at <= line.end; line.at++) {
				if (match(pattern, line, names, false))
					return true;
				if (at_end(&line))
					break;
			}
			return false;
		} else if (!take_byte(&line, *pattern.at)) {
			return false;
		} else {
			pattern.at++;
		}
		opening = false;
	}
	return at_end(&line);
}

bool expectation_matches(struct slice pattern, struct slice line, struct names *names)
{
	return match(cursor_of(pattern), cursor_of(line), names, true);
}

static int hex_digit(uint8_t c)
{
	return ascii_is_digit(c)      ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

static bool take_escape(struct cursor *c, struct buffer *octets)
{
	static const char letters[] = "rnt0\\", means[] = "\r\n\t\0\\";
	if (cursor_left(c) < 2 || *c->at != '\\')
		return false;
	const char *letter = c->at[1] ? strchr(letters, c->at[1]) : NULL;
	if (letter) {
		buffer_add_byte(octets, (uint8_t)means[letter - letters]);
		c->at += 2;
		return true;
	}
	if (c->at[1] == 'x' && cursor_left(c) >= 4 && hex_digit(c->at[2]) >= 0 &&
	    hex_digit(c->at[3]) >= 0) {
		buffer_add_byte(octets, (uint8_t)(hex_digit(c->at[2]) * 16 + hex_digit(c->at[3])));
		c->at += 4;
		return true;
	}
	return false;
}

static void expand_escapes(struct slice text, struct buffer *octets)
{
	struct cursor c = cursor_of(text);
	while (!at_end(&c))
		if (!take_escape(&c, octets))
			buffer_add_byte(octets, *c.at++);
}

static bool expand_repeat(struct cursor inside, struct buffer *octets)
{
	struct buffer once = { 0 };
	uint64_t count;
	if (!take_number(&inside, 100 * 1024 * 1024, &count) || !take_byte(&inside, ' '))
		return false;
	expand_escapes(cursor_rest(&inside), &once);
	for (uint64_t i = 0; i < count; i++)
		buffer_add(octets, buffer_slice(&once));
	buffer_free(&once);
	return true;
}

/* Letters that no compression makes much shorter, the same ones every time. */
static bool expand_noise(struct cursor inside, struct buffer *octets)
{
	uint64_t count, state = 1;
	if (!take_number(&inside, 100 * 1024 * 1024, &count))
		return false;
	for (uint64_t i = 0; i < count; i++) {
		state = state * 6364136223846793005u + 1442695040888963407u;
		buffer_add_byte(octets, (uint8_t)('!' + (state >> 33) % 90));
	}
	return true;
}

bool expectation_expand(struct slice text, const struct names *names, struct buffer *octets)
{
	struct cursor c = cursor_of(text);
	while (!at_end(&c)) {
		struct cursor before = c;
		struct slice inside;
		if (take_escape(&c, octets))
			continue;
		if (!take_braces(&c, &inside)) {
			buffer_add_byte(octets, *c.at++);
			continue;
		}
		struct cursor in = cursor_of(inside);
		if (take_byte(&in, '=')) {
			const struct buffer *value = find_name(names, cursor_rest(&in));
			if (!value)
				return false;
			buffer_add(octets, buffer_slice(value));
		} else if (take_word_nocase(&in, SLICE("base64:"))) {
			struct buffer plain = { 0 };
			expand_escapes(cursor_rest(&in), &plain);
			base64_encode(buffer_slice(&plain), octets);
			buffer_free(&plain);
		} else if (take_word_nocase(&in, SLICE("repeat "))) {
			if (!expand_repeat(in, octets))
				return false;
		} else if (take_word_nocase(&in, SLICE("noise "))) {
			if (!expand_noise(in, octets))
				return false;
		} else {
			buffer_add(octets, slice_of(before.at, (size_t)(c.at - before.at)));
		}
	}
	return true;
}
