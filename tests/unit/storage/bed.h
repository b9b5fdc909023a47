/* tests/unit/storage/bed.h - a store of one's own in a temporary folder, and short ways to
 * write to it. */
#pragma once

#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/account.h"
#include "storage/message.h"
#include "storage/queue_priv.h"
#include "storage/store_priv.h"
#include "tests/dice.h"
#include "tests/folder.h"

struct bed {
	char dir[FOLDER_PATH_OCTETS]; /* the state directory */
	struct store *store;
	uint32_t account_id; /* alice@example.org */
	uint64_t inbox_id;
	struct arena arena;
};

static inline void bed_dir(struct bed *bed)
{
	*bed = (struct bed){ .store = NULL };
	folder_make(bed->dir, "store");
}

static inline enum err bed_try_open(struct bed *bed, enum store_mode mode, const char **why_out)
{
	return store_open(bed->dir, mode, &bed->store, why_out);
}

static inline void bed_open(struct bed *bed, enum store_mode mode)
{
	const char *why;
	if (bed_try_open(bed, mode, &why) != ERR_OK)
		fail_msg("%s", why);
	assert_null(why);
}

/* A write as a plain function. */
struct bed_job {
	struct job job;
	enum err (*run)(struct write *write, void *arg);
	void *arg;
};

static inline enum err bed_job_run(struct write *write, struct job *job)
{
	struct bed_job *bed_job = CONTAINER_OF(job, struct bed_job, job);
	return bed_job->run(write, bed_job->arg);
}

static inline enum err bed_write(struct bed *bed, enum err (*run)(struct write *write, void *arg),
				 void *arg)
{
	struct bed_job job = { .job.run = bed_job_run, .run = run, .arg = arg };
	return store_write_now(bed->store, &job.job);
}

static inline enum err bed_first_account(struct write *write, void *arg)
{
	struct bed *bed = arg;
	enum err err = domain_add(write, SLICE("example.org"));
	return err == ERR_OK ? account_add(write, SLICE("alice"), SLICE("example.org"),
					   SLICE("$argon2id$x"), &bed->account_id)
			     : err;
}

/* Jobs for bed_write(), `arg` is where the account's number goes, or is: bob@example.org; anybody. */
static inline enum err bed_add_bob(struct write *write, void *arg)
{
	return account_add(write, SLICE("bob"), SLICE("example.org"), SLICE("$argon2id$x"), arg);
}
static inline enum err bed_remove_account(struct write *write, void *arg)
{
	return account_remove(write, *(uint32_t *)arg);
}

static inline uint64_t bed_mailbox(struct bed *bed, const char *name)
{
	struct mailbox mailbox = { 0 };
	struct read *read = read_begin(bed->store);
	enum err err = mailbox_find(read, bed->account_id, slice_cstr(name), &bed->arena, &mailbox);
	read_end(&read);
	return err == ERR_OK ? mailbox.mailbox_id : 0;
}

/* INBOX's messages 1 to 3, to another mailbox. */
static inline enum err bed_copy(struct write *write, struct bed *bed, const char *to_name,
				bool moves)
{
	struct ranges uids = { 0 }, from = { 0 }, to = { 0 };
	ranges_add(&uids, 1, 3);
	enum err err = message_copy(write, bed->inbox_id, &uids, bed_mailbox(bed, to_name), moves,
				    &from, &to);
	ranges_free(&uids);
	ranges_free(&from);
	ranges_free(&to);
	return err;
}

static inline size_t bed_count_rows(const struct bed *bed, enum database db)
{
	MDB_stat stat;
	struct read *read = read_begin(bed->store);
	assert_int_equal(mdb_stat(read->txn, bed->store->dbis[db], &stat), 0);
	read_end(&read);
	return stat.ms_entries;
}

/* Entries of mail that leaves. */
static inline uint64_t bed_queued(struct bed *bed)
{
	struct read *read = read_begin(bed->store);
	struct row row;
	struct key key;
	uint64_t count = 0;
	row_open(&row, read, DB_QUEUE);
	key_queue_entry(&key, 0);
	bool more = row_seek(&row, key_slice(&key));
	for (; more && row.key.ptr[0] == QUEUE_ROW_ENTRY; more = row_next(&row))
		count++;
	row_close(&row);
	read_end(&read);
	return count;
}

/* With alice and her mailboxes. */
static inline void bed_begin(struct bed *bed, enum store_mode mode)
{
	bed_dir(bed);
	bed_open(bed, STORE_CREATE);
	assert_int_equal(bed_write(bed, bed_first_account, bed), ERR_OK);
	if (mode != STORE_CREATE) {
		store_close(&bed->store);
		bed_open(bed, mode);
	}
	bed->inbox_id = bed_mailbox(bed, "INBOX");
	assert_true(bed->inbox_id != 0);
}

static inline void bed_end(struct bed *bed)
{
	store_close(&bed->store);
	arena_fini(&bed->arena);
	folder_remove(bed->dir);
}

/* Filing one message whole. */
struct bed_append {
	uint64_t mailbox_id;
	struct slice text;
	struct message_entry entry;
	const struct slice *keywords;
	size_t keyword_count;
	struct intake *intake;
	uint32_t uid;
};

static inline enum err bed_append_run(struct write *write, void *arg)
{
	struct bed_append *append = arg;
	append->entry.size_octets = intake_size_octets(append->intake);
	enum err err = intake_commit(write, append->intake, &append->entry.blob_id);
	return err == ERR_OK ? message_append(write, append->mailbox_id, &append->entry,
					      append->keywords, append->keyword_count, &append->uid)
			     : err;
}

/* Takes in a text, and writes while it is held at `intake_at`. */
static inline enum err bed_take_in(struct bed *bed, struct slice text, struct intake **intake_at,
				   enum err (*run)(struct write *write, void *arg), void *arg)
{
	*intake_at = intake_new(bed->store, NULL, NULL, NULL);
	intake_feed(*intake_at, text);
	enum err err = intake_finish(*intake_at);
	if (err == ERR_OK)
		err = bed_write(bed, run, arg);
	intake_free(intake_at);
	return err;
}

static inline enum err bed_append(struct bed *bed, struct bed_append *append)
{
	return bed_take_in(bed, append->text, &append->intake, bed_append_run, append);
}

/* Of the inbox. */
struct bed_expunge {
	const struct bed *bed;
	uint32_t first_uid, last_uid;
};

static inline enum err bed_expunge_run(struct write *write, void *arg)
{
	const struct bed_expunge *expunge = arg;
	struct ranges uids = { 0 }, gone = { 0 };
	ranges_add(&uids, expunge->first_uid, expunge->last_uid);
	enum err err = message_expunge(write, expunge->bed->inbox_id, &uids, false, &gone);
	ranges_free(&uids);
	ranges_free(&gone);
	return err;
}

static inline enum err bed_expunge(struct bed *bed, uint32_t first_uid, uint32_t last_uid)
{
	struct bed_expunge expunge = { bed, first_uid, last_uid };
	return bed_write(bed, bed_expunge_run, &expunge);
}

/* A message that compresses somewhat, as mail does; `seed` makes it another. A long one with an odd
 * seed is an attachment in base64, which is stored decoded. At least as long as its header. */
static inline void bed_text(struct buffer *text, unsigned seed, size_t octets)
{
	static const char letters[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/";
	bool is_base64 = seed % 2 == 1 && octets >= 20000;
	size_t line = is_base64 ? 78 : 72;
	uint32_t state = seed * 2654435761u + 12345;
	buffer_clear(text);
	buffer_add_format(text, "Subject: number %u\r\nFrom: bob@example.net\r\n\r\n", seed);
	if (octets <= text->len)
		return;
	size_t more = octets - text->len;
	uint8_t *at = buffer_reserve(text, more);
	for (size_t i = 0; i < more; i++) {
		uint32_t letter = dice_roll(&state, 256) % (is_base64 ? 64 : 26);
		at[i] = i % line == line - 2   ? '\r'
			: i % line == line - 1 ? '\n'
					       : (uint8_t)letters[letter];
	}
	text->len += more;
}
