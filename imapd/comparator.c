/* imapd/comparator.c - COMPARATOR, and the comparators. In the back.
 *
 * RFC 5255 sections 4.4 to 4.10 (I18NLEVEL=2), RFC 4790 sections 3.1 to 3.3, 9.2 (i;ascii-casemap) and
 * 9.3 (i;octet), RFC 5051 (i;unicode-casemap). Texts are compared after encodings and charsets have
 * been undone, as UTF-8 in any case; i;octet compares that as it stands. */
#include "imapd/comparator_priv.h"

#include "imapd/grammar_priv.h"
#include "imapd/respond_priv.h"
#include "imapd/session_priv.h"
#include "mail/text.h"

static const char *const names[COMPARATORS] = {
	[COMPARATOR_UNICODE_CASEMAP] = "i;unicode-casemap",
	[COMPARATOR_ASCII_CASEMAP] = "i;ascii-casemap",
	[COMPARATOR_OCTET] = "i;octet",
};

static void add_ascii_folded(struct slice utf8, bool to_upper, struct buffer *out)
{
	if (utf8.len == 0)
		return;
	uint8_t *at = buffer_reserve(out, utf8.len);
	for (size_t i = 0; i < utf8.len; i++)
		at[i] = to_upper ? ascii_upper(utf8.ptr[i]) : ascii_lower(utf8.ptr[i]);
	out->len += utf8.len;
}

void comparator_fold(enum comparator comparator, struct slice utf8, struct buffer *folded)
{
	switch (comparator) {
	case COMPARATOR_ASCII_CASEMAP: add_ascii_folded(utf8, false, folded); break;
	case COMPARATOR_OCTET: buffer_add(folded, utf8); break;
	default: text_fold(utf8, folded); break;
	}
}

void comparator_order(enum comparator comparator, struct slice utf8, struct buffer *mapped)
{
	switch (comparator) {
	/* RFC 4790 section 9.2.1: small letters are compared as capitals. */
	case COMPARATOR_ASCII_CASEMAP: add_ascii_folded(utf8, true, mapped); break;
	case COMPARATOR_OCTET: buffer_add(mapped, utf8); break;
	default: text_casemap(utf8, mapped); break;
	}
}

/* collation-wild: "*" stands for any characters. */
static bool wild_matches(struct slice wild, struct slice name)
{
	size_t at = 0, w = 0, star = SIZE_MAX, star_at = 0;
	while (at < name.len) {
		if (w < wild.len && wild.ptr[w] == '*') {
			star = w++;
			star_at = at;
		} else if (w < wild.len && ascii_lower(wild.ptr[w]) == name.ptr[at]) {
			w++;
			at++;
		} else if (star != SIZE_MAX) {
			w = star + 1;
			at = ++star_at;
		} else {
			return false;
		}
	}
	while (w < wild.len && wild.ptr[w] == '*')
		w++;
	return w == wild.len;
}

/* The comparators, as bits, that a collation-order names: one by its name, or several by
 * wildcards. Without a descending direction, which none here has. */
static unsigned comparators_matching(struct slice order)
{
	unsigned matching = 0;
	if (slice_eq_nocase(order, SLICE("default")))
		return 1u << COMPARATOR_UNICODE_CASEMAP;
	if (order.len > 0 && order.ptr[0] == '+')
		order = slice_sub(order, 1, order.len - 1);
	for (unsigned i = 0; i < COMPARATORS; i++)
		if (wild_matches(order, slice_cstr(names[i])))
			matching |= 1u << i;
	return matching;
}

/* comparator-data: the active one, then all that matched if these are several. */
static void tell_comparator(struct imap_session *s, unsigned matching)
{
	struct buffer *out = &s->session.out;
	const char *before = " (";
	buffer_add_format(out, "* COMPARATOR %s", names[s->comparator]);
	if ((matching & (matching - 1)) != 0) {
		for (unsigned i = 0; i < COMPARATORS; i++) {
			if (!(matching & 1u << i))
				continue;
			buffer_add_cstr(out, before);
			buffer_add_cstr(out, names[i]);
			before = " ";
		}
		buffer_add_byte(out, ')');
	}
	buffer_add_cstr(out, "\r\n");
}

static enum comparator first_of(unsigned matching)
{
	unsigned i = 0;
	while (!(matching & 1u << i))
		i++;
	return (enum comparator)i;
}

enum step imap_comparator(struct imap_session *s, struct cursor *args, bool uid)
{
	struct slice order;
	unsigned matching = 0;
	enum comparator chosen = COMPARATOR_UNICODE_CASEMAP;
	bool is_question = at_end(args);
	while (!at_end(args)) {
		if (!take_astring(args, &s->command_arena, &order) ||
		    (!at_end(args) && (!take_space(args) || at_end(args))))
			return imap_bad(s, "COMPARATOR wants names of comparators");
		unsigned more = comparators_matching(order);
		if (matching == 0 && more != 0)
			chosen = first_of(more);
		matching |= more;
	}
	if (is_question) {
		tell_comparator(s, 0);
		return imap_ok(s, "COMPARATOR completed");
	}
	if (matching == 0)
		return imap_no(s, "[BADCOMPARATOR] No such comparator");
	s->comparator = (uint8_t)chosen;
	tell_comparator(s, matching);
	return imap_ok(s, "COMPARATOR completed");
}
