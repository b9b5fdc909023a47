/* trust/tlsrpt.c - records of RFC 8460 section 3. Runs in both. Left out: reports by HTTPS, and
 * addresses with octets that are written with %. */
#include "trust/tlsrpt.h"

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

bool tlsrpt_next_mailbox(struct slice *uris, struct slice *address_out)
{
	while (uris->len > 0) {
		size_t end = slice_find_byte(*uris, 0, ',');
		struct slice uri = slice_trim(slice_sub(*uris, 0, end));
		*uris = slice_sub(*uris, end + 1, uris->len);
		if (!slice_starts_nocase(uri, SLICE("mailto:")))
			continue;
		uri = slice_sub(uri, 7, uri.len);
		uri.len = slice_find_byte(uri, 0, '!') < uri.len ? slice_find_byte(uri, 0, '!')
								 : uri.len;
		if (!is_mailbox(uri))
			continue;
		*address_out = uri;
		return true;
	}
	return false;
}
