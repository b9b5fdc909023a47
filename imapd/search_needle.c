/* imapd/search_needle.c - finds a string in ASCII text, in either case, without making a copy of the
 * text. Runs in the back.
 *
 * Nearly all text of nearly all mail is ASCII, where every comparator folds octet by octet: letters
 * to small ones, or not at all. So what a search costs is one look at each octet of the text: sixteen
 * places at a time are asked whether the two rarest octets of the string stand where they should. */
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

struct slice needle_word(struct slice folded)
{
	struct slice word = slice_sub(folded, 0, 0);
	for (size_t i = 0, from = 0; i < folded.len; i++) {
		if (folded.ptr[i] <= ' ' || folded.ptr[i] == ':')
			from = i + 1;
		else if (i + 1 - from > word.len)
			word = slice_sub(folded, from, i + 1 - from);
	}
	return word;
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

static bool begins_at(const struct needle *needle, const uint8_t *at)
{
	struct slice text = slice_of(at, needle->folded.len);
	return needle->ignores_case ? slice_eq_nocase(text, needle->folded)
				    : slice_eq(text, needle->folded);
}

bool needle_is_in_ascii(const struct needle *needle, struct slice ascii)
{
	size_t len = needle->folded.len, i = 0;
	if (len == 0)
		return true;
	if (!needle->is_ascii || ascii.len < len)
		return false;
	size_t places = ascii.len - len + 1;
	struct look rarest = look_for(needle, needle->rarest);
	struct look second = look_for(needle, needle->second);
	const uint8_t *at = ascii.ptr + needle->rarest, *beside = ascii.ptr + needle->second;
	for (; i + WIDTH <= places; i += WIDTH) {
		wide both = are_there(rarest, at + i) & are_there(second, beside + i);
		halves any = (halves)both;
		if ((any[0] | any[1]) == 0)
			continue;
		for (size_t k = 0; k < WIDTH; k++)
			if (both[k] && begins_at(needle, ascii.ptr + i + k))
				return true;
	}
	for (; i < places; i++)
		if (is_there(rarest, at[i]) && is_there(second, beside[i]) &&
		    begins_at(needle, ascii.ptr + i))
			return true;
	return false;
}
