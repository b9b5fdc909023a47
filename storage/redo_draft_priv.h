/* storage/redo_draft_priv.h - the record of a commit while it is made: what LMDB writes is collected here, and goes
 * from here into data.mdb as well, when the disk is at work on the record. The writer's, in whichever process. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/buffer.h"
#include "base/slice.h"
#include "storage/redo_priv.h"

/* Pages side by side, which LMDB writes by one call. */
struct redo_run {
	size_t record_at; /* of the first struct redo_write */
	uint32_t writes;
};
enum { REDO_RUN_WRITES_MAX = 64 };

struct redo_draft {
	bool is_too_large; /* for a record: it does not hold all */
	uint32_t writes;
	struct buffer record;
	size_t octets; /* that LMDB has written, but for the meta page, */
	uint32_t runs; /* in so many places */
	struct redo_run *waiting;
	size_t count, cap;
};

void redo_draft_begin(struct redo_draft *draft);
void redo_draft_fini(struct redo_draft *draft);
/* A page, the pages of one value, or the meta page. */
void redo_draft_add(struct redo_draft *draft, off_t at, const void *octets, size_t len,
		    uint32_t page_octets);
/* Each part is a page, or the pages of one value. True: they wait, as they may. False: the caller writes them. */
bool redo_draft_add_run(struct redo_draft *draft, off_t at, const struct iovec *parts, int count,
			uint32_t page_octets, bool may_wait);
/* `record` has what the draft does not know. */
struct slice redo_draft_finish(struct redo_draft *draft, struct redo_record record);
/* Those that wait are in the file, and wait no more; or errno says why they still do. */
bool redo_draft_write_pages(struct redo_draft *draft, int fd);
/* Of much that lies in order (bodies) a sync is about as quick where it belongs, and it is not written
 * twice. Where small messages or flags are filed, the runs of pages are short. */
bool redo_draft_lies_in_order(const struct redo_draft *draft);
