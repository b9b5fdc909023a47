/* imapd/language.c - LANGUAGE: the ranges of languages that a client names, and ours. In both.
 *
 * RFC 5255 sections 3.2, 3.3 and 3.5; RFC 4647 section 2 (ranges) and 3.4 (lookup: a range that is
 * more exact than what there is, is cut until it fits). "default" is what the administrator
 * prefers; there is nothing to set, so it is i-default, and so is "*". */
#include "imapd/language_priv.h"

#include "imapd/grammar_priv.h"

enum { SUBTAG_MAX_OCTETS = 8 };

static const char *const tags[LANGUAGES] = {
	[LANGUAGE_DEFAULT] = "i-default",
	[LANGUAGE_ENGLISH] = "en",
	[LANGUAGE_GERMAN] = "de",
};

/* extended-language-range = (1*8ALPHA / "*") *("-" (1*8alphanum / "*")), of which
 * language-range is a part */
static bool is_range(struct slice range)
{
	bool is_first = true;
	for (size_t at = 0; at <= range.len; is_first = false) {
		size_t end = slice_find_byte(range, at, '-');
		struct slice subtag = slice_sub(range, at, end - at);
		at = end + 1;
		if (slice_eq(subtag, SLICE("*")))
			continue;
		if (subtag.len == 0 || subtag.len > SUBTAG_MAX_OCTETS)
			return false;
		for (size_t i = 0; i < subtag.len; i++) {
			uint8_t c = ascii_lower(subtag.ptr[i]);
			bool is_digit = c >= '0' && c <= '9';
			if (!(c >= 'a' && c <= 'z') && (is_first || !is_digit))
				return false;
		}
	}
	return true;
}

static bool look_up(struct slice range, enum language *language_out)
{
	*language_out = LANGUAGE_DEFAULT;
	if (slice_eq_nocase(range, SLICE("default")) || range.ptr[0] == '*')
		return true;
	while (range.len > 0) {
		for (unsigned i = 0; i < LANGUAGES; i++) {
			*language_out = (enum language)i;
			if (slice_eq_nocase(range, slice_cstr(tags[i])))
				return true;
		}
		size_t end = range.len;
		while (end > 0 && range.ptr[end - 1] != '-')
			end--;
		range.len = end > 0 ? end - 1 : 0;
	}
	return false;
}

/* lang-range-quoted = astring; the "*" that RFC 4647 has is taken without quotes, too. */
static bool take_range(struct cursor *c, struct arena *arena, struct slice *range_out)
{
	*range_out = SLICE("*");
	return take_byte(c, '*') || take_astring(c, arena, range_out);
}

enum language_command take_language_command(struct cursor *args, struct arena *arena,
					    enum language *chosen_out)
{
	struct slice range;
	enum language language;
	enum language_command command = LANGUAGE_COMMAND_CANNOT;
	if (at_end(args))
		return LANGUAGE_COMMAND_ASKS;
	do {
		if (!take_range(args, arena, &range) || !is_range(range))
			return LANGUAGE_COMMAND_BAD;
		if (command == LANGUAGE_COMMAND_CANNOT && look_up(range, &language)) {
			*chosen_out = language;
			command = LANGUAGE_COMMAND_CHOOSES;
		}
	} while (take_space(args));
	return at_end(args) ? command : LANGUAGE_COMMAND_BAD;
}

void respond_languages(struct buffer *out)
{
	buffer_add_cstr(out, "* LANGUAGE (");
	for (unsigned i = 0; i < LANGUAGES; i++)
		buffer_add_format(out, "%s%s", i ? " " : "", tags[i]);
	buffer_add_cstr(out, ")\r\n");
}

void respond_language(struct buffer *out, enum language language)
{
	buffer_add_format(out, "* LANGUAGE (%s)\r\n", tags[language]);
}
