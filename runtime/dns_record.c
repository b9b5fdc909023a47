/* runtime/dns_record.c - record data of RFC 1035 section 3.3, RFC 3596 and RFC 6698, from a
 * stranger's zone into values. Runs in the front.
 *
 * The packet itself (sections, compression, which record answers the question) is libunbound's
 * work, and so is DNSSEC. */
#include "runtime/dns_record.h"

#include <stdio.h>

#include "base/cursor.h"
#include "base/octets.h"

static bool is_host_octet(uint8_t c)
{
	return ascii_is_alpha(c) || ascii_is_digit(c) || c == '-' || c == '_';
}

/* A domain name of labels, to its root (RFC 1035 section 3.1), and nothing behind it. */
static bool take_name(struct cursor *c, struct arena *arena, struct slice *name_out)
{
	char text[DNS_NAME_MAX_OCTETS + 1];
	size_t len = 0;
	uint8_t label_octets = 1;
	while (take_u8(c, &label_octets) && label_octets > 0) {
		struct slice label;
		/* 192 and more would be compression. */
		if (label_octets > 63 || !take_octets(c, label_octets, &label) ||
		    len + (len > 0) + label.len > DNS_NAME_MAX_OCTETS)
			return false;
		if (len > 0)
			text[len++] = '.';
		for (size_t i = 0; i < label.len; i++) {
			if (!is_host_octet(label.ptr[i]))
				return false;
			text[len++] = (char)ascii_lower(label.ptr[i]);
		}
		label_octets = 1; /* the root has not come yet */
	}
	if (label_octets != 0 || !at_end(c))
		return false;
	*name_out = arena_copy(arena, slice_of(text, len));
	return true;
}

static bool take_address(struct cursor *c, size_t octets, struct peer *address_out)
{
	struct slice address;
	if (!take_octets(c, octets, &address) || !at_end(c))
		return false;
	*address_out = (struct peer){ .family = 4 };
	if (octets == 4)
		memcpy(address_out->address, address.ptr, octets);
	else
		peer_from_ipv6(address.ptr, address_out);
	return true;
}

/* Strings of up to 255 octets, one after the other (section 3.3.14), which belong together (RFC
 * 7208 section 3.3, RFC 6376 section 3.6.2.2). */
static bool take_text(struct cursor *c, struct arena *arena, struct slice *text_out)
{
	uint8_t *text = arena_alloc(arena, cursor_left(c) + 1);
	size_t len = 0;
	while (!at_end(c)) {
		uint8_t octets;
		struct slice piece;
		if (!take_u8(c, &octets) || !take_octets(c, octets, &piece))
			return false;
		if (piece.len > 0)
			memcpy(text + len, piece.ptr, piece.len);
		len += piece.len;
	}
	*text_out = slice_of(text, len);
	return true;
}

bool dns_record_decode(enum dns_type type, struct slice rdata, struct arena *arena,
		       struct dns_record *record_out)
{
	struct cursor c = cursor_of(rdata);
	struct dns_record *r = record_out;

	*r = (struct dns_record){ .preference = 0 };
	switch (type) {
	case DNS_A: return take_address(&c, 4, &r->address);
	case DNS_AAAA: return take_address(&c, 16, &r->address);
	case DNS_MX: return take_be16(&c, &r->preference) && take_name(&c, arena, &r->name);
	case DNS_CNAME:
	case DNS_PTR: return take_name(&c, arena, &r->name) && r->name.len > 0;
	case DNS_TXT: return take_text(&c, arena, &r->data);
	case DNS_TLSA:
		if (!take_u8(&c, &r->usage) || !take_u8(&c, &r->selector) ||
		    !take_u8(&c, &r->matching))
			return false;
		r->data = arena_copy(arena, cursor_rest(&c));
		return r->data.len > 0;
	}
	return false;
}

bool dns_name_is_valid(struct slice name)
{
	size_t label_octets = 0;
	if (name.len == 0 || name.len > DNS_NAME_MAX_OCTETS)
		return false;
	for (size_t i = 0; i < name.len; i++) {
		uint8_t c = name.ptr[i];
		bool is_label_end = c == '.';
		if (is_label_end ? label_octets == 0 : !is_host_octet(c) || label_octets == 63)
			return false;
		label_octets = is_label_end ? 0 : label_octets + 1;
	}
	return label_octets > 0;
}

bool dns_reverse_name(const struct peer *peer, struct slice zone,
		      char name_out[DNS_NAME_MAX_OCTETS + 1])
{
	char *at = name_out;
	if (zone.len == 0)
		zone = peer->family == 4 ? SLICE("in-addr.arpa") : SLICE("ip6.arpa");
	if (peer->family == 0 || zone.len > DNS_NAME_MAX_OCTETS - 64)
		return false;
	for (unsigned i = peer->family == 4 ? 4 : 16; i-- > 0;) {
		uint8_t octet = peer->address[i];
		at += peer->family == 4 ? sprintf(at, "%u.", octet)
					: sprintf(at, "%x.%x.", octet & 15, octet >> 4);
	}
	memcpy(at, zone.ptr, zone.len);
	at[zone.len] = '\0';
	return true;
}
