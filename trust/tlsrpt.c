/* trust/tlsrpt.c - records of RFC 8460 section 3. Runs in both. Left out: addresses with octets that
 * are written with %. */
#include "trust/tlsrpt.h"

#include <assert.h>
#include <string.h>

static bool take_record(struct slice text, struct slice *uris_out)
{
	static const struct slice version = { (const uint8_t *)"v=TLSRPTv1", 10 };
	*uris_out = SLICE_NONE;
	if (!slice_eq(slice_sub(text, 0, version.len), version))
		return false;
	struct slice rest = slice_trim(slice_sub(text, version.len, text.len));
	if (rest.len == 0 || rest.ptr[0] != ';')
		return false;
	while (rest.len > 0) {
		rest = slice_sub(rest, 1, rest.len);
		size_t end = slice_find_byte(rest, 0, ';');
		struct slice field = slice_trim(slice_sub(rest, 0, end));
		rest = slice_sub(rest, end, rest.len);
		if (uris_out->len == 0 && slice_eq(slice_sub(field, 0, 4), SLICE("rua=")))
			*uris_out = slice_trim(slice_sub(field, 4, field.len));
	}
	return true;
}

bool tlsrpt_records_uris(const struct slice *texts, size_t count, struct slice *uris_out)
{
	size_t found = 0;
	for (size_t i = 0; i < count; i++) {
		struct slice uris;
		if (!take_record(texts[i], &uris))
			continue;
		found++;
		*uris_out = uris;
	}
	return found == 1 && uris_out->len > 0;
}

/* What may stand in an envelope and a header as it is. */
static bool is_mailbox(struct slice s)
{
	size_t at = slice_find_byte(s, 0, '@');
	assert(s.ptr || s.len == 0);
	if (at == 0 || at + 1 >= s.len || s.len > 254)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = s.ptr[i];
		bool is_good = ascii_is_alpha(c) || ascii_is_digit(c) || c == '-' || c == '.' ||
			       c == '_' || (i < at && (c == '+' || c == '=')) || i == at;
		if (!is_good)
			return false;
	}
	return true;
}

static bool take_mailto(struct slice rest, struct tlsrpt_uri *uri_out)
{
	rest.len = slice_find_byte(rest, 0, '!'); /* a limit of size, as DMARC has it */
	*uri_out = (struct tlsrpt_uri){ .scheme = TLSRPT_MAILTO, .address = rest };
	return is_mailbox(rest);
}

/* A name of DNS, not an address: something has to stand in the certificate. */
static bool is_host(struct slice s)
{
	enum { NAME_MAX_OCTETS = 253, LABEL_MAX_OCTETS = 63 };
	size_t label = 0, dots = 0;
	bool has_letter = false; /* in the last label */
	if (s.len > NAME_MAX_OCTETS)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = s.ptr[i];
		if (c == '.') {
			if (label == 0)
				return false;
			dots++;
			label = 0;
			has_letter = false;
			continue;
		}
		has_letter |= ascii_is_alpha(c);
		if ((!ascii_is_alpha(c) && !ascii_is_digit(c) && c != '-') ||
		    ++label > LABEL_MAX_OCTETS)
			return false;
	}
	return dots > 0 && label > 0 && has_letter;
}

/* pchar, "/" and "?" of RFC 3986 sections 3.3 and 3.4. */
static bool is_path(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!ascii_is_alpha(s.ptr[i]) && !ascii_is_digit(s.ptr[i]) &&
		    (s.ptr[i] == 0 || !strchr("-._~!$&'()*+,;=:@%/?", s.ptr[i])))
			return false;
	return true;
}

static bool take_https(struct slice rest, struct tlsrpt_uri *uri_out)
{
	size_t end = 0;
	uint64_t port = 443;
	rest.len = slice_find_byte(rest, 0, '#');
	assert(rest.ptr || rest.len == 0);
	while (end < rest.len && rest.ptr[end] != '/' && rest.ptr[end] != '?')
		end++;
	struct slice host = slice_sub(rest, 0, end);
	size_t colon = slice_find_byte(host, 0, ':');
	struct slice digits = slice_sub(host, colon + 1, host.len);
	*uri_out = (struct tlsrpt_uri){ .scheme = TLSRPT_HTTPS,
					.host = slice_sub(host, 0, colon),
					.path = slice_sub(rest, end, rest.len) };
	if (digits.len > 0 && (!slice_to_u64(digits, UINT16_MAX, &port) || port == 0))
		return false;
	uri_out->port = (uint16_t)port;
	return is_host(uri_out->host) && is_path(uri_out->path);
}

static bool take_uri(struct slice uri, struct tlsrpt_uri *uri_out)
{
	static const struct slice mailto = { (const uint8_t *)"mailto:", 7 };
	static const struct slice https = { (const uint8_t *)"https://", 8 };
	if (slice_starts_nocase(uri, mailto))
		return take_mailto(slice_sub(uri, mailto.len, uri.len), uri_out);
	return slice_starts_nocase(uri, https) &&
	       take_https(slice_sub(uri, https.len, uri.len), uri_out);
}

bool tlsrpt_next_uri(struct slice *uris, struct tlsrpt_uri *uri_out)
{
	while (uris->len > 0) {
		size_t end = slice_find_byte(*uris, 0, ',');
		struct slice uri = slice_trim(slice_sub(*uris, 0, end));
		*uris = slice_sub(*uris, end + 1, uris->len);
		if (take_uri(uri, uri_out))
			return true;
	}
	return false;
}

struct slice tlsrpt_cut_uris(struct slice uris, size_t max_octets)
{
	size_t kept = 0, comma = slice_find_byte(uris, 0, ',');
	if (uris.len <= max_octets)
		return uris;
	for (; comma <= max_octets; comma = slice_find_byte(uris, comma + 1, ','))
		kept = comma;
	return slice_sub(uris, 0, kept);
}
