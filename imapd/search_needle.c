/* imapd/search_needle.c - finds a string in ASCII text, in either case, without making a copy of the
 * text. Runs in the back.
 *
 * Nearly all text of nearly all mail is ASCII, where every comparator folds octet by octet: letters
 * to small ones, or not at all. So what a search costs is one look at each octet of the text: sixteen
 * places at a time are asked whether the two rarest octets of the string stand where they should. Where
 * they do at too many places in vain, the rest of the text is folded and searched in linear time. */
#include "imapd/search_needle_priv.h"

#include "mail/text.h"

enum { WIDTH = 16 };
typedef uint8_t wide __attribute__((vector_size(WIDTH)));
typedef uint64_t halves __attribute__((vector_size(WIDTH)));

/* The higher, the rarer. */
static unsigned rarity(uint8_t octet)
{
	static const char common[] = " etaoinsrhldcum\n\rpfgywb-.=,/vk\"<>0123456789xjqz:";
	const char *at = octet ? strchr(common, octet) : NULL;
	return at ? (unsigned)(at - common) : sizeof(common);
}

struct needle needle_of(struct slice folded, enum comparator comparator)
{
	struct needle needle = { .folded = folded,
				 .is_ascii = text_is_ascii(folded),
				 .ignores_case = comparator != COMPARATOR_OCTET };
	for (size_t i = 1; i < folded.len; i++)
		if (rarity(folded.ptr[i]) > rarity(folded.ptr[needle.rarest]))
			needle.rarest = i;
	needle.second = needle.rarest == 0 && folded.len > 1 ? 1 : 0;
	for (size_t i = 0; i < folded.len; i++)
		if (i != needle.rarest && rarity(folded.ptr[i]) > rarity(folded.ptr[needle.second]))
			needle.second = i;
	return needle;
}

static struct slice longest_word(struct slice folded, struct slice separators)
{
	struct slice word = slice_sub(folded, 0, 0);
	for (size_t i = 0, from = 0; i < folded.len; i++) {
		uint8_t octet = folded.ptr[i];
		if (octet <= ' ' || slice_find_byte(separators, 0, octet) < separators.len)
			from = i + 1;
		else if (i + 1 - from > word.len)
			word = slice_sub(folded, from, i + 1 - from);
	}
	return word;
}

struct slice needle_word(struct slice folded)
{
	return longest_word(folded, SLICE(":"));
}

struct slice needle_address_word(struct slice folded)
{
	return longest_word(folded, SLICE(":<@>,"));
}

/* Of one octet of the needle: a letter stands for both cases, which differ in one bit. */
struct look {
	uint8_t both, folded;
};

static struct look look_for(const struct needle *needle, size_t at)
{
	uint8_t octet = needle->folded.ptr[at];
	return (struct look){ needle->ignores_case && ascii_is_alpha(octet) ? 0x20 : 0, octet };
}

static bool is_there(struct look look, uint8_t octet)
{
	return (octet | look.both) == look.folded;
}

static wide are_there(struct look look, const uint8_t *at)
{
	wide octets;
	memcpy(&octets, at, WIDTH);
	return (wide)((octets | look.both) == (wide){ 0 } + look.folded);
}

/* Looking for a needle in place. What is compared in vain is counted: at each place a text that was made
 * for it may agree with the needle nearly to its end. */
struct hunt {
	const struct needle *needle;
	struct slice ascii;
	uint64_t spent;
	bool is_found;
};

/* Folded first, in stretches that overlap: takes as long for every text. */
static bool is_in_folded(const struct needle *needle, struct slice ascii, uint64_t *spent)
{
	enum { STRETCH_MIN_OCTETS = 64 * 1024 };
	enum comparator comparator =
		needle->ignores_case ? COMPARATOR_ASCII_CASEMAP : COMPARATOR_OCTET;
	size_t len = needle->folded.len;
	size_t step = len < STRETCH_MIN_OCTETS ? STRETCH_MIN_OCTETS : len;
	struct buffer folded = { 0 };
	bool is_found = false;
	for (size_t at = 0; !is_found && at + len <= ascii.len; at += step) {
		buffer_clear(&folded);
		comparator_fold(comparator, slice_sub(ascii, at, step + len - 1), &folded);
		is_found = slice_find(buffer_slice(&folded), 0, needle->folded) < folded.len;
		*spent += folded.len;
	}
	buffer_free(&folded);
	return is_found;
}

static size_t octets_in_common(const struct needle *needle, const uint8_t *at)
{
	const struct slice folded = needle->folded;
	size_t i = 0;
	while (i < folded.len &&
	       (needle->ignores_case ? ascii_lower(at[i]) : at[i]) == folded.ptr[i])
		i++;
	return i;
}

/* At a place where the rarest octets are as they should. */
static bool is_over_at(struct hunt *hunt, size_t place)
{
	const struct needle *needle = hunt->needle;
	size_t common = octets_in_common(needle, hunt->ascii.ptr + place);
	hunt->is_found = common == needle->folded.len;
	if (hunt->is_found)
		return true;
	hunt->spent += common + 1;
	if (hunt->spent <= hunt->ascii.len)
		return false;
	hunt->is_found = is_in_folded(needle, slice_sub(hunt->ascii, place + 1, hunt->ascii.len),
				      &hunt->spent);
	return true;
}

static void hunt_in_place(struct hunt *hunt)
{
	const struct needle *needle = hunt->needle;
	size_t places = hunt->ascii.len - needle->folded.len + 1, i = 0;
	struct look rarest = look_for(needle, needle->rarest);
	struct look second = look_for(needle, needle->second);
	const uint8_t *at = hunt->ascii.ptr + needle->rarest;
	const uint8_t *beside = hunt->ascii.ptr + needle->second;
	for (; i + WIDTH <= places; i += WIDTH) {
		wide both = are_there(rarest, at + i) & are_there(second, beside + i);
		halves any = (halves)both;
		if ((any[0] | any[1]) == 0)
			continue;
		for (size_t k = 0; k < WIDTH; k++)
			if (both[k] && is_over_at(hunt, i + k))
				return;
	}
	for (; i < places; i++)
		if (is_there(rarest, at[i]) && is_there(second, beside[i]) && is_over_at(hunt, i))
			return;
}

bool needle_is_in_ascii(const struct needle *needle, struct slice ascii, uint64_t *spent)
{
	struct hunt hunt = { .needle = needle, .ascii = ascii };
	if (needle->folded.len == 0)
		return true;
	if (!needle->is_ascii || ascii.len < needle->folded.len)
		return false;
	hunt_in_place(&hunt);
	*spent += ascii.len / NEEDLE_OCTETS_FOR_ONE + hunt.spent;
	return hunt.is_found;
}
