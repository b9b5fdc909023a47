/* tests/bench/gen.h - Deterministic synthetic mail: the same (seed, id, size) gives the same bytes. */
#ifndef GEN_H
#define GEN_H
#include <stddef.h>
#include <stdint.h>

typedef struct {
	char *p;
	size_t n, cap;
} buf;

void gen_init(uint64_t seed);
/* Makes the text of which messages of this size (0: of the mix) are cut: a quarter of a second, to
 * be spent before a clock runs. */
void gen_prepare(size_t size);
size_t gen_size(uint64_t id); /* size drawn from the realistic mix */
/* size 0: realistic mix.  Every 1000th message (id % 1000 == 7) has "needle"
 * in the subject; id % 1000 == 13 has "haystraw" in the first text part. */
void gen_msg(buf *b, uint64_t id, size_t size, const char *to);
uint64_t gen_rand(uint64_t *s);
#endif
