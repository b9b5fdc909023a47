/* smtpd/dsn.c - what the sender wants to be told of, and by which names: RET and ENVID on MAIL,
 * NOTIFY and ORCPT on RCPT (RFC 3461 section 4; addresses in UTF-8: RFC 6533 section 3). Runs in
 * the front.
 *
 * ENVID and ORCPT are looked at and kept as they came, in xtext, so that whoever passes them on says
 * the same; who writes a report decodes them. */
#include "base/cursor.h"
#include "mail/xtext.h"
#include "smtpd/parameters_priv.h"

bool take_dsn_ret(struct slice value, struct arena *arena, void *mail)
{
	struct envelope *envelope = &((struct mail_parameters *)mail)->envelope;

	if (slice_eq_nocase(value, SLICE("FULL")))
		envelope->returns = DSN_RETURN_FULL;
	else if (slice_eq_nocase(value, SLICE("HDRS")))
		envelope->returns = DSN_RETURN_HEADERS;
	return envelope->returns != DSN_RETURN_UNSAID;
}

/* xtext of printable characters, the blank among them */
static bool is_printable_xtext(struct slice value, struct arena *arena)
{
	struct slice text;

	if (value.len == 0 || !xtext_decode(value, arena, &text))
		return false;
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] < 32 || text.ptr[i] > 126)
			return false;
	return true;
}

bool take_dsn_envid(struct slice value, struct arena *arena, void *mail)
{
	((struct mail_parameters *)mail)->envelope.envid = value;
	return value.len <= ENVID_MAX_OCTETS && is_printable_xtext(value, arena);
}

/* "NEVER", or any of the others in a list */
bool take_dsn_notify(struct slice value, struct arena *arena, void *into)
{
	static const struct {
		const char *word;
		uint8_t bit;
	} words[] = { { "SUCCESS", DSN_SUCCESS },
		      { "FAILURE", DSN_FAILURE },
		      { "DELAY", DSN_DELAY } };
	struct envelope_recipient *recipient = into;

	if (slice_eq_nocase(value, SLICE("NEVER"))) {
		recipient->notify = DSN_NEVER;
		return true;
	}
	for (size_t at = 0; at <= value.len;) {
		size_t comma = slice_find_byte(value, at, ',');
		struct slice word = slice_sub(value, at, comma - at);
		size_t i = 0;
		while (i < ARRAY_LEN(words) && !slice_eq_nocase(word, slice_cstr(words[i].word)))
			i++;
		if (i == ARRAY_LEN(words))
			return false;
		recipient->notify |= words[i].bit;
		at = comma + 1;
	}
	return true;
}

/* atext of RFC 5322, which an addr-type is made of */
static bool is_type_octet(uint8_t c)
{
	return ascii_is_alpha(c) || ascii_is_digit(c) ||
	       (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

/* utf-8-enc-addr but for the insides of "\x{...}": the parameters' own grammar has seen to it that
 * this is UTF-8, without blanks and "=" */
static bool is_utf8_address(struct slice value)
{
	for (size_t i = 0; i < value.len; i++)
		if (value.ptr[i] == '+')
			return false;
	return value.len > 0;
}

bool take_dsn_orcpt(struct slice value, struct arena *arena, void *into)
{
	struct envelope_recipient *recipient = into;
	struct cursor c = cursor_of(value);
	struct slice type;

	recipient->orcpt = value;
	if (value.len > ORCPT_MAX_OCTETS || !take_while(&c, is_type_octet, &type) ||
	    !take_byte(&c, ';'))
		return false;
	if (slice_eq_nocase(type, SLICE("utf-8")))
		return is_utf8_address(cursor_rest(&c));
	return is_printable_xtext(cursor_rest(&c), arena);
}
