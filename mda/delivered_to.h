/* mda/delivered_to.h - has a message that leaves by an alias of ours been sent on by it before? Each
 * time it is noted on top of the message, as "Delivered-To:" with the address that stands for others
 * elsewhere; RFC 5321 section 6.3 leaves the means to us, and this one is what others do. Values only;
 * any thread. */
#pragma once

#include "mda/destination.h"

/* A field that is longer names no address. */
enum { DELIVERED_TO_LINE_MAX_OCTETS = 512 };

/* Zero-initialise; fed with the message in pieces, however they are cut. */
struct delivered_to {
	uint8_t line[DELIVERED_TO_LINE_MAX_OCTETS]; /* of the header, as far as it has come */
	size_t len;
	bool is_past_header;
	bool is_loop; /* one of the addresses by which the message would leave was there */
};
void delivered_to_feed(struct delivered_to *watch, struct slice octets,
		       const struct destinations *found);
/* The line to be put on top: empty where the message leaves by no alias, or has other recipients,
 * whom that is not to be told (RFC 5321 section 7.2). */
struct slice delivered_to_line(const struct destinations *found, struct arena *arena);
