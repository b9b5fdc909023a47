/* imapd/pattern.c - which mailbox names a LIST pattern means. In the back.
 *
 * RFC 9051 section 6.3.9: "*" and "%". All positions of the pattern that may be reached are
 * followed side by side, octet by octet of the name, so that no pattern makes us try again. */
#include "imapd/list_priv.h"

static bool is_wildcard(uint8_t c)
{
	return c == '*' || c == '%';
}

size_t list_pattern_simplify(uint8_t *pattern, size_t len)
{
	size_t kept = 0;
	for (size_t i = 0; i < len; i++) {
		if (kept > 0 && is_wildcard(pattern[i]) && is_wildcard(pattern[kept - 1])) {
			if (pattern[i] == '*')
				pattern[kept - 1] = '*';
			continue;
		}
		pattern[kept++] = pattern[i];
	}
	return kept;
}

/* How many octets of the name compare in any case: INBOX alone does. */
static size_t nocase_octets(struct slice name)
{
	static const struct slice inbox = SLICE("INBOX");
	if (!slice_starts_nocase(name, inbox))
		return 0;
	return name.len == inbox.len || name.ptr[inbox.len] == MAILBOX_SEPARATOR ? inbox.len : 0;
}

static size_t count_literal(struct slice pattern)
{
	size_t count = 0;
	for (size_t i = 0; i < pattern.len; i++)
		count += !is_wildcard(pattern.ptr[i]);
	return count;
}

/* A wildcard may stand for nothing: what is reached before it is reached behind it. */
static bool pass_wildcards(struct slice pattern, bool *reached)
{
	bool any = false;
	for (size_t j = 0; j <= pattern.len; j++) {
		any |= reached[j];
		if (reached[j] && j < pattern.len && is_wildcard(pattern.ptr[j]))
			reached[j + 1] = true;
	}
	return any;
}

bool list_pattern_matches(struct slice pattern, struct slice name)
{
	bool reached[PATTERN_MAX_OCTETS + 1] = { true };
	size_t nocase = nocase_octets(name);
	if (pattern.len > PATTERN_MAX_OCTETS || count_literal(pattern) > name.len)
		return false;
	pass_wildcards(pattern, reached);
	for (size_t i = 0; i < name.len; i++) {
		uint8_t c = name.ptr[i];
		for (size_t j = pattern.len + 1; j-- > 0;) {
			bool stays = reached[j] && j < pattern.len &&
				     (pattern.ptr[j] == '*' ||
				      (pattern.ptr[j] == '%' && c != MAILBOX_SEPARATOR));
			bool comes = false;
			if (j > 0 && reached[j - 1] && !is_wildcard(pattern.ptr[j - 1])) {
				uint8_t want = pattern.ptr[j - 1];
				comes = want == c ||
					(i < nocase && ascii_upper(want) == ascii_upper(c));
			}
			reached[j] = stays || comes;
		}
		if (!pass_wildcards(pattern, reached))
			return false;
	}
	return reached[pattern.len];
}
