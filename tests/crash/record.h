/* tests/crash/record.h - all that this process writes to one file, in order, and what the disk
 * was asked to keep.
 *
 * The calls come in between LMDB and the kernel: the program has its own pwrite(), writev(),
 * write(), fdatasync(), ... That none was missed is shown in the end: the file, rebuilt from
 * the record, is the file. Any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum event_kind {
	EVENT_WRITE,	    /* returned: in the kernel's memory, on the disk or not */
	EVENT_WRITE_SYNCED, /* of a descriptor with O_DSYNC: on the disk when it returned */
	EVENT_SYNC,	    /* what was written before is on the disk */
	EVENT_ACK,	    /* somebody was told that `number` is done */
};

struct event {
	enum event_kind kind;
	uint64_t at;
	size_t len;
	uint8_t *octets;
	unsigned number;
};

struct record {
	uint8_t *base; /* the file when the recording began: all of it on the disk */
	size_t base_len;
	struct event *events;
	size_t count, cap;
};

/* From now on, of this file. */
void record_begin(const char *path);
void record_ack(unsigned number);
/* The recording ends. False: the record does not lead to what is in the file. */
bool record_end(const char *path, struct record *record_out);
void record_free(struct record *record);
