/* mail/html.c - the text of HTML. Runs in the back.
 *
 * As much of the HTML standard's tokenizer as it takes to tell markup from text. */
#include "mail/html.h"

#include "base/attributes.h"
#include "base/cursor.h"
#include "base/hex.h"

/* Behind `end`, in any case, or at the end of all. */
static void skip_past(struct cursor *c, struct slice end)
{
	while (!at_end(c) && !take_word_nocase(c, end))
		c->at++;
}

/* Elements whose content no reader sees. */
static void skip_hidden(struct cursor *c, struct slice name)
{
	static const struct {
		struct slice name, end;
	} hidden[] = {
		{ SLICE("head"), SLICE("</head") },
		{ SLICE("style"), SLICE("</style") },
		{ SLICE("script"), SLICE("</script") },
		{ SLICE("title"), SLICE("</title") },
	};
	for (size_t i = 0; i < ARRAY_LEN(hidden); i++) {
		if (!slice_eq_nocase(name, hidden[i].name))
			continue;
		skip_past(c, hidden[i].end);
		skip_past(c, SLICE(">"));
	}
}

static bool is_name_char(uint8_t c)
{
	return ascii_is_alpha(c) || ascii_is_digit(c);
}

/* A tag, behind its "<". False: it is none, the "<" is text. */
static bool take_tag_rest(struct cursor *at)
{
	struct cursor c = *at;
	struct slice name = SLICE_NONE;
	bool is_end = take_byte(&c, '/');
	if (take_word_nocase(&c, SLICE("!--"))) {
		skip_past(&c, SLICE("-->"));
		*at = c;
		return true;
	}
	if (!take_while(&c, is_name_char, &name) && !next_is(&c, '!') && !next_is(&c, '?'))
		return false;
	uint8_t quote = 0;
	for (; !at_end(&c) && (quote || *c.at != '>'); c.at++) {
		if (quote)
			quote = *c.at == quote ? 0 : quote;
		else if (*c.at == '"' || *c.at == '\'')
			quote = *c.at;
	}
	take_byte(&c, '>');
	if (!is_end)
		skip_hidden(&c, name);
	*at = c;
	return true;
}

static void add_utf8(struct buffer *utf8, uint32_t c)
{
	if (c == 0 || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		c = 0xfffd;
	if (c < 0x80) {
		buffer_add_byte(utf8, (uint8_t)c);
		return;
	}
	unsigned more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
	buffer_add_byte(utf8, (uint8_t)(0xff00u >> (more + 1) | c >> 6 * more));
	while (more-- > 0)
		buffer_add_byte(utf8, (uint8_t)(0x80 | (c >> 6 * more & 0x3f)));
}

/* "&#" number ";", behind the "&#" */
static bool take_number_reference(struct cursor *at, uint32_t *character_out)
{
	struct cursor c = *at;
	uint64_t number = 0;
	if (take_byte(&c, 'x') || take_byte(&c, 'X')) {
		unsigned digits = 0;
		for (; !at_end(&c) && digits < 6; digits++, c.at++) {
			int digit = hex_value(*c.at);
			if (digit < 0)
				break;
			number = number * 16 + (uint64_t)digit;
		}
		if (digits == 0)
			return false;
	} else if (!take_number(&c, 0x10ffff, &number)) {
		return false;
	}
	take_byte(&c, ';');
	*character_out = (uint32_t)number;
	*at = c;
	return true;
}

/* A character reference, behind its "&": the few that mail is full of. */
static bool take_reference(struct cursor *c, uint32_t *character_out)
{
	static const struct {
		const char *name;
		uint32_t character;
	} names[] = {
		{ "amp;", '&' },      { "lt;", '<' },	    { "gt;", '>' },
		{ "quot;", '"' },     { "apos;", '\'' },    { "nbsp;", ' ' },
		{ "zwnj;", ' ' },     { "auml;", 0xe4 },    { "ouml;", 0xf6 },
		{ "uuml;", 0xfc },    { "szlig;", 0xdf },   { "eacute;", 0xe9 },
		{ "ndash;", 0x2013 }, { "mdash;", 0x2014 }, { "hellip;", 0x2026 },
		{ "copy;", 0xa9 },
	};
	if (take_byte(c, '#')) {
		if (take_number_reference(c, character_out))
			return true;
		c->at--;
		return false;
	}
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (!take_word_nocase(c, slice_cstr(names[i].name)))
			continue;
		*character_out = names[i].character;
		return true;
	}
	return false;
}

void text_from_html(struct slice html, struct buffer *utf8)
{
	struct cursor c = cursor_of(html);
	while (!at_end(&c)) {
		uint32_t character;
		uint8_t octet = *c.at++;
		if (octet == '<' && take_tag_rest(&c))
			buffer_add_byte(utf8, ' ');
		else if (octet == '&' && take_reference(&c, &character))
			add_utf8(utf8, character);
		else
			buffer_add_byte(utf8, octet);
	}
}
