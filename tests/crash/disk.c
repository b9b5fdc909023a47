/* tests/crash/disk.c - what a disk has for certain, what is pending, and one of the many states between. */
#include "tests/crash/disk.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/heap.h"
#include "tests/dice.h"

enum { SECTOR_OCTETS = 512 };

void disk_make(struct disk *disk_out, const struct record *record)
{
	*disk_out = (struct disk){ .record = record };
	for (int i = 0; i < RECORDED_FILES; i++) {
		struct disk_file *file = &disk_out->files[i];
		file->cap = record_octets(record, (enum recorded_file)i);
		file->certain = heap_alloc(file->cap + 1);
		file->image = heap_alloc(file->cap + 1);
		file->certain_len = record->base[i].len;
		memcpy(file->certain, record->base[i].octets, file->certain_len);
	}
}

void disk_free(struct disk *disk)
{
	for (int i = 0; i < RECORDED_FILES; i++) {
		free(disk->files[i].certain);
		free(disk->files[i].image);
	}
	free(disk->pending);
	*disk = (struct disk){ .record = NULL };
}

/* ---- what is certain ---- */

static void certain_apply(struct disk *disk, const struct event *event)
{
	struct disk_file *file = &disk->files[event->file];
	memcpy(file->certain + event->at, event->octets, event->len);
	if (event->at + event->len > file->certain_len)
		file->certain_len = event->at + event->len;
}

static void pending_add(struct disk *disk, const struct event *event)
{
	if (disk->pending_count == disk->pending_cap) {
		disk->pending_cap = disk->pending_cap ? 2 * disk->pending_cap : 1024;
		disk->pending =
			heap_resize(disk->pending, disk->pending_cap * sizeof(disk->pending[0]));
	}
	disk->pending[disk->pending_count++] = event;
}

/* Of one file, what was written before `end`. */
static void pending_settle(struct disk *disk, enum recorded_file file, const struct event *end)
{
	size_t kept = 0;
	for (size_t i = 0; i < disk->pending_count; i++)
		if (disk->pending[i]->file == file && disk->pending[i] < end)
			certain_apply(disk, disk->pending[i]);
		else
			disk->pending[kept++] = disk->pending[i];
	disk->pending_count = kept;
}

void disk_settle(struct disk *disk, size_t left)
{
	size_t count = disk->pending_count > left ? disk->pending_count - left : 0;
	for (size_t i = 0; i < count; i++)
		certain_apply(disk, disk->pending[i]);
	disk->pending_count -= count;
	if (count > 0)
		memmove(disk->pending, disk->pending + count,
			disk->pending_count * sizeof(disk->pending[0]));
}

void disk_take(struct disk *disk, const struct event *event)
{
	const struct event *last =
		disk->pending_count ? disk->pending[disk->pending_count - 1] : NULL;
	if (last && last->kind == EVENT_WRITE_SYNCED) {
		certain_apply(disk, last);
		disk->pending_count--;
	}
	switch (event->kind) {
	case EVENT_WRITE:
	case EVENT_WRITE_SYNCED: pending_add(disk, event); break;
	case EVENT_SYNC:
		pending_settle(disk, event->file, disk->record->events + event->begun);
		break;
	case EVENT_ACK: break;
	}
}

/* ---- a state ---- */

static void image_apply(struct disk_file *file, uint64_t at, const uint8_t *octets, size_t len)
{
	memcpy(file->image + at, octets, len);
	if (at + len > file->image_len)
		file->image_len = at + len;
}

/* Each sector of the write for itself. */
static void image_tear(struct disk_file *file, const struct event *event, uint32_t percent,
		       uint32_t *dice)
{
	for (uint64_t at = event->at; at < event->at + event->len;) {
		uint64_t end = (at / SECTOR_OCTETS + 1) * SECTOR_OCTETS;
		if (end > event->at + event->len)
			end = event->at + event->len;
		if (dice_roll(dice, 100) < percent)
			image_apply(file, at, event->octets + (at - event->at), end - at);
		at = end;
	}
}

static size_t pending_of(const struct disk *disk, enum recorded_file file)
{
	size_t count = 0;
	for (size_t i = 0; i < disk->pending_count; i++)
		count += disk->pending[i]->file == file;
	return count;
}

/* One write alone lost, or alone there, is the likeliest to be overlooked. */
enum share { NOTHING, ALL, ONE, ALL_BUT_ONE, SOME };

static bool is_kept(enum share share, bool is_the_one, uint32_t percent, uint32_t *dice)
{
	switch (share) {
	case NOTHING: return false;
	case ALL: return true;
	case ONE: return is_the_one;
	case ALL_BUT_ONE: return !is_the_one;
	case SOME: return dice_roll(dice, 100) < percent;
	}
	return false;
}

static void image_make(struct disk *disk, enum recorded_file which, uint32_t *dice)
{
	static const enum share shares[] = { NOTHING,	  ALL,	       ONE,  ONE,
					     ALL_BUT_ONE, ALL_BUT_ONE, SOME, SOME };
	static const uint8_t percents[] = { 50, 10, 90, 97, 3, 75 };
	struct disk_file *file = &disk->files[which];
	memcpy(file->image, file->certain, file->certain_len);
	memset(file->image + file->certain_len, 0, file->cap - file->certain_len);
	file->image_len = file->certain_len;
	size_t pending = pending_of(disk, which), at = 0;
	if (pending == 0)
		return;
	enum share share = shares[dice_roll(dice, sizeof(shares) / sizeof(shares[0]))];
	uint32_t percent = percents[dice_roll(dice, sizeof(percents))];
	bool tears = share != ALL && dice_roll(dice, 2), grows = dice_roll(dice, 2);
	size_t one = dice_roll(dice, (uint32_t)pending);
	for (size_t i = 0; i < disk->pending_count; i++) {
		const struct event *event = disk->pending[i];
		if (event->file != which)
			continue;
		bool keep = is_kept(share, at++ == one, percent, dice);
		if (keep && tears)
			image_tear(file, event, percent, dice);
		else if (keep)
			image_apply(file, event->at, event->octets, event->len);
		if (grows && event->at + event->len > file->image_len)
			file->image_len = event->at + event->len;
	}
}

static void image_write(const struct disk_file *file, const char *folder, const char *name)
{
	char path[512];
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	int code = fd < 0 ? -1 : ftruncate(fd, (off_t)file->image_len);
	assert(code == 0);
	for (size_t at = 0; at < file->image_len;) {
		ssize_t written = write(fd, file->image + at, file->image_len - at);
		assert(written > 0);
		at += (size_t)written;
	}
	close(fd);
}

void disk_image(struct disk *disk, uint32_t *dice, const char *folder)
{
	for (int i = 0; i < RECORDED_FILES; i++) {
		image_make(disk, (enum recorded_file)i, dice);
		image_write(&disk->files[i], folder, record_names[i]);
	}
}
