/* storage/redo_file.c - the redo log as a file: its header, which records are valid, and writing them to
 * data.mdb once more. */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/checksum.h"
#include "base/heap.h"
#include "storage/redo_priv.h"

/* The last octet is the version. */
static const uint8_t magic[8] = { 'B', 'o', 'd', 'e', 'R', 'e', 'd', '2' };
static const uint8_t magic_before[8] = { 'B', 'o', 'd', 'e', 'R', 'e', 'd', '1' };

/* ---- the header ---- */

static uint64_t header_checksum(const struct redo_header *header)
{
	const size_t from = sizeof(header->checksum), to = offsetof(struct redo_header, is_lost);
	return checksum_of(slice_of((const uint8_t *)header + from, to - from));
}

bool redo_header_read(int fd, struct redo_header *header_out)
{
	return pread(fd, header_out, sizeof(*header_out), 0) == sizeof(*header_out) &&
	       (memcmp(header_out->magic, magic, sizeof(magic)) == 0 ||
		memcmp(header_out->magic, magic_before, sizeof(magic)) == 0) &&
	       header_out->checksum == header_checksum(header_out);
}

bool redo_header_write(int fd, uint64_t store, uint64_t epoch)
{
	struct redo_header header = { .store = store, .epoch = epoch };
	memcpy(header.magic, magic, sizeof(magic));
	header.checksum = header_checksum(&header);
	ssize_t written = pwrite(fd, &header, sizeof(header), 0);
	if (written >= 0 && written != sizeof(header))
		errno = EIO;
	return written == sizeof(header) && fdatasync(fd) == 0;
}

void redo_header_set_lost(int fd, bool is_lost)
{
	uint64_t word = is_lost;
	ssize_t written = pwrite(fd, &word, sizeof(word), offsetof(struct redo_header, is_lost));
	(void)written; /* then the process itself knows */
}

uint64_t redo_mark_read(int data_fd, uint32_t page_octets)
{
	uint64_t mark;
	off_t at = (off_t)page_octets - (off_t)sizeof(mark);
	return pread(data_fd, &mark, sizeof(mark), at) == sizeof(mark) ? mark : 0;
}

bool redo_mark_write(int data_fd, uint32_t page_octets, uint64_t mark)
{
	off_t at = (off_t)page_octets - (off_t)sizeof(mark);
	ssize_t written = pwrite(data_fd, &mark, sizeof(mark), at);
	if (written >= 0 && written != sizeof(mark))
		errno = EIO;
	return written == sizeof(mark) && fdatasync(data_fd) == 0;
}

/* ---- reading ---- */

uint64_t redo_fingerprint(const void *octets, size_t len)
{
	return checksum_of(slice_of(octets, len));
}

static bool record_is_whole(const struct redo_record *record)
{
	const uint8_t *octets = (const uint8_t *)record;
	size_t at = sizeof(*record);
	for (uint32_t i = 0; i < record->writes; i++) {
		struct redo_write write;
		if (record->octets - at < sizeof(write))
			return false;
		memcpy(&write, octets + at, sizeof(write));
		at += sizeof(write);
		if ((size_t)write.hole_at + write.hole_octets > write.octets ||
		    (write.hole_at > 0 && write.hole_octets == 0) ||
		    write.octets - write.hole_octets > record->octets - at)
			return false;
		at += write.octets - write.hole_octets;
	}
	return at == record->octets;
}

/* A record of this epoch that fits into `room`. */
static const struct redo_record *record_at(const uint8_t *octets, size_t room, uint64_t epoch)
{
	const struct redo_record *record = (const struct redo_record *)(const void *)octets;
	const size_t unsummed = sizeof(record->checksum);
	bool is = room >= sizeof(*record) && record->epoch == epoch &&
		  record->octets >= sizeof(*record) && record->octets <= room &&
		  record->checksum ==
			  checksum_of(slice_of(octets + unsummed, record->octets - unsummed)) &&
		  record_is_whole(record);
	return is ? record : NULL;
}

static uint64_t last_txn(const struct redo_image *image)
{
	return image->records[image->count - 1]->txn_id;
}

/* As many as follow each other. */
static void area_read(const uint8_t *area, uint64_t epoch, struct redo_image *image)
{
	image->records =
		heap_alloc_array(REDO_AREA_OCTETS / REDO_ALIGN_OCTETS, sizeof(*image->records));
	for (size_t at = 0; at < REDO_AREA_OCTETS;) {
		const struct redo_record *record =
			record_at(area + at, REDO_AREA_OCTETS - at, epoch);
		if (!record || (image->count > 0 && record->txn_id != last_txn(image) + 1))
			break;
		image->records[image->count++] = record;
		at += (record->octets + REDO_ALIGN_OCTETS - 1) / REDO_ALIGN_OCTETS *
		      REDO_ALIGN_OCTETS;
	}
}

/* The area that was begun last goes on where the other one ends, unless its first record never came to
 * be: then it is empty, or still what it was before. */
static void areas_read(struct redo_image *image, uint64_t epoch)
{
	struct redo_image areas[REDO_AREAS] = { { .areas = NULL } };
	for (int i = 0; i < REDO_AREAS; i++)
		area_read(image->areas + (size_t)i * REDO_AREA_OCTETS, epoch, &areas[i]);
	const struct redo_image *older = &areas[0], *newer = &areas[1];
	if (older->count > 0 && newer->count > 0 && last_txn(older) > last_txn(newer)) {
		older = &areas[1];
		newer = &areas[0];
	}
	image->records = heap_alloc_array(older->count + newer->count + 1, sizeof(*image->records));
	if (newer->count == 0 ||
	    (older->count > 0 && last_txn(older) + 1 == newer->records[0]->txn_id)) {
		memcpy(image->records, older->records, older->count * sizeof(*image->records));
		image->count = older->count;
	}
	memcpy(image->records + image->count, newer->records,
	       newer->count * sizeof(*image->records));
	image->count += newer->count;
	free(areas[0].records);
	free(areas[1].records);
}

/* Records come one behind the other is synced, so of a loss of power only the last one can be torn. */
static bool has_later(const struct redo_image *image, uint64_t epoch)
{
	uint64_t last = image->count > 0 ? last_txn(image) : 0;
	for (size_t at = 0; at < REDO_AREAS * (size_t)REDO_AREA_OCTETS; at += REDO_ALIGN_OCTETS) {
		const struct redo_record *record = record_at(
			image->areas + at, REDO_AREA_OCTETS - at % REDO_AREA_OCTETS, epoch);
		if (record && record->txn_id > last)
			return true;
	}
	return false;
}

/* While the log was made the power may have failed before the header was there. */
static bool is_unwritten(int fd)
{
	uint8_t octets[sizeof(struct redo_header)] = { 0 };
	static const uint8_t nothing[sizeof(octets)];
	return pread(fd, octets, sizeof(octets), 0) >= 0 &&
	       memcmp(octets, nothing, sizeof(octets)) == 0;
}

static bool areas_load(int fd, uint8_t *areas)
{
	size_t octets = REDO_AREAS * (size_t)REDO_AREA_OCTETS;
	for (size_t at = 0; at < octets;) {
		ssize_t got = pread(fd, areas + at, octets - at, (off_t)(REDO_HEADER_OCTETS + at));
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return false;
		if (got == 0)
			break; /* never written to */
		at += (size_t)got;
	}
	return true;
}

bool redo_image_read(int fd, struct redo_image *image_out)
{
	struct redo_header header;
	*image_out = (struct redo_image){ .count = 0 };
	if (!redo_header_read(fd, &header)) {
		image_out->is_damaged = !is_unwritten(fd);
		return true;
	}
	image_out->areas = heap_alloc_array(REDO_AREAS, REDO_AREA_OCTETS);
	if (!areas_load(fd, image_out->areas)) {
		redo_image_free(image_out);
		return false;
	}
	areas_read(image_out, header.epoch);
	image_out->is_damaged = has_later(image_out, header.epoch);
	return true;
}

void redo_image_free(struct redo_image *image)
{
	free(image->areas);
	free(image->records);
	*image = (struct redo_image){ .count = 0 };
}

/* ---- writing once more ---- */

/* Pages, one write of the log or a part of one. */
struct piece {
	uint64_t at;
	size_t order, len;
	const uint8_t *octets; /* without those of the hole */
	size_t hole_at, hole_octets;
};
struct pieces {
	struct piece *all;
	size_t count, cap;
};

static void piece_add(struct pieces *pieces, struct piece piece)
{
	if (pieces->count == pieces->cap) {
		pieces->cap = pieces->cap ? 2 * pieces->cap : 1024;
		pieces->all = heap_resize(pieces->all, pieces->cap * sizeof(struct piece));
	}
	piece.order = pieces->count;
	pieces->all[pieces->count++] = piece;
}

/* By pages: one may be written alone, and later together with its neighbours. What has a hole is one page. */
static void record_split(struct pieces *pieces, const struct redo_record *record,
			 uint32_t page_octets)
{
	const uint8_t *octets = (const uint8_t *)(record + 1);
	for (uint32_t i = 0; i < record->writes; i++) {
		struct redo_write write;
		memcpy(&write, octets, sizeof(write));
		octets += sizeof(write);
		size_t step = write.hole_octets > 0 ? write.octets : page_octets;
		for (size_t done = 0; done < write.octets; done += step) {
			size_t left = write.octets - done;
			piece_add(pieces, (struct piece){ .at = write.at + done,
							  .len = left < step ? left : step,
							  .octets = octets + done,
							  .hole_at = write.hole_at,
							  .hole_octets = write.hole_octets });
		}
		octets += write.octets - write.hole_octets;
	}
}

static int piece_compare(const void *a, const void *b)
{
	const struct piece *left = a, *right = b;
	if (left->at != right->at)
		return left->at < right->at ? -1 : 1;
	return left->order < right->order ? -1 : left->order > right->order;
}

static bool all_written(int fd, const uint8_t *octets, size_t len, uint64_t at)
{
	for (size_t done = 0; done < len;) {
		ssize_t written = pwrite(fd, octets + done, len - done, (off_t)(at + done));
		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0) {
			errno = written < 0 ? errno : EIO;
			return false;
		}
		done += (size_t)written;
	}
	return true;
}

/* What lies in the hole stays as it is. */
static bool piece_write(int fd, const struct piece *piece)
{
	size_t behind = piece->hole_at + piece->hole_octets;
	return all_written(fd, piece->octets, piece->hole_at, piece->at) &&
	       all_written(fd, piece->octets + piece->hole_at, piece->len - behind,
			   piece->at + behind);
}

bool redo_image_apply(const struct redo_image *image, int data_fd, uint32_t page_octets)
{
	struct pieces pieces = { .count = 0 };
	bool done = true;
	for (size_t i = 0; i < image->count; i++)
		record_split(&pieces, image->records[i], page_octets);
	if (pieces.count > 0)
		qsort(pieces.all, pieces.count, sizeof(struct piece), piece_compare);
	for (size_t i = 0; i < pieces.count && done; i++)
		if (i + 1 == pieces.count || pieces.all[i + 1].at != pieces.all[i].at)
			done = piece_write(data_fd, &pieces.all[i]);
	free(pieces.all);
	return done;
}
