/* tests/crash/record.h - all that this process writes to the files of a store, in one order, and what the
 * disk was asked to keep.
 *
 * The calls come in between the store, LMDB, and the kernel: the program has its own pwrite(), writev(),
 * write(), fdatasync(), ... That none was missed is shown in the end: each file, rebuilt from
 * the record, is the file. Any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Beside each other in one folder. */
enum recorded_file { RECORDED_DATA, RECORDED_LOG, RECORDED_FILES };

extern const char *const record_names[RECORDED_FILES];

enum event_kind {
	EVENT_WRITE,	    /* returned: in the kernel's memory, on the disk or not */
	EVENT_WRITE_SYNCED, /* of a descriptor with O_DSYNC: on the disk when it returned */
	EVENT_SYNC, /* returned: of its file, what was written before it began is on the disk */
	EVENT_ACK,  /* somebody was told that `number` is done */
};

struct event {
	enum event_kind kind;
	enum recorded_file file;
	uint64_t at;
	size_t len;
	uint8_t *octets;
	unsigned number;
	size_t begun; /* EVENT_SYNC: so many events were there when it began */
};

struct record {
	struct {
		uint8_t *octets; /* the file when the recording began: all of it on the disk */
		size_t len;
	} base[RECORDED_FILES];
	struct event *events;
	size_t count, cap;
};

/* How long the file may have become. */
size_t record_octets(const struct record *record, enum recorded_file file);

/* From now on, of data.mdb and redo.log in this folder, which are there. Where the disk `is_slow`, a sync of
 * data.mdb takes as long as somebody goes on without it: nobody is to rely on its being quick. */
void record_begin(const char *folder, bool is_slow);
void record_ack(unsigned number);
/* The recording ends. False: the record does not lead to what is in the files. */
bool record_end(const char *folder, struct record *record_out);
void record_free(struct record *record);
