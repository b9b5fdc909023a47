/* storage/holes.c - free pages inside the store's file, given back to the file system.
 *
 * The file never gets shorter: a page in the middle cannot be taken out. But what holds nothing can
 * become a hole, which takes no room on the disk, and which LMDB fills again when it needs the page.
 *
 * Which pages may go: those that LMDB itself would overwrite in a transaction that began now. They
 * are in its list of free pages under the number of the transaction that freed them, and no reader
 * is as old as that, in whatever process. The newest commit is on the disk or in the redo log, and neither it nor
 * the one before refers to them, so that a loss of power at any moment finds nothing missing. Writers
 * are kept out meanwhile: they take pages from the list. In the admin's process. */
#include "storage/holes_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "storage/lmdb_file_priv.h"

enum {
	STEP_MS = 3, /* writers wait so long */
	RUNS_MAX = 256,
};

/* ---- who still reads what ---- */

/* A line of LMDB's list of readers ends in the number of the transaction, or in "-". */
static int note_reader(const char *line, void *user)
{
	size_t *oldest = user;
	const char *last = strrchr(line, ' ');
	char *end;
	if (!last || last[1] < '0' || last[1] > '9')
		return 0;
	unsigned long long txn_id = strtoull(last + 1, &end, 10);
	if (*end == '\n' && txn_id < *oldest)
		*oldest = (size_t)txn_id;
	return 0;
}

/* Not younger than `newest`. */
static size_t oldest_reader(struct store *store, size_t newest)
{
	size_t oldest = newest;
	int dead;
	(void)mdb_reader_check(store->env, &dead);
	return mdb_reader_list(store->env, note_reader, &oldest) < 0 ? 0 : oldest;
}

uint64_t readers_lag(struct store *store)
{
	MDB_envinfo info;
	uint64_t lag = 0;
	if (store_enter(store) && mdb_env_info(store->env, &info) == 0)
		lag = info.me_last_txnid - oldest_reader(store, info.me_last_txnid);
	store_leave(store);
	return lag;
}

/* ---- giving back ---- */

static enum err punch(struct store *store, int fd, size_t first, size_t count)
{
	off_t page = (off_t)store->page_octets;
	while (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)first * page,
			 (off_t)count * page) != 0) {
		if (errno == EINTR)
			continue;
		if (errno == EOPNOTSUPP || errno == ENOSYS)
			return ERR_UNAVAILABLE;
		return environment_failure(store, errno, "give-back");
	}
	return ERR_OK;
}

struct step {
	struct store *store;
	struct holes_walk *walk;
	int fd;
	uint64_t until_ms;
	unsigned runs; /* so many yet */
};

/* A record: how many pages, then their numbers, the highest first. False: the step is over. */
static enum err record_punch(struct step *step, MDB_val value, bool *more_out)
{
	size_t count = 0, first, run;
	const uint8_t *at = value.mv_data;
	enum err err = ERR_OK;
	if (value.mv_size >= sizeof(count))
		memcpy(&count, at, sizeof(count));
	if (count > value.mv_size / sizeof(count) - 1)
		count = 0;
	*more_out = true;
	for (size_t i = 1; i <= count && err == ERR_OK; i += run) {
		memcpy(&first, at + i * sizeof(first), sizeof(first));
		run = 1;
		if (step->walk->below_page != 0 && first >= step->walk->below_page)
			continue;
		if (step->runs == 0 || clock_monotonic_ms() > step->until_ms) {
			*more_out = false;
			return ERR_OK;
		}
		for (size_t next = 0; i + run <= count; run++, first = next) {
			memcpy(&next, at + (i + run) * sizeof(next), sizeof(next));
			if (next + 1 != first)
				break;
		}
		err = punch(step->store, step->fd, first, run);
		step->runs--;
		step->walk->octets += (uint64_t)run * step->store->page_octets;
		step->walk->below_page = first;
	}
	if (err == ERR_OK)
		step->walk->below_page = 0;
	return err;
}

static enum err list_punch(struct step *step, struct read *read)
{
	MDB_cursor *cursor = NULL;
	size_t txn_id = (size_t)step->walk->txn_id;
	MDB_val key = { sizeof(txn_id), &txn_id }, value;
	if (!read->txn)
		return read->failure;
	size_t oldest = oldest_reader(step->store, mdb_txn_id(read->txn));
	int code = mdb_cursor_open(read->txn, LMDB_FREE_DBI, &cursor);
	if (code == 0)
		code = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
	bool more = true;
	enum err err = ERR_OK;
	while (code == 0 && more && err == ERR_OK) {
		memcpy(&txn_id, key.mv_data, sizeof(txn_id));
		if (txn_id >= oldest)
			code = MDB_NOTFOUND;
		if (code != 0)
			break;
		if (txn_id != step->walk->txn_id)
			step->walk->below_page = 0; /* that one has been used up */
		step->walk->txn_id = txn_id;
		err = record_punch(step, value, &more);
		if (more && err == ERR_OK) {
			step->walk->txn_id = txn_id + 1;
			code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
		}
	}
	if (cursor)
		mdb_cursor_close(cursor);
	step->walk->is_over = code == MDB_NOTFOUND;
	if (code != 0 && code != MDB_NOTFOUND)
		return environment_failure(step->store, code, "walk");
	return err;
}

enum err holes_step(struct store *store, struct holes_walk *walk)
{
	struct step step = { .store = store,
			     .walk = walk,
			     .until_ms = clock_monotonic_ms() + STEP_MS,
			     .runs = RUNS_MAX };
	struct write write;
	enum err err = write_begin(store, &write);
	if (err != ERR_OK)
		return err;
	struct read *read = read_begin(store);
	if (mdb_env_get_fd(store->env, &step.fd) == 0)
		err = list_punch(&step, read);
	read_end(&read);
	write_abort(&write); /* it has changed nothing */
	return err;
}
