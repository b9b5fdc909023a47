/* storage/dictionary_priv.h - dictionaries: what the texts of a store's mail have in common, kept once,
 * so that a compressed text need not hold it again.
 *
 * A store without mail has none. It makes the first of the mail it has got when there are some (store/
 * dictionary.h), another when it holds many times as many; new texts are compressed with the newest, and
 * each record says by which number it is read. None is ever changed or removed: each stands in the store
 * twice, in two trees, since all that was compressed with it would be lost with it. */
#pragma once

#include <lz4.h>

#include "storage/store_priv.h"

enum {
	DICTIONARY_MAX_OCTETS = 64 * 1024, /* LZ4 looks back no further */
	DICTIONARY_COPIES = 2,
	DICTIONARIES_MAX = 32,
	NO_DICTIONARY = 0,
};

struct dictionary {
	uint16_t number;	    /* from 1 on */
	uint64_t made_unix, bodies; /* as in its row */
	LZ4_stream_t primed;	    /* copied for each text: LZ4 has read the dictionary into it */
	size_t len;
	uint8_t octets[DICTIONARY_MAX_OCTETS];
};

/* Those that this process has read; the store's. */
struct dictionaries;
struct dictionaries *dictionaries_new(void);
void dictionaries_free(struct dictionaries **dictionaries);

/* Lives as long as the store. NULL: there is none of that number, or no copy of it is good; logged. */
const struct dictionary *dictionary_get(struct read *read, uint16_t number);
/* What new texts are compressed with; NULL: nothing yet. Any thread. */
const struct dictionary *dictionary_newest(struct store *store);
/* Looks which is the newest in the store. When it was opened, and when another was made. */
void dictionary_look(struct read *read);

/* A row: a copy of a dictionary. */
struct dictionary_row {
	uint64_t made_unix;
	uint64_t bodies; /* that the store had then */
	struct slice octets;
};
enum database dictionary_db(unsigned copy);
void key_dictionary(struct key *key, uint16_t number);
void dictionary_encode(const struct dictionary_row *row, struct buffer *out);
/* False: damaged. */
bool dictionary_decode(struct slice record, struct dictionary_row *row_out);
bool dictionary_copy_is_good(struct read *read, uint16_t number, unsigned copy,
			     struct dictionary_row *row_out);
/* The number of the newest in the store and its first good copy; NO_DICTIONARY where there is none.
 * read_failure() tells whether that could be seen. */
uint16_t dictionary_last(struct read *read, struct dictionary_row *row_out);
/* The first of which no copy is good; NO_DICTIONARY: there is none such. */
uint16_t dictionary_lost(struct read *read);
/* Puts the bad copies again, from a good one or from what this process has read of it before.
 * ERR_DAMAGED: there is neither. */
enum err dictionary_mend(struct write *write, uint16_t number) MUST_USE;
/* Looks at each copy on the disk and mends them. Reads go on with what is in memory, so nothing else
 * would notice. What was found is logged. */
void dictionaries_check(struct store *store);

/* dictionary_maker.c: a batch was committed, with which the store holds so many bodies. On the thread
 * that wrote it. */
void dictionary_grown(struct store *store, uint64_t bodies);
/* Ends its thread, which writes and wakes the writer: before that is stopped. What the writer tells it
 * meanwhile is of no consequence; it is freed behind the writer. Nothing where there is none. */
void dictionary_maker_stop(struct store *store);
void dictionary_maker_free(struct store *store);

/* dictionary_words.c: appends what is left of a sample without words that fewer than `shared_min` of
 * the samples have. */
struct word_counts;
struct word_counts *word_counts_new(void);
void word_counts_free(struct word_counts **counts);
void word_counts_add(struct word_counts *counts, struct slice sample);
void word_counts_cut(const struct word_counts *counts, struct slice sample, unsigned shared_min,
		     struct buffer *out);
