/* smtpd/parameters.c - parameters of MAIL and RCPT (RFC 5321 section 4.1.2): SIZE (RFC 1870),
 * BODY (RFC 1652) and AUTH (RFC 4954 section 5). Runs in the front.
 *
 * BODY changes nothing: the path to the mailbox is 8-bit clean, and nothing leaves by another.
 * AUTH names an identity on the word of somebody whom we have no cause to trust: section 5
 * allows to parse it and forget it. */
#include "mail/address.h"
#include "smtpd/session_priv.h"

/* esmtp-keyword = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-") */
static bool is_keyword_octet(uint8_t c)
{
	return ascii_is_alpha(c) || ascii_is_digit(c) || c == '-';
}

/* esmtp-value = 1*(%d33-60 / %d62-126) */
static bool is_value_octet(uint8_t c)
{
	return c >= 33 && c <= 126 && c != '=';
}

/* esmtp-param = esmtp-keyword ["=" esmtp-value]; without one, `value_out` is empty. */
static bool take_parameter(struct cursor *line, struct slice *keyword_out, struct slice *value_out)
{
	struct cursor c = *line;

	*value_out = SLICE_NONE;
	if (next_is(&c, '-') || !take_while(&c, is_keyword_octet, keyword_out))
		return false;
	if (take_byte(&c, '=') && !take_while(&c, is_value_octet, value_out))
		return false;
	if (!at_end(&c) && !next_is(&c, ' '))
		return false;
	*line = c;
	return true;
}

/* size-value = 1*20DIGIT (RFC 1870 section 5); more than we can count is more than we take. */
static bool take_size(struct slice value, uint64_t *size_out)
{
	if (value.len == 0 || value.len > 20)
		return false;
	for (size_t i = 0; i < value.len; i++)
		if (!ascii_is_digit(value.ptr[i]))
			return false;
	if (!slice_to_u64(value, UINT64_MAX, size_out))
		*size_out = UINT64_MAX;
	return true;
}

static int hex_value(uint8_t c)
{
	if (ascii_is_digit(c))
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* xtext that holds a mailbox, or "<>". "=" has been excluded by esmtp-value. */
static bool is_identity(struct slice value, struct arena *arena)
{
	uint8_t *text = arena_alloc(arena, value.len + 1);
	struct address ignored;
	size_t len = 0;

	for (size_t i = 0; i < value.len; i++) {
		text[len++] = value.ptr[i];
		if (value.ptr[i] != '+')
			continue;
		int high = i + 2 < value.len ? hex_value(value.ptr[i + 1]) : -1;
		int low = high >= 0 ? hex_value(value.ptr[i + 2]) : -1;
		if (low < 0)
			return false;
		text[len - 1] = (uint8_t)(high * 16 + low);
		i += 2;
	}
	struct slice decoded = slice_of(text, len);
	return slice_eq(decoded, SLICE("<>")) || address_parse(decoded, arena, &ignored);
}

enum smtp_reply_name take_mail_parameters(struct cursor *args, struct arena *arena,
					  struct mail_parameters *parameters_out)
{
	bool has_size = false, has_body = false, has_auth = false;

	*parameters_out = (struct mail_parameters){ 0 };
	while (!at_end(args)) {
		struct slice keyword, value;
		bool *seen, is_good;

		if (!take_byte(args, ' '))
			return REPLY_BAD_ARGUMENT;
		skip_blanks(args);
		if (!take_parameter(args, &keyword, &value))
			return REPLY_BAD_ARGUMENT;
		if (slice_eq_nocase(keyword, SLICE("SIZE"))) {
			seen = &has_size;
			is_good = take_size(value, &parameters_out->size_octets);
		} else if (slice_eq_nocase(keyword, SLICE("BODY"))) {
			seen = &has_body;
			is_good = slice_eq_nocase(value, SLICE("7BIT")) ||
				  slice_eq_nocase(value, SLICE("8BITMIME"));
		} else if (slice_eq_nocase(keyword, SLICE("AUTH"))) {
			seen = &has_auth;
			is_good = value.len > 0 && is_identity(value, arena);
		} else {
			return REPLY_UNKNOWN_PARAMETER;
		}
		if (*seen || !is_good)
			return REPLY_BAD_ARGUMENT;
		*seen = true;
	}
	return REPLY_NONE;
}

/* No extension of ours gives RCPT a parameter. */
enum smtp_reply_name take_rcpt_parameters(struct cursor *args)
{
	struct slice keyword, value;

	if (at_end(args))
		return REPLY_NONE;
	if (!take_byte(args, ' '))
		return REPLY_BAD_ARGUMENT;
	skip_blanks(args);
	return take_parameter(args, &keyword, &value) ? REPLY_UNKNOWN_PARAMETER
						      : REPLY_BAD_ARGUMENT;
}
