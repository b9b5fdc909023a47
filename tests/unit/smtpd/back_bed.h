/* tests/unit/smtpd/back_bed.h - what smtpd has in the back, on a store of one's own: a loop, the writer, a
 * configuration; and what has become of the mail. */
#pragma once

#include "tests/unit/smtpd/settings.h"
#include "tests/unit/storage/bed.h"
#include "tests/unit/storage/jobs_home.h"

#include "runtime/loop.h"
#include "storage/back.h"
#include "storage/remote.h"

static struct bed bed;
static struct back back;

/* After bed_begin(), when what the store is to hold from the beginning is there. */
static inline void back_begin(const struct config *config)
{
	store_start_writer(bed.store);
	back = (struct back){ .loop = loop_new(0), .store = bed.store, .config = config };
}

static inline void back_end(void)
{
	jobs_home(bed.store, back.loop);
	bed_end(&bed);
	loop_free(back.loop);
}

/* Alice's, in her INBOX. */
static inline uint32_t messages(void)
{
	struct mailbox mailbox = { 0 };
	struct read *read = read_begin(bed.store);
	assert_int_equal(mailbox_get(read, bed.inbox_id, &bed.arena, &mailbox), ERR_OK);
	read_end(&read);
	return mailbox.messages;
}

/* The last day of which it was reported how ways were secured. */
static inline uint32_t reported_day(void)
{
	struct read *read = read_begin(bed.store);
	uint32_t day = remote_reported_day(read);
	read_end(&read);
	return day;
}

/* How often there was any result of the ways to other servers. */
static inline uint64_t results_counted(void)
{
	struct remote_place place = { 0 };
	struct remote_result result;
	struct arena arena = { 0 };
	uint64_t count = 0;
	struct read *read = read_begin(bed.store);
	while (remote_result_next(read, &place, &arena, &result))
		count += result.count;
	read_end(&read);
	arena_fini(&arena);
	return count;
}
