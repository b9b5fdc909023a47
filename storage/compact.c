/* storage/compact.c - the whole store: every database is walked, what is loose is put anew, and then
 * what became free is given back.
 *
 * Done inside the file and not by copying it to a new one: other processes have it open and mapped
 * (a backup, an import), and there would have to be room for two. So it needs no moment in which
 * the world stands still, and losing power costs at most the transaction under way.
 * In the admin's process. */
#include "storage/compact.h"

#include <sys/stat.h>
#include <time.h>

#include "base/clock.h"
#include "storage/holes_priv.h"
#include "storage/stretch_priv.h"

enum {
	PAUSE_LEAST_MS = 1,
	LAG_MAX = 64, /* transactions; as long as their pages are kept, the file would grow */
	LAG_LOOK_MS = 50,
	LAG_EVERY = 16,	    /* stretches */
	SETTLE_COMMITS = 3, /* until what the last transaction has freed may be used */
};

struct compaction {
	struct store *store;
	const struct compact_watcher *watcher;
	struct compact_result *result;
	uint64_t done_octets;
	unsigned packed; /* stretches */
};

struct packing {
	struct job job;
	struct stretch stretch;
};

static enum err packing_run(struct write *write, struct job *job)
{
	return stretch_pack(write, &CONTAINER_OF(job, struct packing, job)->stretch);
}

static enum err settling_run(struct write *write, struct job *job)
{
	write_touch(write);
	return ERR_OK;
}

static void pause_ms(uint64_t ms)
{
	struct timespec time = { .tv_sec = (time_t)(ms / 1000),
				 .tv_nsec = (long)(ms % 1000) * 1000000 };
	nanosleep(&time, NULL);
}

static void advance(struct compaction *compaction, uint64_t octets)
{
	compaction->done_octets += octets;
	compaction->watcher->progress(compaction->watcher->user, compaction->done_octets);
}

static uint64_t pages_octets(const struct compaction *compaction, const struct stretch *stretch)
{
	return stretch->pages * compaction->store->page_octets;
}

/* While somebody reads an old state (a backup in its one moment), all that is put anew would take
 * new pages and free none. */
static enum err wait_for_readers(struct compaction *compaction)
{
	while (readers_lag(compaction->store) > LAG_MAX) {
		if (!compaction->watcher->wait(compaction->watcher->user))
			return ERR_BUSY;
		pause_ms(LAG_LOOK_MS);
	}
	return ERR_OK;
}

/* One transaction, and as long a pause behind it: the server's writer has its turn. */
static enum err pack(struct compaction *compaction, const struct stretch *stretch)
{
	struct packing packing = { .job.run = packing_run, .stretch = *stretch };
	enum err err = ERR_OK;
	if (compaction->packed++ % LAG_EVERY == 0)
		err = wait_for_readers(compaction);
	uint64_t begun_ms = clock_monotonic_ms();
	if (err == ERR_OK)
		err = store_write_now(compaction->store, &packing.job);
	if (err == ERR_OK)
		compaction->result->rewritten_octets += pages_octets(compaction, stretch);
	uint64_t took_ms = clock_monotonic_ms() - begun_ms;
	pause_ms(took_ms > PAUSE_LEAST_MS ? took_ms : PAUSE_LEAST_MS);
	return err;
}

static enum err database_pack(struct compaction *compaction, enum database db)
{
	static const uint8_t first = 0;
	struct key from = { .len = 1, .octets = { first } };
	struct stretch stretch;
	enum err err = ERR_OK;
	do {
		struct read *read = read_begin(compaction->store);
		bool found = stretch_look(read, db, key_slice(&from), &stretch);
		err = read->failure;
		read_end(&read);
		if (!found)
			break;
		if (stretch_is_loose(&stretch))
			err = pack(compaction, &stretch);
		from = stretch.end;
		advance(compaction, pages_octets(compaction, &stretch));
	} while (err == ERR_OK && from.len > 0);
	return err;
}

/* The unnamed database is left out: its rows are the others. */
static enum err rows_pack(struct compaction *compaction)
{
	uint64_t total = 0, rows, octets;
	enum err err = ERR_OK;
	struct read *read = read_begin(compaction->store);
	for (int db = DB_MAIN + 1; db < DB_COUNT; db++) {
		db_extent(read, (enum database)db, &rows, &octets);
		total += octets;
	}
	read_end(&read);
	compaction->watcher->phase(compaction->watcher->user, COMPACT_ROWS, total);
	for (int db = DB_MAIN + 1; db < DB_COUNT && err == ERR_OK; db++)
		err = database_pack(compaction, (enum database)db);
	return err;
}

static enum err give_back(struct compaction *compaction)
{
	struct holes_walk walk = { .octets = 0 };
	struct job settling = { .run = settling_run };
	struct store_figures figures;
	enum err err = ERR_OK;
	for (int i = 0; i < SETTLE_COMMITS && err == ERR_OK; i++)
		err = store_write_now(compaction->store, &settling);
	store_figures(compaction->store, &figures);
	compaction->watcher->phase(compaction->watcher->user, COMPACT_FREE, figures.free_octets);
	compaction->done_octets = 0;
	while (err == ERR_OK && !walk.is_over) {
		uint64_t before = walk.octets, begun_ms = clock_monotonic_ms();
		err = holes_step(compaction->store, &walk);
		advance(compaction, walk.octets - before);
		pause_ms(clock_monotonic_ms() - begun_ms);
	}
	compaction->result->gives_back = err != ERR_UNAVAILABLE;
	return err == ERR_UNAVAILABLE ? ERR_OK : err;
}

enum err compact_run(struct store *store, const struct compact_watcher *watcher,
		     struct compact_result *result_out)
{
	struct compaction compaction = { .store = store, .watcher = watcher, .result = result_out };
	struct store_figures figures;
	enum err err = ERR_OK;
	*result_out = (struct compact_result){ .gives_back = true };
	store_figures(store, &figures);
	result_out->before_octets = figures.file_octets;
	/* On a full disk, what is free in the file has to make the room to work in. */
	if (space_is_short_of(store, store->reserve_octets))
		err = give_back(&compaction);
	compaction.done_octets = 0;
	if (err == ERR_OK)
		err = rows_pack(&compaction);
	if (err == ERR_OK)
		err = give_back(&compaction);
	store_figures(store, &figures);
	result_out->after_octets = figures.file_octets;
	result_out->free_octets = figures.free_octets;
	return err;
}
