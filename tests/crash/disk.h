/* tests/crash/disk.h - a disk that loses its power, with what was recorded (record.h) as the work on it.
 *
 * It has everything that was written before the last sync of the same file began, and of what came
 * later any part: some writes and not others, in any order, each perhaps torn, of 512 octets at least,
 * which a disk writes whole or not. A file may also have grown before what was to stand there
 * was written: that reads as zeros. What one file has says nothing of the other. */
#pragma once

#include "tests/crash/record.h"

struct disk_file {
	uint8_t *certain; /* what is on the disk whatever happens */
	size_t certain_len;
	uint8_t *image; /* what perhaps is, once */
	size_t image_len, cap;
};

struct disk {
	const struct record *record;
	struct disk_file files[RECORDED_FILES];
	const struct event **pending; /* written, and on the disk or not */
	size_t pending_count, pending_cap;
};

/* As it was when the recording began. `record` stays the caller's, and is there as long as the disk. */
void disk_make(struct disk *disk_out, const struct record *record);
void disk_free(struct disk *disk);
/* The next event of the record. What was written is pending, by a write that is synced until the next event. */
void disk_take(struct disk *disk, const struct event *event);
/* The oldest of what is pending is certain, but for `left` writes. */
void disk_settle(struct disk *disk, size_t left);
/* What it may have in this moment, put into `folder`. */
void disk_image(struct disk *disk, uint32_t *dice, const char *folder);
