/* imapd/comparator_priv.h - how SEARCH, SORT and THREAD compare texts: the collations of RFC 4790
 * and 5051 that a client may choose from (RFC 5255 section 4). Any thread. */
#pragma once

#include "base/buffer.h"

/* The first is the default. */
enum comparator {
	COMPARATOR_UNICODE_CASEMAP, /* i;unicode-casemap */
	COMPARATOR_ASCII_CASEMAP,   /* i;ascii-casemap */
	COMPARATOR_OCTET,	    /* i;octet */
	COMPARATORS,
};

/* Appends what makes a text comparable octet by octet: for the substring operation, where texts
 * may be folded in pieces, and for the ordering operation. */
void comparator_fold(enum comparator comparator, struct slice utf8, struct buffer *folded);
void comparator_order(enum comparator comparator, struct slice utf8, struct buffer *mapped);
