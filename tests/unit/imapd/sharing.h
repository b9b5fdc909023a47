/* tests/unit/imapd/sharing.h - others who share their mailboxes with everybody, and what happens while a
 * session reads: for test programs that are linked with --wrap=read_begin and --wrap=access_gather_on. */
#pragma once

#include "tests/unit/imapd/news.h"

#include <unistd.h>

#include "base/clock.h"
#include "imapd/access_priv.h"
#include "storage/store_priv.h"

/* ---- while it reads ---- */

static struct job *behind_read;
static unsigned reads_before;
static bool allows_refusal;   /* of what is written then: that is no matter */
static unsigned failing_read; /* the nth from now on; 0: none */

/* As where the store has no more room for readers. */
static inline void make_unreadable(struct read *read)
{
	mdb_txn_abort(read->txn);
	read->txn = NULL;
	read->failure = ERR_DISK;
}

/* The writer reads, too, when it looks for garbage. */
static inline bool is_the_loops_thread(void)
{
	return gettid() == getpid();
}

/* The linker puts it in the place of the one in storage/. */
struct read *__real_read_begin(struct store *store);
struct read *__wrap_read_begin(struct store *store);
struct read *__wrap_read_begin(struct store *store)
{
	struct read *read = __real_read_begin(store);
	struct job *job = behind_read;
	if (!is_the_loops_thread())
		return read;
	if (failing_read > 0 && --failing_read == 0)
		make_unreadable(read);
	if (!job || reads_before-- > 0)
		return read;
	behind_read = NULL;
	enum err err = store_write_now(store, job);
	assert_true(err == ERR_OK || allows_refusal);
	return read;
}

/* How often it is not known what others share, since the store fails. */
static unsigned failures;
/* The turns in which it has been looked what others share; each takes as long as a session's turn, if the
 * clock is the test's. */
static unsigned turns_of_list;
static int64_t now_ms = -1;

enum err __real_access_gather_on(struct access_gathering *g, struct read *read);
enum err __wrap_access_gather_on(struct access_gathering *g, struct read *read);
enum err __wrap_access_gather_on(struct access_gathering *g, struct read *read)
{
	turns_of_list++;
	if (now_ms >= 0)
		clock_set_fake_unix_ms(now_ms += 2);
	if (failures == 0)
		return __real_access_gather_on(g, read);
	failures--;
	return ERR_DISK;
}

static inline void take_the_clock(void)
{
	now_ms = clock_unix_ms();
}

static inline void give_the_clock_back(void)
{
	now_ms = -1;
	clock_set_fake_unix_ms(-1);
}

/* Behind the nth read from now on; 0: now, if it has not been written yet. */
static inline void write_behind_read(unsigned nth, struct job *job)
{
	if (nth == 0 && behind_read) {
		enum err err = store_write_now(world.back.store, behind_read);
		assert_true(err == ERR_OK || allows_refusal);
	}
	behind_read = job;
	reads_before = nth - 1;
}

/* ---- what others share ---- */

struct sharing {
	struct job job;
	const char *owner, *mailbox; /* "name", or "name-0000" and so on */
	unsigned count;		     /* 0: only the rights of one that is there */
	unsigned rights;
};

static inline enum err run_share(struct write *write, struct job *job)
{
	const struct sharing *sharing = CONTAINER_OF(job, struct sharing, job);
	const struct acl_entry entry = { ACL_ANYONE, false, sharing->rights };
	struct read *read = write_read(write);
	struct arena arena = { 0 };
	struct mailbox *mailbox = arena_alloc(&arena, sizeof(*mailbox));
	struct account account = { 0 };
	char login[60], name[60];
	enum err err;
	snprintf(login, sizeof(login), "%s@example.org", sharing->owner);
	err = account_find(read, slice_cstr(login), &arena, &account);
	if (err == ERR_NOT_FOUND)
		err = account_add(write, slice_cstr(sharing->owner), SLICE("example.org"),
				  SLICE("x"), &account.account_id);
	for (unsigned i = 0; i < sharing->count && err == ERR_OK; i++) {
		uint64_t mailbox_id;
		snprintf(name, sizeof(name), sharing->count > 1 ? "%s-%04u" : "%s",
			 sharing->mailbox, i);
		err = mailbox_create(write, account.account_id, slice_cstr(name), USE_NONE,
				     &mailbox_id);
		if (err == ERR_OK)
			err = acl_change(write, mailbox_id, ACL_SET, &entry);
	}
	if (sharing->count == 0 && err == ERR_OK)
		err = mailbox_find(read, account.account_id, slice_cstr(sharing->mailbox), &arena,
				   mailbox);
	if (sharing->count == 0 && err == ERR_OK)
		err = acl_change(write, mailbox->mailbox_id, ACL_SET, &entry);
	arena_fini(&arena);
	return err;
}

static inline struct sharing sharing_of(const char *owner, const char *mailbox, unsigned count,
					unsigned rights)
{
	return (struct sharing){ { .run = run_share }, owner, mailbox, count, rights };
}

static inline void share(const char *owner, const char *mailbox, unsigned count, unsigned rights)
{
	struct sharing sharing = sharing_of(owner, mailbox, count, rights);
	assert_int_equal(store_write_now(world.back.store, &sharing.job), ERR_OK);
}

enum { READABLE = RIGHT_LOOKUP | RIGHT_READ };
