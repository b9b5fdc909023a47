/* base/base64_wide.c - base64 (RFC 4648 section 4) encoded 24 octets at a time, where the processor
 * has AVX2: bodies are stored decoded (storage/base64_runs.c), so every FETCH of an attachment encodes
 * it. Elsewhere base64.c does all of it. Runs in both. */
#include "base/base64_priv.h"

#ifdef __x86_64__
#include <immintrin.h>

enum {
	STEP_GROUPS = 8,
	STEP_READS_OCTETS = 28, /* two loads of 16, the second from the middle on */
};

__attribute__((target("avx2"))) static void encode_step(const uint8_t *octets, uint8_t *text)
{
	__m256i in = _mm256_set_m128i(_mm_loadu_si128((const __m128i *)(octets + 12)),
				      _mm_loadu_si128((const __m128i *)octets));
	/* Each group a, b, c becomes two numbers of 16 bits, a b and b c: the first holds the six bits
	 * of two letters whole, the second those of the other two. */
	in = _mm256_shuffle_epi8(in, _mm256_setr_epi8(1, 0, 2, 1, 4, 3, 5, 4, 7, 6, 8, 7, 10, 9, 11,
						      10, 1, 0, 2, 1, 4, 3, 5, 4, 7, 6, 8, 7, 10, 9,
						      11, 10));
	/* The first and third of a group's letters are shifted right, by 10 and by 6 ... */
	__m256i odd = _mm256_mulhi_epu16(_mm256_and_si256(in, _mm256_set1_epi32(0x0fc0fc00)),
					 _mm256_set1_epi32(0x04000040));
	/* ... the second and fourth left, by 4 and by 8: a letter's number in each octet. */
	__m256i even = _mm256_mullo_epi16(_mm256_and_si256(in, _mm256_set1_epi32(0x003f03f0)),
					  _mm256_set1_epi32(0x01000010));
	__m256i number = _mm256_or_si256(odd, even);
	/* The alphabet is five stretches of ASCII. Which one a number is of: 13 for 0-25, 0 for 26-51,
	 * 1-10 for the digits, 11 and 12 for the last two; and from there how far to go. */
	__m256i stretch = _mm256_subs_epu8(number, _mm256_set1_epi8(51));
	__m256i is_capital = _mm256_cmpgt_epi8(_mm256_set1_epi8(26), number);
	stretch = _mm256_or_si256(stretch, _mm256_and_si256(is_capital, _mm256_set1_epi8(13)));
	enum {
		CAPITAL = 'A',
		SMALL = 'a' - 26,
		DIGIT = '0' - 52,
		PLUS = '+' - 62,
		SLASH = '/' - 63
	};
	__m256i distance = _mm256_setr_epi8(SMALL, DIGIT, DIGIT, DIGIT, DIGIT, DIGIT, DIGIT, DIGIT,
					    DIGIT, DIGIT, DIGIT, PLUS, SLASH, CAPITAL, 0, 0, SMALL,
					    DIGIT, DIGIT, DIGIT, DIGIT, DIGIT, DIGIT, DIGIT, DIGIT,
					    DIGIT, DIGIT, PLUS, SLASH, CAPITAL, 0, 0);
	__m256i letters = _mm256_add_epi8(number, _mm256_shuffle_epi8(distance, stretch));
	_mm256_storeu_si256((__m256i *)text, letters);
}

__attribute__((target("avx2"))) static size_t encode_lines(const uint8_t *octets, size_t lines,
							   size_t groups, size_t readable,
							   uint8_t *text)
{
	/* A line's last step ends where the line does, and does some again that are done already. */
	size_t last = groups - STEP_GROUPS, reads = last * 3 + STEP_READS_OCTETS, done = 0;
	for (; done < lines && readable >= reads; done++) {
		for (size_t at = 0; at < last; at += STEP_GROUPS)
			encode_step(octets + at * 3, text + at * 4);
		encode_step(octets + last * 3, text + last * 4);
		text += groups * 4;
		*text++ = '\r';
		*text++ = '\n';
		octets += groups * 3;
		readable -= groups * 3;
	}
	return done;
}

size_t base64_encode_lines_wide(const uint8_t *octets, size_t lines, size_t groups, size_t readable,
				uint8_t *text)
{
	if (groups < STEP_GROUPS || !__builtin_cpu_supports("avx2"))
		return 0;
	return encode_lines(octets, lines, groups, readable, text);
}

#else

size_t base64_encode_lines_wide(const uint8_t *octets, size_t lines, size_t groups, size_t readable,
				uint8_t *text)
{
	return 0;
}

#endif
