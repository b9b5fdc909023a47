/* storage/space.c - is there room to grow? Asked before a batch takes anything in, because a
 * disk that fills up in mid-commit costs the whole batch, and because deletions must go on
 * working: they need some pages before they give back others.
 * Runs in the back, and in the admin's process. */
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "storage/lmdb_file_priv.h"
#include "storage/store_priv.h"

/* Address space that was mapped and is not in use yet. */
static uint64_t map_left_octets(struct store *store)
{
	MDB_envinfo info;
	if (mdb_env_info(store->env, &info) != 0)
		return UINT64_MAX;
	uint64_t used = (uint64_t)(info.me_last_pgno + 1) * store->page_octets;
	return info.me_mapsize > used ? info.me_mapsize - used : 0;
}

/* What the file may still grow by. */
static uint64_t room_octets(struct store *store)
{
	int fd;
	struct statvfs fs;
	struct stat status;
	struct rlimit limit;
	uint64_t room = UINT64_MAX;
	if (store->env && mdb_env_get_fd(store->env, &fd) == 0) {
		if (fstatvfs(fd, &fs) == 0)
			room = (uint64_t)fs.f_bavail * fs.f_frsize;
		/* The same limit that systemd calls LimitFSIZE. */
		if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
		    fstat(fd, &status) == 0) {
			uint64_t size = (uint64_t)status.st_size;
			uint64_t left = limit.rlim_cur > size ? limit.rlim_cur - size : 0;
			if (left < room)
				room = left;
		}
		uint64_t map_left = map_left_octets(store);
		if (map_left < room)
			room = map_left;
	}
	return room;
}

bool space_is_short_of(struct store *store, uint64_t octets)
{
	return room_octets(store) < octets;
}

/* Octets of the file that are holes, given back to the file system (holes.c). */
static uint64_t hole_octets(struct store *store)
{
	enum { BLOCK_OCTETS = 512 };
	int fd;
	struct stat status;
	if (mdb_env_get_fd(store->env, &fd) != 0 || fstat(fd, &status) != 0 ||
	    status.st_blocks >= status.st_size / BLOCK_OCTETS)
		return 0;
	return (uint64_t)status.st_size - (uint64_t)status.st_blocks * BLOCK_OCTETS;
}

/* Pages of the file that hold nothing: a file never gets shorter, so after a great clearing there
 * is room inside it on a disk that is still full. A hole is free as well, but has to find its
 * room on the disk anew. */
static uint64_t free_inside_octets(struct store *store)
{
	uint64_t pages = 0;
	MDB_cursor *cursor = NULL;
	MDB_val key, value;
	MDB_stat stat;
	struct read *read = read_begin(store);
	if (read->txn && mdb_env_stat(store->env, &stat) == 0 &&
	    mdb_cursor_open(read->txn, LMDB_FREE_DBI, &cursor) == 0) {
		while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0) {
			size_t count = 0;
			if (value.mv_size >= sizeof(count))
				memcpy(&count, value.mv_data, sizeof(count));
			pages += count;
		}
		mdb_cursor_close(cursor);
	}
	uint64_t octets = cursor ? pages * stat.ms_psize : 0;
	uint64_t holes = octets > 0 ? hole_octets(store) : 0;
	read_end(&read);
	return octets > holes ? octets - holes : 0;
}

bool space_is_enough(struct store *store)
{
	bool enough = !space_is_short_of(store, store->reserve_octets) ||
		      free_inside_octets(store) >= store->reserve_octets;
	if (atomic_exchange(&store->space_low, !enough) == enough) {
		if (enough)
			log_info(NULL, EVENT("store-has-room-again"), CSTR("path", store->path));
		else
			log_error(NULL, EVENT("store-full"), CSTR("path", store->path),
				  NUM("reserve_octets", store->reserve_octets));
	}
	return enough;
}

enum err write_may_grow(struct write *write)
{
	if (write->space == SPACE_UNKNOWN)
		write->space = space_is_enough(write->store) ? SPACE_ENOUGH : SPACE_LOW;
	return write->space == SPACE_LOW ? ERR_FULL : ERR_OK;
}

void store_figures(struct store *store, struct store_figures *figures_out)
{
	int fd;
	struct stat status;
	MDB_envinfo info;
	*figures_out = (struct store_figures){ .disk_free_octets = room_octets(store) };
	figures_out->free_octets = free_inside_octets(store);
	if (!store->env)
		return;
	if (mdb_env_get_fd(store->env, &fd) == 0 && fstat(fd, &status) == 0)
		figures_out->file_octets = (uint64_t)status.st_size - hole_octets(store);
	if (mdb_env_info(store->env, &info) == 0)
		figures_out->commits = info.me_last_txnid;
}
