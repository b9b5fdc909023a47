/* storage/redo_draft.c - the record of a commit while it is made. The writer's, in whichever process. */
#include "storage/redo_draft_priv.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"
#include "base/heap.h"
#include "storage/lmdb_file_priv.h"

void redo_draft_begin(struct redo_draft *draft)
{
	draft->is_too_large = false;
	draft->octets = draft->count = 0;
	draft->runs = draft->writes = 0;
	draft->record.len = 0;
	buffer_reserve(&draft->record, sizeof(struct redo_record));
	draft->record.len = sizeof(struct redo_record);
}

void redo_draft_fini(struct redo_draft *draft)
{
	buffer_free(&draft->record);
	free(draft->waiting);
}

/* ---- what LMDB writes ---- */

/* The room of a tree's page that nothing lies in. */
static void hole_find(const void *octets, uint32_t page_octets, struct redo_write *write)
{
	const struct lmdb_page *page = octets;
	bool has = write->octets == page_octets &&
		   (page->flags == LMDB_BRANCH || page->flags == LMDB_LEAF) &&
		   page->lower >= LMDB_PAGE_HEADER_OCTETS && page->lower < page->upper &&
		   page->upper <= page_octets;
	write->hole_at = has ? page->lower : 0;
	write->hole_octets = has ? (uint16_t)(page->upper - page->lower) : 0;
}

void redo_draft_add(struct redo_draft *draft, off_t at, const void *octets, size_t len,
		    uint32_t page_octets)
{
	struct redo_write write = { .at = (uint64_t)at, .octets = (uint32_t)len };
	if (len > REDO_RECORD_MAX) {
		draft->is_too_large = true;
		return;
	}
	hole_find(octets, page_octets, &write);
	size_t behind = (size_t)write.hole_at + write.hole_octets;
	if (draft->record.len + sizeof(write) + len - write.hole_octets > REDO_RECORD_MAX)
		draft->is_too_large = true;
	if (draft->is_too_large)
		return;
	buffer_add(&draft->record, slice_of(&write, sizeof(write)));
	buffer_add(&draft->record, slice_of(octets, write.hole_at));
	buffer_add(&draft->record, slice_of((const uint8_t *)octets + behind, len - behind));
	draft->writes++;
}

static void wait_for(struct redo_draft *draft, struct redo_run run)
{
	if (draft->count == draft->cap) {
		draft->cap = draft->cap ? 2 * draft->cap : 64;
		draft->waiting = heap_resize(draft->waiting, draft->cap * sizeof(struct redo_run));
	}
	draft->waiting[draft->count++] = run;
}

bool redo_draft_add_run(struct redo_draft *draft, off_t at, const struct iovec *parts, int count,
			uint32_t page_octets, bool may_wait)
{
	struct redo_run run = { draft->record.len, (uint32_t)count };
	for (int i = 0; i < count; i++) {
		redo_draft_add(draft, at, parts[i].iov_base, parts[i].iov_len, page_octets);
		at += (off_t)parts[i].iov_len;
		draft->octets += parts[i].iov_len;
	}
	draft->runs++;
	bool waits = may_wait && !draft->is_too_large && count <= REDO_RUN_WRITES_MAX;
	if (waits)
		wait_for(draft, run);
	return waits;
}

bool redo_draft_lies_in_order(const struct redo_draft *draft)
{
	enum { IN_ORDER_OCTETS = 256 << 10, MEAN_RUN_OCTETS = 16 << 10 };
	return draft->octets >= IN_ORDER_OCTETS && draft->octets / draft->runs >= MEAN_RUN_OCTETS;
}

/* ---- the record ---- */

struct slice redo_draft_finish(struct redo_draft *draft, struct redo_record record)
{
	const size_t unsummed = sizeof(record.checksum);
	record.octets = (uint32_t)draft->record.len;
	record.writes = draft->writes;
	memcpy(draft->record.data, &record, sizeof(record));
	record.checksum =
		checksum_of(slice_of(draft->record.data + unsummed, draft->record.len - unsummed));
	memcpy(draft->record.data, &record, sizeof(record.checksum));
	return buffer_slice(&draft->record);
}

/* ---- pages ---- */

enum { WRITE_PARTS = 3 }; /* before the hole, the hole, behind it */

static struct iovec part(const void *octets, size_t len)
{
	return (struct iovec){ (void *)(uintptr_t)octets, len };
}

/* Whole pages, zeros in the hole: one that is written in parts would be read from the disk first. */
static bool run_write(const struct redo_draft *draft, const struct redo_run *run, int fd)
{
	static uint8_t zeros[UINT16_MAX];
	struct iovec parts[REDO_RUN_WRITES_MAX * WRITE_PARTS];
	const uint8_t *octets = draft->record.data + run->record_at;
	struct redo_write first, write;
	size_t len = 0;
	int count = 0;
	memcpy(&first, octets, sizeof(first));
	for (uint32_t i = 0; i < run->writes; i++) {
		memcpy(&write, octets, sizeof(write));
		octets += sizeof(write);
		size_t behind = write.octets - write.hole_at - (size_t)write.hole_octets;
		parts[count++] = part(octets, write.hole_at);
		parts[count++] = part(zeros, write.hole_octets);
		parts[count++] = part(octets + write.hole_at, behind);
		octets += write.hole_at + behind;
		len += write.octets;
	}
	ssize_t written;
	do
		written = pwritev(fd, parts, count, (off_t)first.at);
	while (written < 0 && errno == EINTR);
	if (written >= 0 && (size_t)written != len)
		errno = ENOSPC;
	return written == (ssize_t)len;
}

bool redo_draft_write_pages(struct redo_draft *draft, int fd)
{
	for (size_t i = 0; i < draft->count; i++)
		if (!run_write(draft, &draft->waiting[i], fd))
			return false;
	draft->count = 0;
	return true;
}
