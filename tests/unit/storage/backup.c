/* tests/unit/storage/backup.c - what is backed up comes back, however the run ended, whatever
 * happened to the folder, and whatever else the store has been through. */
#include "tests/unit/storage/backup_scene.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/random.h"
#include "storage/garbage_priv.h"

/* ---- the way there and back ---- */

static void comes_back(void **state)
{
	struct scene scene;
	struct backup_note note;
	scene_begin(&scene);
	struct bed *bed = &scene.bed;
	assert_false(backup_last_proven(bed->store, &note));
	append(bed, 1, 100);
	append(bed, 2, 70000);
	append(bed, 3, 3 << 20);
	struct backup_counts counts = backup(&scene);
	assert_int_equal(counts.messages, 3);
	assert_int_equal(counts.bodies, 3);
	assert_int_equal(counts.users, 1);
	assert_int_equal(counts.octets_new, counts.octets);
	assert_true(backup_last_proven(bed->store, &note));
	assert_int_equal(note.messages, 3);
	assert_string_equal(note.path, scene.folder);
	uint64_t first = bed_sum(bed);
	assert_int_equal(restored_sum(&scene, false), first);

	/* What is there is not copied again. */
	append(bed, 4, 5000);
	counts = backup(&scene);
	assert_in_range(counts.octets_new, 1, 10000);
	assert_true(counts.octets > 1 << 20);
	assert_int_equal(restored_sum(&scene, false), bed_sum(bed));
	assert_int_equal(restored_sum(&scene, true), first);
	assert_int_equal(backup(&scene).octets_new, 0);
	scene_end(&scene);
}

static void goes_on_after_a_restore(void **state)
{
	struct scene scene;
	struct backup_counts counts = { 0 };
	struct backup_note note;
	const char *why;
	char moved[80];
	scene_begin(&scene);
	append(&scene.bed, 1, 200000);
	backup(&scene);
	store_close(&scene.bed.store);
	snprintf(moved, sizeof(moved), "%s/store", scene.bed.dir);
	assert_int_equal(try_restore(scene.folder, scene.bed.dir, false, false, &counts, &why),
			 ERR_EXISTS);
	folder_remove(moved);
	assert_int_equal(try_restore(scene.folder, scene.bed.dir, false, false, &counts, &why),
			 ERR_OK);
	bed_open(&scene.bed, STORE_ADMIN);
	assert_true(backup_last_proven(scene.bed.store, &note));
	append(&scene.bed, 2, 3000);
	assert_in_range(backup(&scene).octets_new, 1, 5000);
	assert_int_equal(restored_sum(&scene, false), bed_sum(&scene.bed));
	scene_end(&scene);
}

struct numbers {
	uint32_t uidnext, uidvalidity;
	uint64_t modseq, blob_id; /* of the last message */
};

static void numbers_get(struct bed *bed, struct numbers *out)
{
	struct mailbox mailbox;
	struct arena arena = { 0 };
	struct read *read = read_begin(bed->store);
	assert_int_equal(mailbox_find(read, bed->account_id, SLICE("INBOX"), &arena, &mailbox),
			 ERR_OK);
	out->uidnext = mailbox.uidnext;
	out->uidvalidity = mailbox.uidvalidity;
	out->modseq = mailbox.highest_modseq;
	assert_true(mailbox.pruned_modseq <= mailbox.highest_modseq);
	struct message_entry entry = { 0 };
	if (message_get(read, mailbox.mailbox_id, mailbox.uidnext - 1, &entry) == ERR_OK)
		out->blob_id = entry.blob_id;
	read_end(&read);
	arena_fini(&arena);
}

static enum err use_up_run(struct write *write, void *arg)
{
	return mailbox_raise_uidnext(write, ((struct bed *)arg)->inbox_id, MESSAGE_GIVEN_UID_MAX);
}

/* What clients saw after the backup was made is not given to other messages. */
static void numbers_are_not_given_again(void **state)
{
	struct scene scene;
	struct backup_counts counts = { 0 };
	struct numbers before = { 0 }, after = { 0 }, again = { 0 };
	const char *why;
	char moved[80];
	scene_begin(&scene);
	snprintf(moved, sizeof(moved), "%s/store", scene.bed.dir);
	append(&scene.bed, 1, 2000);
	for (int round = 0; round < 2; round++) {
		backup(&scene);
		append(&scene.bed, 2, 3000);
		numbers_get(&scene.bed, &before);
		store_close(&scene.bed.store);
		folder_remove(moved);
		if (try_restore(scene.folder, scene.bed.dir, false, false, &counts, &why) != ERR_OK)
			fail_msg("%s", why);
		bed_open(&scene.bed, STORE_ADMIN);
		numbers_get(&scene.bed, &after);
		assert_true(after.modseq > before.modseq);
		/* Where there are no UIDs left to leave out, they all mean something new. */
		if (round == 0) {
			assert_true(after.uidnext > before.uidnext);
			assert_int_equal(after.uidvalidity, before.uidvalidity);
			assert_int_equal(bed_write(&scene.bed, use_up_run, &scene.bed), ERR_OK);
		} else {
			assert_true(after.uidvalidity > before.uidvalidity);
		}
		append(&scene.bed, 3, 1000);
		numbers_get(&scene.bed, &again);
		assert_true(again.blob_id >
			    before.blob_id); /* an EMAILID is another message's, too */
	}
	struct ranges changed = { 0 }, vanished = { 0 };
	struct read *read = read_begin(scene.bed.store);
	assert_int_equal(
		message_changes(read, scene.bed.inbox_id, before.modseq, &changed, &vanished),
		ERR_GONE);
	read_end(&read);
	ranges_free(&changed);
	ranges_free(&vanished);
	scene_end(&scene);
}

static void copy_file(const char *from, const char *to)
{
	char command[256];
	snprintf(command, sizeof(command), "cp %s %s", from, to);
	assert_int_equal(system(command), 0);
}

/* Two messages of which everything but the text is equal, under one number: the store was set
 * back in between, as with a snapshot of a machine. */
static void a_store_that_was_set_back(void **state)
{
	struct scene scene;
	struct message_entry entry;
	char live[128], kept[128];
	struct buffer text = { 0 }, body = { 0 };
	scene_begin(&scene);
	struct bed *bed = &scene.bed;
	append(bed, 1, 3000);
	backup(&scene);
	store_close(&bed->store);
	snprintf(live, sizeof(live), "%s/store/data.mdb", bed->dir);
	snprintf(kept, sizeof(kept), "%s/kept", bed->dir);
	copy_file(live, kept);
	bed_open(bed, STORE_ADMIN);
	struct bed_append job = { .mailbox_id = bed->inbox_id,
				  .text = SLICE("Subject: x\r\n\r\nthe one\r\n") };
	assert_int_equal(bed_append(bed, &job), ERR_OK);
	backup(&scene);
	store_close(&bed->store);
	copy_file(kept, live);
	bed_open(bed, STORE_ADMIN);
	job.text = SLICE("Subject: x\r\n\r\ntwo two\r\n");
	assert_int_equal(bed_append(bed, &job), ERR_OK);
	struct backup_counts counts = backup(&scene);
	assert_in_range(counts.octets_new, 1, 1000); /* compared, and only this one copied */
	assert_int_equal(restored_sum(&scene, false), bed_sum(bed));
	struct read *read = read_begin(bed->store);
	assert_int_equal(message_get(read, bed->inbox_id, job.uid, &entry), ERR_OK);
	assert_int_equal(blob_read(read, entry.blob_id, 0, 1000, &body), ERR_OK);
	assert_slice(buffer_slice(&body), "Subject: x\r\n\r\ntwo two\r\n");
	read_end(&read);
	buffer_free(&text);
	buffer_free(&body);
	scene_end(&scene);
}

static void what_is_not_needed_goes(void **state)
{
	struct scene scene;
	struct garbage_walk walk = { 0 };
	uint64_t wait_ms = 0;
	unsigned files_before, files_after;
	scene_begin(&scene);
	struct bed *bed = &scene.bed;
	bed->store->garbage_delay_seconds = -1;
	bed->store->undelete_seconds = 0;
	for (unsigned i = 0; i < 10; i++)
		append(bed, i, 200000);
	backup(&scene);
	uint64_t before = folder_octets(scene.folder, &files_before);
	assert_int_equal(bed_expunge(bed, 1, 8), ERR_OK);
	while (wait_ms <= 1000)
		assert_int_equal(garbage_step(bed->store, &walk, &wait_ms), ERR_OK);
	/* The first copies anew what was left of the old segment, which the previous state still
	 * needs; the second lets it go. */
	assert_int_equal(backup(&scene).bodies, 2);
	struct backup_counts counts = backup(&scene);
	assert_true(counts.octets_new > 0);
	backup(&scene);
	assert_true(folder_octets(scene.folder, &files_after) < before / 2);
	assert_int_equal(restored_sum(&scene, false), bed_sum(bed));
	assert_int_equal(restored_sum(&scene, true), bed_sum(bed));
	scene_end(&scene);
}

static void many_small_runs_make_few_files(void **state)
{
	struct scene scene;
	unsigned count;
	scene_begin(&scene);
	for (unsigned i = 0; i < 70; i++) {
		append(&scene.bed, i, 300);
		backup(&scene);
	}
	folder_octets(scene.folder, &count);
	assert_in_range(count, 5, 75);
	assert_int_equal(restored_sum(&scene, false), bed_sum(&scene.bed));
	scene_end(&scene);
}

/* ---- whose folder it is ---- */

static void write_file(const char *folder, const char *name, const char *text)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fchmod(fileno(file), 0600);
	fputs(text, file);
	fclose(file);
}

static void foreign_folders_are_left_alone(void **state)
{
	struct scene scene, other;
	struct backup_counts counts = { 0 };
	const char *why;
	unsigned count;
	scene_begin(&scene);
	scene_begin(&other);
	write_file(scene.folder, "state-1", "mine");
	assert_int_equal(try_backup(&scene, 0, &counts, &why), ERR_BAD_INPUT);
	assert_non_null(strstr(why, "no backup of Bode"));
	assert_int_equal(try_restore(scene.folder, "/nowhere", false, false, &counts, &why),
			 ERR_BAD_INPUT);
	assert_int_equal(folder_octets(scene.folder, &count), 4);
	assert_int_equal(count, 1);

	write_file(scene.folder, "bode-backup", "Bode backup\nversion 9\nsomething new\n");
	assert_int_equal(try_backup(&scene, 0, &counts, &why), ERR_VERSION);
	assert_non_null(strstr(why, "newer Bode"));
	folder_octets(scene.folder, &count);
	assert_int_equal(count, 2);

	/* A new server with the old one's nightly job. */
	append(&other.bed, 1, 1000);
	backup(&other);
	char path[64];
	memcpy(path, scene.folder, sizeof(path));
	memcpy(scene.folder, other.folder, sizeof(path));
	struct bed *bed = &scene.bed;
	store_close(&bed->store);
	folder_remove(bed->dir);
	arena_fini(&bed->arena);
	clock_set_fake_unix_ms(1234567000);
	bed_begin(bed, STORE_CREATE);
	clock_set_fake_unix_ms(-1);
	assert_int_equal(try_backup(&scene, 0, &counts, &why), ERR_BAD_INPUT);
	assert_non_null(strstr(why, "another store"));
	assert_int_equal(restored_sum(&scene, false), bed_sum(&other.bed));
	memcpy(scene.folder, path, sizeof(path));
	scene_end(&scene);
	scene_end(&other);
}

static void one_at_a_time(void **state)
{
	struct scene scene;
	struct backup_folder *folder, *second;
	const char *why;
	scene_begin(&scene);
	int fd = open(scene.folder, O_RDONLY | O_DIRECTORY);
	assert_int_equal(backup_folder_open(fd, scene.folder, true, &folder, &why), ERR_OK);
	assert_int_equal(backup_folder_open(fd, scene.folder, true, &second, &why), ERR_BUSY);
	backup_folder_close(&folder);
	assert_int_equal(backup_folder_open(fd, scene.folder, true, &folder, &why), ERR_OK);
	backup_folder_close(&folder);
	close(fd);
	scene_end(&scene);
}

/* ---- ends before the end ---- */

/* A child backs up and is killed at some moment; the folder's state is then one that was there
 * when it began, or the one it made. */
static void killed_at_any_moment(void **state)
{
	enum { ROUNDS = 30 };
	struct scene scene;
	unsigned finished = 0;
	scene_begin(&scene);
	struct bed *bed = &scene.bed;
	append(bed, 1, 1000);
	backup(&scene);
	uint64_t older = bed_sum(bed);
	for (unsigned round = 0; round < ROUNDS; round++) {
		for (unsigned i = 0; i < 8; i++)
			append(bed, 100 * round + i, i * 20000);
		uint64_t now = bed_sum(bed);
		store_close(&bed->store);
		pid_t child = fork();
		assert_true(child >= 0);
		if (child == 0) {
			struct backup_counts counts = { 0 };
			const char *why;
			const char *opened = NULL;
			if (store_open(bed->dir, STORE_ADMIN, &bed->store, &opened) != ERR_OK)
				_exit(2);
			_exit(try_backup(&scene, 50000, &counts, &why) == ERR_OK ? 0 : 1);
		}
		usleep(random_u32() % 150000);
		kill(child, SIGKILL);
		int status;
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
		finished += !WIFSIGNALED(status);
		bed_open(bed, STORE_ADMIN);
		assert_int_equal(bed_sum(bed), now);
		uint64_t sum = restored_sum(&scene, false);
		if (sum != older)
			assert_int_equal(sum, now);
		older = sum;
	}
	print_message("# %u of %u runs finished before they were killed\n", finished, ROUNDS);
	backup(&scene);
	assert_int_equal(restored_sum(&scene, false), bed_sum(bed));
	scene_end(&scene);
}

/* What an interrupted run has copied is not copied again. */
static void goes_on_where_it_was(void **state)
{
	struct scene scene;
	struct backup_counts counts = { 0 };
	scene_begin(&scene);
	struct bed *bed = &scene.bed;
	for (unsigned i = 0; i < 10; i++)
		append(bed, i, 200000);
	store_close(&bed->store);
	pid_t child = fork();
	if (child == 0) {
		/* The proof's folder is a file: all is copied, nothing proven. */
		const char *why;
		if (store_open(bed->dir, STORE_ADMIN, &bed->store, &why) != ERR_OK)
			_exit(2);
		snprintf(scene.scratch + strlen(scene.scratch), 3, "/x");
		_exit(try_backup(&scene, 300000, &counts, &why) == ERR_OK ? 0 : 1);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	bed_open(bed, STORE_ADMIN);
	append(bed, 77, 1000);
	counts = backup(&scene);
	assert_in_range(counts.octets_new, 1, 3000);
	assert_int_equal(restored_sum(&scene, false), bed_sum(bed));
	scene_end(&scene);
}

static void a_full_disk(void **state)
{
	struct scene scene;
	scene_begin(&scene);
	struct bed *bed = &scene.bed;
	append(bed, 1, 1000);
	backup(&scene);
	uint64_t older = bed_sum(bed);
	for (unsigned i = 0; i < 10; i++)
		append(bed, i, 200000);
	store_close(&bed->store);
	for (rlim_t limit = 1000; limit < 3 << 20; limit = limit * 3 / 2) {
		pid_t child = fork();
		if (child == 0) {
			struct backup_counts counts = { 0 };
			const char *why;
			struct rlimit file = { limit, RLIM_INFINITY };
			signal(SIGXFSZ, SIG_IGN);
			log_set_level(LOG_NOTHING);
			if (store_open(bed->dir, STORE_ADMIN, &bed->store, &why) != ERR_OK)
				_exit(2);
			setrlimit(RLIMIT_FSIZE, &file);
			enum err err = try_backup(&scene, 0, &counts, &why);
			_exit(err == ERR_OK ? 0 : err == ERR_FULL ? 1 : 3);
		}
		int status;
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFEXITED(status));
		bed_open(bed, STORE_ADMIN);
		if (WEXITSTATUS(status) == 0)
			older = bed_sum(bed);
		else
			assert_int_equal(WEXITSTATUS(status), 1);
		assert_int_equal(restored_sum(&scene, false), older);
		store_close(&bed->store);
	}
	bed_open(bed, STORE_ADMIN);
	assert_int_equal(older, bed_sum(bed)); /* the last had room enough */
	scene_end(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comes_back),
		cmocka_unit_test(goes_on_after_a_restore),
		cmocka_unit_test(numbers_are_not_given_again),
		cmocka_unit_test(a_store_that_was_set_back),
		cmocka_unit_test(what_is_not_needed_goes),
		cmocka_unit_test(many_small_runs_make_few_files),
		cmocka_unit_test(foreign_folders_are_left_alone),
		cmocka_unit_test(one_at_a_time),
		cmocka_unit_test(killed_at_any_moment),
		cmocka_unit_test(goes_on_where_it_was),
		cmocka_unit_test(a_full_disk),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
