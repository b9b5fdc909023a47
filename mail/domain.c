/* mail/domain.c - the one form of a domain name.
 *
 * RFC 5890 to 5892 by libidn2, non-transitional; RFC 1035 section 2.3.4 (lengths). Runs in
 * both. */
#include <stdlib.h>

#include <idn2.h>

#include "mail/address.h"
#include "mail/text.h"

enum { MAX_LABEL = 63, MAX_NAME = 253, MAX_WRITTEN = 1024 };

static bool is_host_octet(uint8_t c)
{
	return ascii_is_alpha(c) || ascii_is_digit(c) || c == '-' || c == '_' || c == '.';
}

/* Labels of 1 to 63 letters, digits, hyphens or underscores; 253 octets in all. Domains are
 * looked up and compared, not registered, so an underscore does no harm. */
static bool is_ascii_domain(struct slice domain)
{
	size_t label_len = 0;
	if (domain.len == 0 || domain.len > MAX_NAME)
		return false;
	for (size_t i = 0; i < domain.len; i++) {
		if (!is_host_octet(domain.ptr[i]))
			return false;
		if (domain.ptr[i] != '.')
			label_len++;
		else if (label_len == 0)
			return false;
		else
			label_len = 0;
		if (label_len > MAX_LABEL)
			return false;
	}
	return label_len > 0;
}

bool domain_normalise(struct slice domain, struct arena *arena, struct slice *domain_out)
{
	if (domain.len > MAX_WRITTEN || (domain.len && memchr(domain.ptr, '\0', domain.len)))
		return false;
	if (domain.len && domain.ptr[domain.len - 1] == '.')
		domain.len--;
	/* The common case needs no tables, and takes A-labels as they are. */
	if (text_is_ascii(domain)) {
		if (!is_ascii_domain(domain))
			return false;
		*domain_out = arena_lower(arena, domain);
		return true;
	}
	char *ascii = NULL;
	struct slice name = SLICE_NONE;
	bool ok = idn2_to_ascii_8z(arena_string(arena, domain), &ascii,
				   IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) == IDN2_OK;
	if (ok) {
		name = slice_cstr(ascii);
		if (name.len && name.ptr[name.len - 1] == '.') /* U+3002 was one */
			name.len--;
		ok = is_ascii_domain(name);
	}
	if (ok)
		*domain_out = arena_lower(arena, name);
	idn2_free(ascii);
	return ok;
}
