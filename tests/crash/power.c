/* tests/crash/power.c - the power fails: at every write that the store made, the file is rebuilt
 * as a disk may have it then, and opened.
 *
 *   crash-power [--states N] [--jobs N] [--seed N] [--lie] [--folder DIR]
 *
 * A load (load.h) runs once, on a file whose writes and syncs are recorded (record.h). A disk that
 * loses its power has everything that was written before the last sync, and of what came later
 * any part: some writes and not others, in any order, each perhaps torn, of 512 octets at least,
 * which a disk writes whole or not. The file may also have grown before what was to stand there
 * was written: that reads as zeros. Of each such state the same is asked: it opens, the walk over
 * it finds nothing wrong (walk.h), it is exactly what some number of jobs had made of it and at
 * least all those that were acknowledged (load.h), and it can be written to again.
 *
 * --lie: the disk forgets its promise, and its syncs are nothing. Then mail is lost, and this
 * must find it; that shows that it can. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/heap.h"
#include "storage/garbage_priv.h"
#include "tests/crash/load.h"
#include "tests/crash/record.h"
#include "tests/crash/walk.h"
#include "tests/dice.h"
#include "tests/folder.h"

enum { SECTOR_OCTETS = 512, PENDING_MAX = 4096, LIE_EVENTS = 120, SHOW_PROBLEMS = 5 };

struct options {
	unsigned states, jobs, seed;
	bool lie;
	const char *folder;
};

struct power {
	struct options options;
	char dir[256]; /* the state directory, of the load and then of each state */
	char data[512], lock[512];
	struct load load;
	struct record record;
	uint8_t *disk; /* what is on it for certain */
	size_t disk_len, disk_cap;
	const struct event *pending[PENDING_MAX]; /* what perhaps is */
	unsigned pending_count;
	unsigned acknowledged;
	uint8_t *image; /* a state */
	size_t image_len;
	uint32_t dice;
	unsigned tried, bad, written_to;
	uint64_t points;
};

/* ---- the disk ---- */

static void disk_apply(struct power *power, const struct event *event)
{
	memcpy(power->disk + event->at, event->octets, event->len);
	if (event->at + event->len > power->disk_len)
		power->disk_len = event->at + event->len;
}

static void pending_settle(struct power *power, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		disk_apply(power, power->pending[i]);
	power->pending_count -= count;
	memmove(power->pending, power->pending + count,
		power->pending_count * sizeof(power->pending[0]));
}

static void image_apply(struct power *power, uint64_t at, const uint8_t *octets, size_t len)
{
	memcpy(power->image + at, octets, len);
	if (at + len > power->image_len)
		power->image_len = at + len;
}

/* Each sector of the write for itself. */
static void image_tear(struct power *power, const struct event *event, uint32_t percent)
{
	for (uint64_t at = event->at; at < event->at + event->len;) {
		uint64_t end = (at / SECTOR_OCTETS + 1) * SECTOR_OCTETS;
		if (end > event->at + event->len)
			end = event->at + event->len;
		if (dice_roll(&power->dice, 100) < percent)
			image_apply(power, at, event->octets + (at - event->at), end - at);
		at = end;
	}
}

/* `variant` 0: nothing of what was not synced; 1: all of it; then at random. */
static void image_make(struct power *power, unsigned variant)
{
	static const uint8_t percents[] = { 50, 10, 90, 97, 3, 75 };
	memcpy(power->image, power->disk, power->disk_len);
	memset(power->image + power->disk_len, 0, power->disk_cap - power->disk_len);
	power->image_len = power->disk_len;
	uint32_t percent = percents[dice_roll(&power->dice, sizeof(percents))];
	bool tears = dice_roll(&power->dice, 2), grows = dice_roll(&power->dice, 2);
	/* One write alone lost, or alone there, is the likeliest to be overlooked. */
	unsigned only =
		variant % 4 < 2 ? dice_roll(&power->dice, power->pending_count + 1) : PENDING_MAX;
	for (unsigned i = 0; i < power->pending_count && variant != 0; i++) {
		const struct event *event = power->pending[i];
		bool keep = variant == 1	 ? true
			    : only < PENDING_MAX ? (i == only) == (variant % 4 == 0)
						 : dice_roll(&power->dice, 100) < percent;
		if (keep && variant > 1 && tears)
			image_tear(power, event, percent);
		else if (keep)
			image_apply(power, event->at, event->octets, event->len);
		if (variant > 1 && grows && event->at + event->len > power->image_len)
			power->image_len = event->at + event->len;
	}
}

static void image_write(struct power *power)
{
	int fd = open(power->data, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert(fd >= 0);
	for (size_t at = 0; at < power->image_len;) {
		ssize_t written = write(fd, power->image + at, power->image_len - at);
		assert(written > 0);
		at += (size_t)written;
	}
	close(fd);
	/* Who held it is gone, and so is the table of readers, or a useless one is left. */
	if (dice_roll(&power->dice, 4))
		unlink(power->lock);
}

/* ---- what is asked of a state ---- */

static enum err touch_run(struct write *write, struct job *job)
{
	uint64_t mailbox_id;
	enum err err = mailbox_create(write, 1, SLICE("after/the dark"), USE_NONE, &mailbox_id);
	return err == ERR_OK ? mailbox_delete(write, 1, SLICE("after/the dark")) : err;
}

/* The garbage goes, a mailbox comes and goes, and all is still well. */
static void use_again(struct power *power, struct store *store, struct buffer *problems)
{
	struct garbage_walk walk = { 0 };
	struct walk_totals totals;
	struct job job = { .run = touch_run };
	uint64_t wait_ms = 0;
	enum err err = ERR_OK;
	store->garbage_delay_seconds = 0;
	for (unsigned i = 0; i < 1000 && wait_ms <= 1000 && err == ERR_OK; i++)
		err = garbage_step(store, &walk, &wait_ms);
	if (err == ERR_OK)
		err = store_write_now(store, &job);
	if (err != ERR_OK)
		buffer_add_format(problems, "cannot be written to: %s\n", err_word(err));
	store_walk(store, problems, &totals);
	if (totals.pending != 0)
		buffer_add_format(problems, "%llu unfinished messages were not swept\n",
				  (unsigned long long)totals.pending);
	power->written_to++;
}

static void check(struct power *power, size_t event, unsigned variant)
{
	struct store *store;
	struct walk_totals totals;
	struct buffer problems = { 0 };
	const char *why;
	image_write(power);
	if (store_open(power->dir, STORE_SERVE, &store, &why) != ERR_OK) {
		buffer_add_format(&problems, "does not open: %s\n", why);
	} else {
		store_walk(store, &problems, &totals);
		load_check(&power->load, store, power->acknowledged, &problems);
		if (problems.len == 0 && power->tried % 4 == 0)
			use_again(power, store, &problems);
		store_close(&store);
	}
	power->tried++;
	if (problems.len > 0 && power->bad++ < SHOW_PROBLEMS)
		printf("after event %zu, variant %u, %u writes not synced, %u jobs acknowledged:\n"
		       "%.*s",
		       event, variant, power->pending_count, power->acknowledged, (int)problems.len,
		       (char *)problems.data);
	fflush(stdout);
	buffer_free(&problems);
}

/* Where the disk lies a state may be one that no honest disk leaves behind, and LMDB fall over
 * it: each is looked at by a process of its own. */
static void check_apart(struct power *power, size_t event, unsigned variant)
{
	int status;
	pid_t child = fork();
	assert(child >= 0);
	if (child == 0) {
		if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr))
			_exit(2);
		check(power, event, variant);
		_exit(power->bad > 0);
	}
	pid_t ended = waitpid(child, &status, 0);
	assert(ended == child);
	power->tried++;
	power->bad += status != 0;
}

/* ---- all points in time ---- */

static void look(struct power *power, size_t event, uint64_t points_in_all)
{
	power->points++;
	/* As many as are due by now: so the last one makes them all. */
	uint64_t due = power->options.states * power->points / points_in_all;
	for (unsigned variant = 0; power->tried < due; variant++) {
		if (power->pending_count == 0 && variant > 0) {
			break; /* there is only one: later points make up for it */
		}
		unsigned kind = variant == 0 ? dice_roll(&power->dice, 40)
					     : 2 + dice_roll(&power->dice, 1000);
		image_make(power, kind);
		if (power->options.lie)
			check_apart(power, event, kind);
		else
			check(power, event, kind);
	}
}

static uint64_t count_points(const struct record *record)
{
	uint64_t points = 0;
	for (size_t i = 0; i < record->count; i++)
		points += record->events[i].kind != EVENT_ACK;
	return points;
}

static void replay(struct power *power)
{
	const struct record *record = &power->record;
	uint64_t points = count_points(record);
	for (size_t i = 0; i < record->count; i++) {
		const struct event *event = &record->events[i];
		switch (event->kind) {
		case EVENT_ACK:
			assert(event->number > power->acknowledged);
			power->acknowledged = event->number;
			break;
		case EVENT_WRITE:
		case EVENT_WRITE_SYNCED:
			assert(power->pending_count < PENDING_MAX);
			power->pending[power->pending_count++] = event;
			look(power, i, points);
			if (event->kind == EVENT_WRITE_SYNCED) {
				disk_apply(power, event);
				power->pending_count--;
			}
			break;
		case EVENT_SYNC:
			if (!power->options.lie)
				pending_settle(power, power->pending_count);
			else if (power->pending_count > LIE_EVENTS)
				pending_settle(power, power->pending_count - LIE_EVENTS);
			look(power, i, points);
			break;
		}
	}
}

/* ---- beginning and end ---- */

static void disk_make(struct power *power)
{
	if (!power->options.folder) {
		folder_make(power->dir, "power");
	} else {
		snprintf(power->dir, sizeof(power->dir), "%s/bode-power-XXXXXX",
			 power->options.folder);
		if (!mkdtemp(power->dir)) {
			perror(power->dir);
			exit(2);
		}
	}
	snprintf(power->data, sizeof(power->data), "%s/store/data.mdb", power->dir);
	snprintf(power->lock, sizeof(power->lock), "%s/store/lock.mdb", power->dir);
}

static void record_load(struct power *power)
{
	load_prepare(power->dir, &power->load);
	record_begin(power->data);
	load_run(power->dir, &power->load, power->options.jobs, power->options.seed);
	if (!record_end(power->data, &power->record)) {
		printf("the record of writes does not lead to what is in the file\n");
		exit(2);
	}
	const struct record *record = &power->record;
	power->disk_cap = record->base_len;
	for (size_t i = 0; i < record->count; i++)
		if (record->events[i].at + record->events[i].len > power->disk_cap)
			power->disk_cap = record->events[i].at + record->events[i].len;
	power->disk = heap_alloc(power->disk_cap);
	power->image = heap_alloc(power->disk_cap);
	memcpy(power->disk, record->base, record->base_len);
	power->disk_len = record->base_len;
}

static bool options_parse(int argc, char **argv, struct options *options_out)
{
	static const struct option known[] = {
		{ "states", required_argument, NULL, 'n' },
		{ "jobs", required_argument, NULL, 'j' },
		{ "seed", required_argument, NULL, 's' },
		{ "lie", no_argument, NULL, 'l' },
		{ "folder", required_argument, NULL, 'f' },
		{ NULL, 0, NULL, 0 },
	};
	int option;
	*options_out = (struct options){ .states = 1000, .jobs = 300, .seed = 1 };
	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1)
		switch (option) {
		case 'n': options_out->states = (unsigned)atoi(optarg); break;
		case 'j': options_out->jobs = (unsigned)atoi(optarg); break;
		case 's': options_out->seed = (unsigned)atoi(optarg); break;
		case 'l': options_out->lie = true; break;
		case 'f': options_out->folder = optarg; break;
		default: return false;
		}
	return optind == argc && options_out->states > 0 && options_out->jobs > 0;
}

int main(int argc, char **argv)
{
	struct power power = { .disk = NULL };
	if (!options_parse(argc, argv, &power.options)) {
		fprintf(stderr, "usage: crash-power [--states N] [--jobs N] [--seed N] [--lie] "
				"[--folder DIR]\n");
		return 2;
	}
	power.dice = power.options.seed * 7919;
	log_set_level(LOG_ERROR);
	disk_make(&power);
	record_load(&power);
	replay(&power);
	printf("%u jobs, %zu events, %zu octets of file; %u states (%u of them written to again), "
	       "%u bad\n",
	       power.load.jobs, power.record.count, power.disk_cap, power.tried, power.written_to,
	       power.bad);
	folder_remove(power.dir);
	load_free(&power.load);
	record_free(&power.record);
	free(power.disk);
	free(power.image);
	return power.bad > 0;
}
