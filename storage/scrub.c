/* storage/scrub.c - reading every stored message again, slowly.
 *
 * The pace follows the time: at each step the round should be as far among the body numbers as
 * the clock is in its days. Where it stands is written down with each finding and once an hour
 * at most, so a restart reads a little twice and logs nothing twice. Runs in the back. */
#include "storage/scrub.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/heap.h"
#include "runtime/pool.h"
#include "storage/dictionary_priv.h"
#include "storage/inspect_priv.h"

enum {
	STEP_EVERY_MS = 10000,
	STEP_OCTETS = 8 << 20,	/* stored; at most in one step */
	SLICE_OCTETS = 1 << 20, /* in one read */
	LOOKED_AT_MAX = 4096,	/* bodies, however small */
	SAVE_EVERY_SECONDS = 3600,
	DAY_SECONDS = 24 * 3600,
};

static const struct slice scrub_key = { (const uint8_t *)"!scrub", 6 };
static const struct slice head_key = { (const uint8_t *)"!head", 5 };

/* ---- where it stands ---- */

static void position_encode(const struct scrub_walk *walk, struct buffer *out)
{
	buffer_add_byte(out, RECORD_VERSION);
	buffer_add_be64(out, walk->status.next_blob_id);
	buffer_add_be64(out, (uint64_t)walk->status.started_unix);
	buffer_add_be64(out, (uint64_t)walk->status.finished_unix);
	buffer_add_be64(out, (uint64_t)walk->saved_unix);
	buffer_add_be32(out, walk->status.damaged);
}

/* One that cannot be read: from the beginning. */
static enum err position_load(struct read *read, struct scrub_walk *walk)
{
	struct slice record;
	uint64_t started, finished, saved;
	*walk = (struct scrub_walk){ 0 };
	enum err err = db_get(read, DB_MAIN, scrub_key, &record);
	if (err != ERR_OK)
		return err == ERR_NOT_FOUND ? ERR_OK : err;
	struct cursor c = cursor_of(record);
	if (!take_byte(&c, RECORD_VERSION) || !take_be64(&c, &walk->status.next_blob_id) ||
	    !take_be64(&c, &started) || !take_be64(&c, &finished) || !take_be64(&c, &saved) ||
	    !take_be32(&c, &walk->status.damaged)) {
		*walk = (struct scrub_walk){ 0 };
		return ERR_OK;
	}
	walk->status.started_unix = (int64_t)started;
	walk->status.finished_unix = (int64_t)finished;
	walk->saved_unix = (int64_t)saved;
	return ERR_OK;
}

enum err scrub_status(struct read *read, struct scrub_status *status_out)
{
	struct scrub_walk walk;
	enum err err = position_load(read, &walk);
	*status_out = walk.status;
	return err;
}

struct saving {
	struct job job;
	struct scrub_walk walk;
};

static enum err saving_run(struct write *write, struct job *job)
{
	struct saving *saving = CONTAINER_OF(job, struct saving, job);
	struct buffer record = { 0 };
	position_encode(&saving->walk, &record);
	enum err err = db_put(write, DB_MAIN, scrub_key, buffer_slice(&record), PUT_ANY);
	buffer_free(&record);
	return err;
}

static enum err position_save(struct store *store, struct scrub_walk *walk, int64_t now_unix)
{
	walk->saved_unix = now_unix;
	struct saving saving = { .job.run = saving_run, .walk = *walk };
	return store_write_now(store, &saving.job);
}

/* ---- one step ---- */

/* The number that the round should have reached by now: all are below `end`. */
static uint64_t due_number(const struct scrub_walk *walk, uint64_t end, unsigned days,
			   int64_t now_unix)
{
	double whole = (double)days * DAY_SECONDS;
	double gone = (double)(now_unix - walk->status.started_unix);
	if (gone < 0)
		return 0;
	return gone >= whole ? end : (uint64_t)((double)end * (gone / whole));
}

static bool next_body(struct read *read, uint64_t from, uint64_t *blob_id_out)
{
	struct row row;
	struct key key;
	key_be64(&key, from);
	row_open(&row, read, DB_DIGEST);
	bool found = row_seek(&row, key_slice(&key)) && row.key.len == 8;
	if (found)
		*blob_id_out = get_be64(row.key.ptr);
	row_close(&row);
	return found;
}

static void log_damage(const struct inspection *inspection)
{
	const char *where = inspection->damaged > 0	  ? "chunk"
			    : !inspection->digest_is_good ? "digest"
			    : inspection->strays > 0	  ? "stray"
							  : "structure";
	log_error(NULL, EVENT("scrub-found-damage"), HEX("msg", inspection->blob_id),
		  WORD("where", where), NUM("chunk", inspection->first_damaged),
		  NUM("chunks", inspection->damaged), CSTR("advice", "run bode verify"));
}

/* Reads one body; false: it is damaged. */
static bool body_is_good(struct store *store, uint64_t blob_id, uint64_t *octets, enum err *err)
{
	struct inspection inspection;
	bool is_done = false;
	inspect_begin(&inspection, blob_id);
	while (!is_done && *err == ERR_OK) {
		struct read *read = read_begin(store);
		is_done = inspect_step(&inspection, read, SLICE_OCTETS);
		*err = read->failure;
		read_end(&read);
	}
	*octets += inspection.stored_octets;
	/* What was erased meanwhile has no rows left, and is as good as none. */
	bool is_good = *err != ERR_OK || inspection_is_good(&inspection) ||
		       (!inspection.has_digest && inspection.stored_octets == 0);
	if (!is_good)
		log_damage(&inspection);
	inspect_end(&inspection);
	return is_good;
}

static enum err round_begin(struct store *store, struct scrub_walk *walk, int64_t now_unix)
{
	dictionaries_check(store);
	walk->status.started_unix = now_unix;
	walk->status.next_blob_id = 0;
	walk->status.damaged = 0;
	return position_save(store, walk, now_unix);
}

static enum err round_end(struct store *store, struct scrub_walk *walk, int64_t now_unix)
{
	log_info(NULL, EVENT("scrub-finished"), NUM("damaged", walk->status.damaged),
		 NUM("took_seconds", now_unix - walk->status.started_unix));
	walk->status.next_blob_id = UINT64_MAX;
	walk->status.finished_unix = now_unix;
	return position_save(store, walk, now_unix);
}

/* The next body, UINT64_MAX where there is none, and up to which they are due. */
static enum err look(struct store *store, struct scrub_walk *walk, unsigned days, int64_t now_unix,
		     uint64_t *blob_id_out, uint64_t *due_out)
{
	struct slice record;
	struct head head = { 0 };
	enum err err = ERR_OK;
	struct read *read = read_begin(store);
	if (!walk->is_loaded)
		err = position_load(read, walk);
	if (err == ERR_OK)
		err = db_get(read, DB_MAIN, head_key, &record);
	if (err == ERR_OK && !head_decode(record, &head))
		err = ERR_DAMAGED;
	walk->is_loaded = err == ERR_OK;
	*due_out = due_number(walk, head.next_blob_id, days, now_unix);
	*blob_id_out = UINT64_MAX;
	if (err == ERR_OK && next_body(read, walk->status.next_blob_id, blob_id_out))
		err = read->failure;
	read_end(&read);
	return err;
}

enum err scrub_step(struct store *store, struct scrub_walk *walk, unsigned days, int64_t now_unix)
{
	struct scrub_status *status = &walk->status;
	uint64_t blob_id, due, octets = 0;
	bool found_damage = false, has_moved = false;
	enum err err = look(store, walk, days, now_unix, &blob_id, &due);
	bool is_time = now_unix - status->started_unix >= (int64_t)days * DAY_SECONDS;
	bool is_over = status->next_blob_id == UINT64_MAX;
	if (err == ERR_OK && (status->started_unix == 0 || (is_over && is_time)))
		return round_begin(store, walk, now_unix);
	for (unsigned i = 0; i < LOOKED_AT_MAX && octets < STEP_OCTETS && err == ERR_OK; i++) {
		if (blob_id >= due)
			break;
		if (!body_is_good(store, blob_id, &octets, &err)) {
			status->damaged++;
			found_damage = true;
		}
		if (err != ERR_OK)
			break;
		status->next_blob_id = blob_id + 1;
		has_moved = true;
		err = look(store, walk, days, now_unix, &blob_id, &due);
	}
	if (err != ERR_OK || is_over)
		return err;
	if (blob_id == UINT64_MAX && is_time)
		return round_end(store, walk, now_unix);
	if (found_damage || (has_moved && now_unix - walk->saved_unix >= SAVE_EVERY_SECONDS))
		return position_save(store, walk, now_unix);
	return ERR_OK;
}

/* ---- in the background ---- */

struct scrub {
	struct store *store;
	struct loop *loop;
	struct timer *timer;
	struct work work;
	struct scrub_walk walk;
	unsigned days;
	unsigned step_days; /* of the step that is out */
	bool is_out;	    /* on the loop's thread */
	/* Between the loop's thread and the pool's. */
	pthread_mutex_t lock;
	pthread_cond_t left;
	bool is_running, is_over;
};

/* Nothing is touched any more once is_over was seen. */
static void on_step(struct work *work)
{
	struct scrub *scrub = CONTAINER_OF(work, struct scrub, work);
	pthread_mutex_lock(&scrub->lock);
	bool may_run = !scrub->is_over;
	scrub->is_running = may_run;
	pthread_mutex_unlock(&scrub->lock);
	if (!may_run)
		return;
	/* What went wrong was logged; the next step tries again. */
	if (scrub_step(scrub->store, &scrub->walk, scrub->step_days, clock_unix()) != ERR_OK)
		scrub->walk.is_loaded = false;
	pthread_mutex_lock(&scrub->lock);
	scrub->is_running = false;
	pthread_cond_broadcast(&scrub->left);
	pthread_mutex_unlock(&scrub->lock);
}

static void scrub_destroy(struct scrub *scrub)
{
	timer_free(&scrub->timer);
	pthread_mutex_destroy(&scrub->lock);
	pthread_cond_destroy(&scrub->left);
	free(scrub);
}

static void on_stepped(struct work *work)
{
	struct scrub *scrub = CONTAINER_OF(work, struct scrub, work);
	scrub->is_out = false;
	if (scrub->is_over)
		scrub_destroy(scrub);
	else if (scrub->days > 0)
		timer_start(scrub->timer, STEP_EVERY_MS);
}

static void on_timer(void *user)
{
	struct scrub *scrub = user;
	if (scrub->is_out || scrub->days == 0)
		return;
	scrub->is_out = true;
	scrub->step_days = scrub->days;
	scrub->work = (struct work){ .run = on_step, .done = on_stepped };
	pool_submit(scrub->loop, &scrub->work);
}

struct scrub *scrub_new(struct store *store, struct loop *loop)
{
	struct scrub *scrub = heap_alloc(sizeof(*scrub));
	scrub->store = store;
	scrub->loop = loop;
	scrub->timer = timer_new(loop, on_timer, scrub);
	pthread_mutex_init(&scrub->lock, NULL);
	pthread_cond_init(&scrub->left, NULL);
	return scrub;
}

void scrub_set_days(struct scrub *scrub, unsigned days)
{
	bool was_off = scrub->days == 0;
	scrub->days = days;
	if (days == 0)
		timer_stop(scrub->timer);
	else if (was_off && !scrub->is_out)
		timer_start(scrub->timer, STEP_EVERY_MS);
}

void scrub_free(struct scrub **scrub_at)
{
	struct scrub *scrub = *scrub_at;
	if (!scrub)
		return;
	*scrub_at = NULL;
	timer_free(&scrub->timer);
	pthread_mutex_lock(&scrub->lock);
	scrub->is_over = true;
	while (scrub->is_running)
		pthread_cond_wait(&scrub->left, &scrub->lock);
	pthread_mutex_unlock(&scrub->lock);
	/* A step that is out comes home yet, if the loop still turns. */
	if (!scrub->is_out)
		scrub_destroy(scrub);
}
