/* storage/dictionary.c - dictionaries as rows of the store, and those that this process has read.
 * Runs in the back, and in the admin's process. */
#include "storage/dictionary_priv.h"

#include <stdlib.h>

#include "base/checksum.h"
#include "base/heap.h"

struct dictionaries {
	_Atomic(struct dictionary *)
		known[DICTIONARIES_MAX]; /* by number - 1; NULL: not asked for yet */
	_Atomic(const struct dictionary *) newest;
	_Atomic bool was_told[DICTIONARIES_MAX]; /* that it is damaged, or not there */
};

struct dictionaries *dictionaries_new(void)
{
	return heap_alloc(sizeof(struct dictionaries));
}

void dictionaries_free(struct dictionaries **dictionaries)
{
	for (size_t i = 0; *dictionaries && i < DICTIONARIES_MAX; i++)
		free((*dictionaries)->known[i]);
	free(*dictionaries);
	*dictionaries = NULL;
}

/* ---- rows ---- */

enum database dictionary_db(unsigned copy)
{
	return copy == 0 ? DB_DICTIONARY : DB_DICTIONARY_COPY;
}

void key_dictionary(struct key *key, uint16_t number)
{
	put_be16(key->octets, number);
	key->len = 2;
}

void dictionary_encode(const struct dictionary_row *row, struct buffer *out)
{
	buffer_add_byte(out, RECORD_VERSION);
	buffer_add_be64(out, row->made_unix);
	buffer_add_be64(out, row->bodies);
	buffer_add_be64(out, checksum_of(row->octets));
	buffer_add(out, row->octets);
}

bool dictionary_decode(struct slice record, struct dictionary_row *row)
{
	struct cursor c = cursor_of(record);
	uint64_t sum;
	if (!take_byte(&c, RECORD_VERSION) || !take_be64(&c, &row->made_unix) ||
	    !take_be64(&c, &row->bodies) || !take_be64(&c, &sum))
		return false;
	row->octets = cursor_rest(&c);
	return row->octets.len > 0 && row->octets.len <= DICTIONARY_MAX_OCTETS &&
	       checksum_of(row->octets) == sum;
}

bool dictionary_copy_is_good(struct read *read, uint16_t number, unsigned copy,
			     struct dictionary_row *row_out)
{
	struct key key;
	struct slice record;
	key_dictionary(&key, number);
	return db_get(read, dictionary_db(copy), key_slice(&key), &record) == ERR_OK &&
	       dictionary_decode(record, row_out);
}

/* The first good copy. */
static bool row_find(struct read *read, uint16_t number, struct dictionary_row *row_out)
{
	for (unsigned copy = 0; copy < DICTIONARY_COPIES; copy++)
		if (dictionary_copy_is_good(read, number, copy, row_out))
			return true;
	*row_out = (struct dictionary_row){ 0 };
	return false;
}

static uint16_t last_of(struct read *read, enum database db)
{
	struct row row;
	struct key last;
	uint16_t number = NO_DICTIONARY;
	key_dictionary(&last, UINT16_MAX);
	row_open(&row, read, db);
	if (row_seek_before(&row, key_slice(&last)) && row.key.len == 2)
		number = get_be16(row.key.ptr);
	row_close(&row);
	return number;
}

uint16_t dictionary_last(struct read *read, struct dictionary_row *row_out)
{
	uint16_t number = NO_DICTIONARY;
	for (unsigned copy = 0; copy < DICTIONARY_COPIES; copy++) {
		uint16_t last = last_of(read, dictionary_db(copy));
		if (last > number)
			number = last;
	}
	row_find(read, number, row_out);
	return number;
}

uint16_t dictionary_lost(struct read *read)
{
	struct dictionary_row row;
	uint16_t last = dictionary_last(read, &row);
	for (uint16_t number = 1; number <= last; number++)
		if (!row_find(read, number, &row))
			return number;
	return NO_DICTIONARY;
}

/* ---- those that were read ---- */

static struct dictionary *dictionary_load(struct read *read, uint16_t number)
{
	struct dictionary_row row;
	if (!row_find(read, number, &row)) {
		/* A store that cannot be read at present has said so itself. */
		if (read_failure(read) == ERR_OK &&
		    !atomic_exchange(&read->store->dictionaries->was_told[number - 1], true))
			log_error(NULL, EVENT("dictionary-damaged"), NUM("number", number));
		return NULL;
	}
	struct dictionary *dictionary = heap_alloc(sizeof(*dictionary));
	dictionary->number = number;
	dictionary->made_unix = row.made_unix;
	dictionary->bodies = row.bodies;
	dictionary->len = row.octets.len;
	memcpy(dictionary->octets, row.octets.ptr, row.octets.len);
	LZ4_initStream(&dictionary->primed, sizeof(dictionary->primed));
	LZ4_loadDict(&dictionary->primed, (const char *)dictionary->octets, (int)dictionary->len);
	return dictionary;
}

const struct dictionary *dictionary_get(struct read *read, uint16_t number)
{
	struct dictionaries *all = read->store->dictionaries;
	struct dictionary *known, *none = NULL;
	if (number == NO_DICTIONARY || number > DICTIONARIES_MAX)
		return NULL;
	if ((known = all->known[number - 1]) || !(known = dictionary_load(read, number)))
		return known;
	if (!atomic_compare_exchange_strong(&all->known[number - 1], &none, known)) {
		free(known); /* another thread was faster */
		known = none;
	}
	return known;
}

const struct dictionary *dictionary_newest(struct store *store)
{
	return store->dictionaries->newest;
}

void dictionary_look(struct read *read)
{
	struct dictionary_row row;
	uint16_t number = dictionary_last(read, &row);
	const struct dictionary *newest = dictionary_get(read, number);
	if (newest)
		read->store->dictionaries->newest = newest;
}

/* ---- mended ---- */

enum err dictionary_mend(struct write *write, uint16_t number)
{
	struct read *read = write_read(write);
	struct dictionaries *all = read->store->dictionaries;
	const struct dictionary *known = number <= DICTIONARIES_MAX ? all->known[number - 1] : NULL;
	struct dictionary_row row, bad;
	struct buffer record = { 0 };
	struct key key;
	enum err err = ERR_OK;
	if (!row_find(read, number, &row)) {
		if (read_failure(read) != ERR_OK || !known)
			return read_failure(read) != ERR_OK ? read_failure(read) : ERR_DAMAGED;
		row = (struct dictionary_row){ .made_unix = known->made_unix,
					       .bodies = known->bodies,
					       .octets = slice_of(known->octets, known->len) };
	}
	dictionary_encode(&row, &record);
	key_dictionary(&key, number);
	for (unsigned copy = 0; copy < DICTIONARY_COPIES && err == ERR_OK; copy++)
		if (!dictionary_copy_is_good(read, number, copy, &bad))
			err = db_put(write, dictionary_db(copy), key_slice(&key),
				     buffer_slice(&record), PUT_ANY);
	buffer_free(&record);
	return err;
}

struct mending {
	struct job job;
	uint16_t number;
};

static enum err mending_run(struct write *write, struct job *job)
{
	return dictionary_mend(write, CONTAINER_OF(job, struct mending, job)->number);
}

/* The first from `from` on with a copy that is bad. */
static uint16_t next_bad(struct store *store, uint16_t from)
{
	struct dictionary_row row;
	uint16_t found = NO_DICTIONARY;
	struct read *read = read_begin(store);
	uint16_t last = dictionary_last(read, &row);
	/* A key that is damaged may say any number. */
	if (last > DICTIONARIES_MAX)
		last = DICTIONARIES_MAX;
	for (uint16_t number = from; number <= last && found == NO_DICTIONARY; number++)
		for (unsigned copy = 0; copy < DICTIONARY_COPIES; copy++)
			if (!dictionary_copy_is_good(read, number, copy, &row))
				found = number;
	if (read_failure(read) != ERR_OK)
		found = NO_DICTIONARY; /* said so itself */
	read_end(&read);
	return found;
}

void dictionaries_check(struct store *store)
{
	uint16_t number = 0;
	while ((number = next_bad(store, (uint16_t)(number + 1))) != NO_DICTIONARY) {
		struct mending mending = { .job = { .run = mending_run }, .number = number };
		enum err err = store_write_now(store, &mending.job);
		if (err == ERR_OK)
			log_warning(NULL, EVENT("dictionary-mended"), NUM("number", number));
		else
			log_error(NULL, EVENT("dictionary-lost"), NUM("number", number),
				  WORD("outcome", err_word(err)),
				  CSTR("advice",
				       "texts cannot be read without it: restore a backup"));
	}
}
