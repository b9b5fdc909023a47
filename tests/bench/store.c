/* tests/bench/store.c - what the store costs without the rest of the server: filing by batches,
 * scanning, large changes, a message that streams. `bench-store FOLDER [MESSAGES [SIZE [BATCH]]]`
 * makes a store in FOLDER, which must not have one; size 0 is the realistic mix.
 * `bench-store FOLDER churn [MESSAGES [TURNOVERS]]`: what the file comes to when the mail in it is
 * replaced, a fiftieth at a time, chosen at random, and when it is compacted after that. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "storage/account.h"
#include "storage/compact.h"
#include "storage/dictionary.h"
#include "storage/garbage_priv.h"
#include "storage/message.h"
#include "storage/store_priv.h"
#include "tests/bench/gen.h"

enum { MAILBOXES = 1000, BATCH_MAX = 10000 };

static double clock_s(clockid_t id)
{
	struct timespec now;
	clock_gettime(id, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}
static double cpu_s(void)
{
	return clock_s(CLOCK_PROCESS_CPUTIME_ID);
}
static double wall_s(void)
{
	return clock_s(CLOCK_MONOTONIC);
}

static void check(enum err err)
{
	if (err != ERR_OK) {
		fprintf(stderr, "bench-store: %s\n", err_word(err));
		exit(1);
	}
}

static uint64_t mailboxes[MAILBOXES];
static struct intake *intakes[BATCH_MAX];
static size_t batch_first, batch_count;

static enum err run_setup(struct write *write, struct job *job)
{
	uint32_t account_id;
	check(domain_add(write, SLICE("example.org")));
	check(account_add(write, SLICE("a"), SLICE("example.org"), SLICE_NONE, &account_id));
	for (size_t i = 0; i < MAILBOXES; i++) {
		char name[32];
		snprintf(name, sizeof(name), "m%zu", i);
		check(mailbox_create(write, account_id, slice_cstr(name), USE_NONE, &mailboxes[i]));
	}
	return ERR_OK;
}

static enum err run_batch(struct write *write, struct job *job)
{
	for (size_t i = 0; i < batch_count; i++) {
		struct message_entry entry = { .size_octets = intake_size_octets(intakes[i]) };
		uint32_t uid;
		check(intake_commit(write, intakes[i], &entry.blob_id));
		size_t at = (batch_first + i) * 2654435761u % MAILBOXES;
		check(message_append(write, mailboxes[at], &entry, NULL, 0, &uid));
	}
	return ERR_OK;
}

static enum err run_fill(struct write *write, struct job *job)
{
	struct message_entry entry = { .size_octets = intake_size_octets(intakes[0]) };
	uint32_t uid;
	check(intake_commit(write, intakes[0], &entry.blob_id));
	for (size_t i = 0; i < 100000; i++)
		check(message_append(write, mailboxes[0], &entry, NULL, 0, &uid));
	return ERR_OK;
}

static enum err run_flags(struct write *write, struct job *job)
{
	struct ranges uids = { 0 };
	uint64_t modseq;
	struct store_flags change = { .change = FLAGS_ADD, .flags = FLAG_SEEN };
	ranges_add(&uids, 20001, 30000);
	enum err err = message_store(write, mailboxes[0], &uids, &change, NULL, &modseq);
	ranges_free(&uids);
	return err;
}

static bool copy_moves;
static enum err run_copy(struct write *write, struct job *job)
{
	struct ranges uids = { 0 }, from = { 0 }, to = { 0 };
	ranges_add(&uids, 20001, 30000);
	enum err err =
		message_copy(write, mailboxes[0], &uids, mailboxes[1], copy_moves, &from, &to);
	ranges_free(&uids);
	ranges_free(&from);
	ranges_free(&to);
	return err;
}

static enum err run_expunge(struct write *write, struct job *job)
{
	struct ranges uids = { 0 }, gone = { 0 };
	ranges_add(&uids, 40001, 50000);
	enum err err = message_expunge(write, mailboxes[0], &uids, false, &gone);
	ranges_free(&uids);
	ranges_free(&gone);
	return err;
}

static void timed(struct store *store, const char *name,
		  enum err (*run)(struct write *, struct job *))
{
	struct job job = { .run = run };
	double cpu = cpu_s(), wall = wall_s();
	check(store_write_now(store, &job));
	printf("%-28s %7.2f ms CPU %7.2f ms\n", name, (cpu_s() - cpu) * 1e3,
	       (wall_s() - wall) * 1e3);
}

static struct intake *take(struct store *store, size_t id, size_t size)
{
	static buf text;
	text.n = 0;
	gen_msg(&text, id, size, "a@example.org");
	struct intake *intake = intake_new(store, NULL, NULL, NULL);
	intake_feed(intake, slice_of(text.p, text.n));
	return intake;
}

static long rss_kb(void)
{
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_maxrss;
}

/* ---- churn ---- */

static struct ranges churn_uids;

static enum err run_replace(struct write *write, struct job *job)
{
	struct ranges gone = { 0 };
	check(message_expunge(write, mailboxes[0], &churn_uids, false, &gone));
	ranges_free(&gone);
	return ERR_OK;
}

static enum err run_append(struct write *write, struct job *job)
{
	for (size_t i = 0; i < batch_count; i++) {
		struct message_entry entry = { .size_octets = intake_size_octets(intakes[i]) };
		uint32_t uid;
		check(intake_commit(write, intakes[i], &entry.blob_id));
		check(message_append(write, mailboxes[0], &entry, NULL, 0, &uid));
	}
	return ERR_OK;
}

static void append_mix(struct store *store, size_t *next_id, size_t count)
{
	enum { BATCH = 20 };
	for (size_t done = 0; done < count; done += batch_count) {
		struct job job = { .run = run_append };
		batch_count = count - done < BATCH ? count - done : BATCH;
		for (size_t i = 0; i < batch_count; i++) {
			intakes[i] = take(store, ++*next_id, 0);
			check(intake_finish(intakes[i]));
		}
		check(store_write_now(store, &job));
		for (size_t i = 0; i < batch_count; i++)
			intake_free(&intakes[i]);
	}
}

static double file_ratio(struct store *store, const char *path)
{
	struct arena arena = { 0 };
	struct mailbox mailbox;
	struct stat status;
	struct read *read = read_begin(store);
	check(mailbox_get(read, mailboxes[0], &arena, &mailbox));
	read_end(&read);
	arena_fini(&arena);
	stat(path, &status);
	return (double)status.st_blocks * 512 / (double)mailbox.size_octets;
}

static void on_phase(void *user, enum compact_phase phase, uint64_t total)
{
}
static void on_progress(void *user, uint64_t done)
{
}
static bool on_wait(void *user)
{
	return true;
}

static void churn(struct store *store, const char *path, size_t messages, size_t turnovers)
{
	enum { PARTS = 50 };
	size_t next_id = 0;
	uint64_t state = 7;
	struct garbage_walk walk = { 0 };
	store->garbage_delay_seconds = 0;
	append_mix(store, &next_id, messages);
	printf("churn 0 %.3f octet/octet\n", file_ratio(store, path));
	for (size_t round = 1; round <= turnovers * PARTS; round++) {
		struct job job = { .run = run_replace };
		struct ranges uids = { 0 };
		uint64_t wait_ms = 0;
		struct read *read = read_begin(store);
		message_uids(read, mailboxes[0], 1, &uids);
		read_end(&read);
		ranges_clear(&churn_uids);
		for (size_t i = 0; i < messages / PARTS; i++) {
			uint32_t uid = ranges_at_rank(
				&uids, (uint32_t)(gen_rand(&state) % ranges_total(&uids)) + 1);
			ranges_remove(&uids, uid, uid);
			ranges_add(&churn_uids, uid, uid);
		}
		ranges_free(&uids);
		check(store_write_now(store, &job));
		while (wait_ms == 0)
			check(garbage_step(store, &walk, &wait_ms));
		append_mix(store, &next_id, messages / PARTS);
		if (round % PARTS == 0)
			printf("churn %zu %.3f octet/octet\n", round / PARTS,
			       file_ratio(store, path));
		fflush(stdout);
	}
	ranges_free(&churn_uids);
	static const struct compact_watcher watcher = { on_phase, on_progress, on_wait, NULL };
	struct compact_result result;
	double cpu = cpu_s(), wall = wall_s();
	check(compact_run(store, &watcher, &result));
	printf("churn compact %.3f octet/octet %.2f s CPU %.2f s, %.2f octets written for each\n",
	       file_ratio(store, path), cpu_s() - cpu, wall_s() - wall,
	       (double)result.rewritten_octets / (double)result.after_octets);
}

int main(int argc, char **argv)
{
	struct store *store;
	const char *why;
	size_t count = argc > 2 ? strtoul(argv[2], NULL, 10) : 20000;
	size_t size = argc > 3 ? strtoul(argv[3], NULL, 10) : 4096;
	size_t batch = argc > 4 ? strtoul(argv[4], NULL, 10) : 20;
	bool is_churn = argc > 2 && strcmp(argv[2], "churn") == 0;
	if (argc < 2 || batch > BATCH_MAX || batch == 0) {
		fprintf(stderr, "usage: bench-store FOLDER [MESSAGES [SIZE [BATCH]]]\n"
				"       bench-store FOLDER churn [MESSAGES [TURNOVERS]]\n");
		return 2;
	}
	if (store_open(argv[1], STORE_CREATE, &store, &why) != ERR_OK) {
		fprintf(stderr, "bench-store: %s\n", why);
		return 1;
	}
	store_start_dictionaries(store);
	gen_init(1);
	gen_prepare(0);
	timed(store, "1,000 mailboxes", run_setup);

	char path[512];
	snprintf(path, sizeof(path), "%s/store/data.mdb", argv[1]);
	if (is_churn) {
		churn(store, path, argc > 3 ? strtoul(argv[3], NULL, 10) : 100000,
		      argc > 4 ? strtoul(argv[4], NULL, 10) : 6);
		store_close(&store);
		return 0;
	}

	double intake_cpu = 0, write_cpu = 0, wall = wall_s();
	uint64_t octets = 0;
	struct stat status;
	for (size_t done = 0; done < count; done += batch_count) {
		batch_first = done;
		batch_count = batch < count - done ? batch : count - done;
		static buf texts[BATCH_MAX];
		for (size_t i = 0; i < batch_count; i++) {
			texts[i].n = 0;
			gen_msg(&texts[i], done + i, size, "a@example.org");
		}
		double cpu = cpu_s();
		for (size_t i = 0; i < batch_count; i++) {
			octets += texts[i].n;
			intakes[i] = intake_new(store, NULL, NULL, NULL);
			intake_feed(intakes[i], slice_of(texts[i].p, texts[i].n));
			check(intake_finish(intakes[i]));
		}
		intake_cpu += cpu_s() - cpu;
		cpu = cpu_s();
		struct job job = { .run = run_batch };
		check(store_write_now(store, &job));
		for (size_t i = 0; i < batch_count; i++)
			intake_free(&intakes[i]);
		write_cpu += cpu_s() - cpu;
	}
	wall = wall_s() - wall;
	stat(path, &status);
	printf("%zu messages, %zu to a commit: %.1f us CPU to take in, %.1f us to write, %.0f/s, "
	       "%.2f octets of file per octet of mail\n",
	       count, batch, intake_cpu / (double)count * 1e6, write_cpu / (double)count * 1e6,
	       (double)count / wall, (double)status.st_size / (double)octets);

	intakes[0] = take(store, 1, 4096);
	check(intake_finish(intakes[0]));
	timed(store, "100,000 entries filed", run_fill);
	intake_free(&intakes[0]);
	double cpu = cpu_s();
	struct read *read = read_begin(store);
	struct ranges uids = { 0 };
	message_uids(read, mailboxes[0], 1, &uids);
	printf("%-28s %7.2f ms CPU\n", "100,000 UIDs", (cpu_s() - cpu) * 1e3);
	cpu = cpu_s();
	struct message_cursor *cursor = message_cursor_open(read, mailboxes[0], 1);
	struct message_entry entry;
	uint64_t sum = 0;
	while (message_cursor_next(cursor, &entry))
		sum += entry.size_octets;
	message_cursor_close(&cursor);
	printf("%-28s %7.2f ms CPU (%llu)\n", "100,000 entries", (cpu_s() - cpu) * 1e3,
	       (unsigned long long)sum);
	ranges_free(&uids);
	read_end(&read);
	timed(store, "STORE of 10,000", run_flags);
	timed(store, "COPY of 10,000", run_copy);
	copy_moves = true;
	timed(store, "MOVE of 10,000", run_copy);
	timed(store, "EXPUNGE of 10,000", run_expunge);

	static uint8_t piece[65536];
	long before_kb = rss_kb();
	cpu = cpu_s();
	struct intake *large = intake_new(store, NULL, NULL, NULL);
	uint64_t state = 1;
	intake_feed(large, SLICE("Subject: large\r\n\r\n"));
	for (size_t fed = 0; fed < 50u << 20; fed += sizeof(piece)) {
		for (size_t i = 0; i < sizeof(piece); i++)
			piece[i] = i % 78 == 76	  ? '\r'
				   : i % 78 == 77 ? '\n'
						  : (uint8_t)(32 + (gen_rand(&state) >> 40) % 64);
		intake_feed(large, slice_of(piece, sizeof(piece)));
	}
	check(intake_finish(large));
	printf("%-28s %7.2f ms CPU, %ld KB more (the map's pages count too)\n", "50 MB streamed",
	       (cpu_s() - cpu) * 1e3, rss_kb() - before_kb);
	intake_free(&large);
	store_close(&store);
	return 0;
}
