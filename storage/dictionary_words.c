/* storage/dictionary_words.c - which words many messages have.
 *
 * A dictionary is kept for ever, and what it is made of is people's mail. So before anything of a
 * message may get into one, the words are cut out that few messages have: names, numbers, secrets.
 * What is left are the phrases of headers, the tags of HTML, and words that everybody uses. Words are
 * told apart by 64 bits of a checksum. Runs in the back, and in the admin's process. */
#include <stdlib.h>

#include "base/checksum.h"
#include "base/heap.h"
#include "base/random.h"
#include "storage/dictionary_priv.h"

enum {
	SLOT_BITS = 18,
	SLOTS = 1 << SLOT_BITS,
	WORDS_MAX = SLOTS / 4 * 3, /* those that come later count as rare */
	LEFT_MIN_OCTETS = 8,	   /* between two that are cut out: less is of no use */
};

struct word_count {
	uint64_t sum;	      /* 0: free */
	uint32_t samples;     /* that have it */
	uint32_t last_sample; /* that was counted */
};
struct word_counts {
	uint64_t odd; /* random: a stranger chooses the words, and is not to choose their slots */
	uint32_t samples, words;
	struct word_count slots[SLOTS];
};

struct word_counts *word_counts_new(void)
{
	struct word_counts *counts = heap_alloc(sizeof(*counts));
	counts->odd = random_u64() | 1;
	return counts;
}

void word_counts_free(struct word_counts **counts)
{
	free(*counts);
	*counts = NULL;
}

static bool is_digit(uint8_t octet)
{
	return octet >= '0' && octet <= '9';
}

/* ASCII letters and digits, all that is beyond ASCII, whatever the charset, and what joins them: in
 * quoted-printable a word is many groups of two digits, each of which everybody has, as are the parts of
 * most addresses. */
static bool is_of_word(uint8_t octet)
{
	static const char joins[] = "=+-._@";
	return is_digit(octet) || (octet >= 'A' && octet <= 'Z') ||
	       (octet >= 'a' && octet <= 'z') || octet >= 0x80 ||
	       (octet != '\0' && strchr(joins, octet));
}

/* A blank between two digits: a number in groups. */
static bool joins_digits(struct slice sample, size_t at)
{
	return sample.ptr[at] == ' ' && at > 0 && at + 1 < sample.len &&
	       is_digit(sample.ptr[at - 1]) && is_digit(sample.ptr[at + 1]);
}

/* From `at` on; *end_out is behind it. False: there is none more. */
static bool next_word(struct slice sample, size_t *at, size_t *end_out)
{
	while (*at < sample.len && !is_of_word(sample.ptr[*at]))
		(*at)++;
	*end_out = *at;
	while (*end_out < sample.len &&
	       (is_of_word(sample.ptr[*end_out]) || joins_digits(sample, *end_out)))
		(*end_out)++;
	return *end_out > *at;
}

/* Its slot, or the free one that it would get. */
static size_t slot_of(const struct word_counts *counts, uint64_t sum)
{
	size_t at = (size_t)((sum * counts->odd) >> (64 - SLOT_BITS));
	while (counts->slots[at].sum != 0 && counts->slots[at].sum != sum)
		at = (at + 1) % SLOTS;
	return at;
}

static uint64_t word_sum(struct slice word)
{
	uint64_t sum = checksum_of(word);
	return sum ? sum : 1;
}

void word_counts_add(struct word_counts *counts, struct slice sample)
{
	size_t end;
	counts->samples++;
	for (size_t at = 0; next_word(sample, &at, &end); at = end) {
		uint64_t sum = word_sum(slice_sub(sample, at, end - at));
		struct word_count *word = &counts->slots[slot_of(counts, sum)];
		if (word->sum == 0) {
			if (counts->words == WORDS_MAX)
				continue;
			counts->words++;
			word->sum = sum;
		}
		word->samples += word->last_sample != counts->samples;
		word->last_sample = counts->samples;
	}
}

static void add_left(struct slice left, struct buffer *out)
{
	if (left.len >= LEFT_MIN_OCTETS)
		buffer_add(out, left);
}

void word_counts_cut(const struct word_counts *counts, struct slice sample, unsigned shared_min,
		     struct buffer *out)
{
	size_t left = 0, end;
	for (size_t at = 0; next_word(sample, &at, &end); at = end) {
		uint64_t sum = word_sum(slice_sub(sample, at, end - at));
		if (counts->slots[slot_of(counts, sum)].samples >= shared_min)
			continue;
		add_left(slice_sub(sample, left, at - left), out);
		left = end;
	}
	add_left(slice_sub(sample, left, sample.len - left), out);
}
