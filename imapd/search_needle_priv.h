/* imapd/search_needle_priv.h - a string that is looked for, and finding it in ASCII text where that
 * stands, without folding it first. Any thread. */
#pragma once

#include "imapd/comparator_priv.h"

struct needle {
	struct slice folded; /* UTF-8, by the comparator; the maker's */
	bool is_ascii, ignores_case;
	/* Of its octets the two that are rarest in mail: where they are looked at first. */
	size_t rarest, second;
};
/* `folded` stays the caller's and has to live as long. */
struct needle needle_of(struct slice folded, enum comparator comparator);
/* Of a string the longest part without blanks, control characters and colons: where header fields
 * without encoded words are decoded, it can only come from where it stands in them already. */
struct slice needle_word(struct slice folded);
/* The longest part that has nothing either of what stands between the parts of an address and between
 * addresses when these are told as text: it can only come out of one part. */
struct slice needle_address_word(struct slice folded);
/* So many octets are looked at for a needle in the time that one takes to be read from the store. */
enum { NEEDLE_OCTETS_FOR_ONE = 8 };
/* Whether the text, which is ASCII and not folded, holds it once folded. The empty one is in each.
 * `*spent` grows by what that has cost, in octets read: never more than a few times the text. */
bool needle_is_in_ascii(const struct needle *needle, struct slice ascii, uint64_t *spent);
