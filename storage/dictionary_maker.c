/* storage/dictionary_maker.c - the making of a dictionary: messages from all over the store are looked
 * at, what few of them have is cut out, and libzstd's trainer finds what is worth keeping of the rest.
 * It is made again only when the store has grown by far, so a handful of times in its life, on a thread
 * that sleeps otherwise. Runs in the back, and in the admin's process. */
#include <stdlib.h>
#include <zdict.h>

#include "base/heap.h"
#include "storage/base64_runs_priv.h"
#include "storage/blob_priv.h"
#include "storage/dictionary.h"
#include "storage/dictionary_priv.h"
#include "storage/writer_priv.h"

enum {
	SAMPLES_MAX = 384,	   /* some megabytes: fifty times what comes of them */
	SAMPLE_OCTETS = 16 * 1024, /* the beginning of a message */
	READ_ROWS = 4096,	   /* walked over in one read transaction */
	/* Of the samples: a word that fewer have does not get into a dictionary, for what somebody
	 * deletes is not to live on there. */
	SHARED_MIN = 16,
	LEAST_OCTETS = 1024, /* of a dictionary that is worth having */
};

/* ---- what it is made of ---- */

struct samples {
	struct buffer octets;
	size_t lens[SAMPLES_MAX];
	size_t count;
};

/* Its text: base64 is not what a dictionary is for. */
static void sample_add(struct samples *samples, struct slice raw)
{
	struct base64_runs runs;
	struct buffer text = { 0 }, octets = { 0 };
	base64_runs_split(raw, &runs, &text, &octets);
	struct slice sample = runs.count > 0 ? buffer_slice(&text) : raw;
	sample = slice_sub(sample, 0, SAMPLE_OCTETS);
	if (sample.len > 0 && samples->count < SAMPLES_MAX) {
		buffer_add(&samples->octets, sample);
		samples->lens[samples->count++] = sample.len;
	}
	buffer_free(&text);
	buffer_free(&octets);
}

static void body_take(struct read *read, uint64_t blob_id, struct samples *samples,
		      struct buffer *raw)
{
	buffer_clear(raw);
	/* One that cannot be read is no sample; whoever asks for it is told. */
	if (blob_read_beginning(read, blob_id, 0, SAMPLE_OCTETS, raw) == ERR_OK)
		sample_add(samples, buffer_slice(raw));
}

/* Each n-th body: their numbers tell nothing, since those of a restored store have gaps (resume.c). */
static void samples_take(struct store *store, uint64_t bodies, struct samples *samples)
{
	uint64_t step = bodies / SAMPLES_MAX + 1, at = 0, next = 0;
	struct buffer raw = { 0 };
	bool more = true;
	while (more && samples->count < SAMPLES_MAX) {
		struct read *read = read_begin(store);
		struct row row;
		struct key key;
		key_be64(&key, next);
		row_open(&row, read, DB_DIGEST);
		more = row_seek(&row, key_slice(&key));
		for (unsigned i = 0; more && i < READ_ROWS; i++, at++, more = row_next(&row)) {
			next = row.key.len == 8 ? get_be64(row.key.ptr) + 1 : UINT64_MAX;
			if (at % step == 0 && row.key.len == 8)
				body_take(read, next - 1, samples, &raw);
		}
		row_close(&row);
		read_end(&read);
	}
	buffer_free(&raw);
}

/* Without the words that few have. */
static void samples_cut(struct samples *samples)
{
	struct word_counts *counts = word_counts_new();
	struct buffer left = { 0 };
	size_t at = 0, count = 0;
	for (size_t i = 0; i < samples->count; at += samples->lens[i++])
		word_counts_add(counts,
				slice_sub(buffer_slice(&samples->octets), at, samples->lens[i]));
	at = 0;
	for (size_t i = 0; i < samples->count; i++) {
		struct slice sample =
			slice_sub(buffer_slice(&samples->octets), at, samples->lens[i]);
		size_t before = left.len;
		at += sample.len;
		word_counts_cut(counts, sample, SHARED_MIN, &left);
		if (left.len > before)
			samples->lens[count++] = left.len - before;
	}
	word_counts_free(&counts);
	buffer_free(&samples->octets);
	samples->octets = left;
	samples->count = count;
}

/* ---- made and filed ---- */

struct making {
	struct job job;
	uint64_t bodies;
	struct slice octets;
	bool is_made;
};

/* How many bodies there are, and from how many on a dictionary is due. */
static uint64_t bodies_due(struct read *read, uint64_t *bodies_out)
{
	uint64_t octets;
	struct dictionary_row last;
	db_extent(read, DB_DIGEST, bodies_out, &octets);
	uint16_t number = dictionary_last(read, &last);
	if (number == NO_DICTIONARY)
		return DICTIONARY_FIRST_BODIES;
	/* One that cannot be read: not any more, before it was looked at. */
	if (number >= DICTIONARIES_MAX || last.bodies == 0 ||
	    last.bodies > UINT64_MAX / DICTIONARY_GROWTH)
		return UINT64_MAX;
	return last.bodies * DICTIONARY_GROWTH;
}

static enum err making_run(struct write *write, struct job *job)
{
	struct making *making = CONTAINER_OF(job, struct making, job);
	struct read *read = write_read(write);
	struct dictionary_row last;
	struct buffer record = { 0 };
	struct key key;
	uint64_t bodies, due = bodies_due(read, &bodies);
	uint16_t number = dictionary_last(read, &last);
	making->is_made = false;
	/* One that could not be seen must not be written over: PUT_APPEND sees to it, too. */
	if (read_failure(read) != ERR_OK)
		return read_failure(read);
	if (bodies < due)
		return ERR_OK; /* another process was faster */
	enum err err = write_may_grow(write);
	dictionary_encode(&(struct dictionary_row){ .made_unix = (uint64_t)write->now_unix,
						    .bodies = making->bodies,
						    .octets = making->octets },
			  &record);
	key_dictionary(&key, (uint16_t)(number + 1));
	for (unsigned copy = 0; copy < DICTIONARY_COPIES && err == ERR_OK; copy++)
		err = db_put(write, dictionary_db(copy), key_slice(&key), buffer_slice(&record),
			     PUT_APPEND);
	making->is_made = err == ERR_OK;
	buffer_free(&record);
	return err;
}

static enum err train_and_file(struct store *store, uint64_t bodies)
{
	struct samples *samples = heap_alloc(sizeof(*samples));
	struct making making = { .job = { .run = making_run }, .bodies = bodies };
	uint8_t *trained = heap_alloc(DICTIONARY_MAX_OCTETS);
	enum err err = ERR_OK;
	samples_take(store, bodies, samples);
	samples_cut(samples);
	size_t len = ZDICT_trainFromBuffer(trained, DICTIONARY_MAX_OCTETS, samples->octets.data,
					   samples->lens, (unsigned)samples->count);
	/* zstd's tables stand before the octets; LZ4 has none. */
	size_t header = ZDICT_isError(len) ? 0 : ZDICT_getDictHeaderSize(trained, len);
	if (!ZDICT_isError(len) && !ZDICT_isError(header) && len - header >= LEAST_OCTETS) {
		making.octets = slice_of(trained + header, len - header);
		err = store_write_now(store, &making.job);
	}
	if (err == ERR_OK && making.is_made)
		log_info(NULL, EVENT("dictionary-made"), NUM("samples", samples->count),
			 NUM("octets", making.octets.len), NUM("bodies", bodies));
	buffer_free(&samples->octets);
	free(trained);
	free(samples);
	return err;
}

enum err dictionary_make(struct store *store)
{
	uint64_t bodies, due;
	struct read *read = read_begin(store);
	due = bodies_due(read, &bodies);
	enum err err = read_failure(read);
	read_end(&read);
	if (err == ERR_OK && bodies >= due)
		err = train_and_file(store, bodies);
	read = read_begin(store);
	dictionary_look(read);
	due = bodies_due(read, &bodies);
	read_end(&read);
	/* Where there was too little in common it is tried again with twice as many, and soon where
	 * the store would not take it. */
	if (due <= bodies)
		due = bodies + (err == ERR_OK ? bodies : bodies / 16 + 1);
	store->dictionary_due = due;
	return err;
}

/* ---- on a thread of its own ---- */

struct dictionary_maker {
	struct store *store;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool is_due, is_over;
};

static void *maker_main(void *arg)
{
	struct dictionary_maker *maker = arg;
	pthread_mutex_lock(&maker->lock);
	while (!maker->is_over) {
		if (!maker->is_due) {
			pthread_cond_wait(&maker->wake, &maker->lock);
			continue;
		}
		maker->is_due = false;
		pthread_mutex_unlock(&maker->lock);
		/* What went wrong was logged; it is due again with more. */
		enum err err = dictionary_make(maker->store);
		(void)err;
		pthread_mutex_lock(&maker->lock);
	}
	pthread_mutex_unlock(&maker->lock);
	return NULL;
}

void store_start_dictionaries(struct store *store)
{
	struct dictionary_maker *maker = heap_alloc(sizeof(*maker));
	maker->store = store;
	maker->is_due = true; /* to be looked at once */
	pthread_mutex_init(&maker->lock, NULL);
	pthread_cond_init(&maker->wake, NULL);
	store->dictionary_maker = maker;
	store_thread_start(&maker->thread, maker_main, maker);
}

void dictionary_grown(struct store *store, uint64_t bodies)
{
	struct dictionary_maker *maker = store->dictionary_maker;
	if (!maker || bodies < store->dictionary_due)
		return;
	pthread_mutex_lock(&maker->lock);
	maker->is_due = true;
	pthread_cond_signal(&maker->wake);
	pthread_mutex_unlock(&maker->lock);
}

void dictionary_maker_stop(struct store *store)
{
	struct dictionary_maker *maker = store->dictionary_maker;
	if (!maker)
		return;
	pthread_mutex_lock(&maker->lock);
	maker->is_over = true;
	pthread_cond_signal(&maker->wake);
	pthread_mutex_unlock(&maker->lock);
	pthread_join(maker->thread, NULL);
}

void dictionary_maker_free(struct store *store)
{
	struct dictionary_maker *maker = store->dictionary_maker;
	if (!maker)
		return;
	pthread_mutex_destroy(&maker->lock);
	pthread_cond_destroy(&maker->wake);
	free(maker);
	store->dictionary_maker = NULL;
}
