/* tests/crash/power.c - the power fails: at every write that the store made, its files are rebuilt
 * as a disk may have them then, and opened.
 *
 *   crash-power [--states N] [--jobs N] [--seed N] [--lie] [--folder DIR]
 *
 * A load (load.h) runs once, on a store whose writes and syncs, of data.mdb and of the redo log, are recorded
 * (record.h). What a disk may have of that when its power fails is disk.h's. Of each such state the same
 * is asked: it opens, the walk over it finds nothing wrong (walk.h), it is exactly what some number of jobs
 * had made of it and at least all those that were acknowledged (load.h), and it can be written to
 * again. What is done to a state by opening and closing it is in turn recorded for some, and the power fails in
 * that as well.
 *
 * --lie: the disk forgets its promise, and its syncs are nothing. Then mail is lost, and this
 * must find it; that shows that it can. */
#include <assert.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/heap.h"
#include "storage/garbage_priv.h"
#include "storage/lmdb_file_priv.h"
#include "storage/redo_priv.h"
#include "tests/crash/disk.h"
#include "tests/crash/load.h"
#include "tests/crash/record.h"
#include "tests/crash/walk.h"
#include "tests/dice.h"
#include "tests/folder.h"

enum {
	LIE_WRITES = 120,
	SHOW_PROBLEMS = 5,
	AGAIN_EVERY = 8,
	AGAIN_STATES = 3,
	PAGE_OCTETS = 4096,
	EPOCH_EVENTS = 8,
	META_EVENTS = 3,
	RARE_WEIGHT = 25
};

struct options {
	unsigned states, jobs, seed;
	bool lie;
	const char *folder;
};

struct power {
	struct options options;
	char dir[256]; /* the state directory, of the load and then of each state */
	char store[512], lock[512];
	struct load load;
	struct record record;
	struct disk disk;
	unsigned acknowledged;
	uint32_t dice;
	unsigned tried, bad, written_to, tried_again;
	uint64_t points;
};

static void state_make(struct power *power, struct disk *disk)
{
	disk_image(disk, &power->dice, power->store);
	/* Who held it is gone, and so is the table of readers, or a useless one is left. */
	if (dice_roll(&power->dice, 4))
		unlink(power->lock);
}

/* ---- which moments are looked at ---- */

/* Few writes lie between a new epoch of the redo log and what is next told by it or synced, or between a meta
 * page that has no record and its sync: they are looked at more often than others. */
struct weight {
	bool has_record;      /* since the last meta page */
	unsigned events_left; /* of such */
};

static bool is_meta(const struct event *event)
{
	return event->file == RECORDED_DATA && event->at < LMDB_META_PAGES * (uint64_t)PAGE_OCTETS;
}

static unsigned weigh(struct weight *weight, const struct event *event)
{
	if (event->kind == EVENT_ACK)
		return 0;
	if (event->kind == EVENT_WRITE && is_meta(event)) {
		if (!weight->has_record)
			weight->events_left = META_EVENTS;
		weight->has_record = false;
	} else if (event->kind == EVENT_WRITE && event->file == RECORDED_LOG) {
		weight->has_record = event->at >= REDO_HEADER_OCTETS;
		weight->events_left = weight->has_record ? weight->events_left : EPOCH_EVENTS;
	}
	if (weight->events_left == 0)
		return 1;
	weight->events_left--;
	return RARE_WEIGHT;
}

static uint64_t count_points(const struct record *record)
{
	struct weight weight = { 0 };
	uint64_t points = 0;
	for (size_t i = 0; i < record->count; i++)
		points += weigh(&weight, &record->events[i]);
	return points;
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

static void state_ask(struct power *power, bool uses_again, struct buffer *problems)
{
	struct store *store;
	struct walk_totals totals;
	const char *why;
	if (store_open(power->dir, STORE_SERVE, &store, &why) != ERR_OK) {
		buffer_add_format(problems, "does not open: %s\n", why);
		return;
	}
	store_walk(store, problems, &totals);
	load_check(&power->load, store, power->acknowledged, problems);
	if (problems->len == 0 && uses_again)
		use_again(power, store, problems);
	store_close(&store);
}

static void problems_show(struct power *power, const char *when, size_t event,
			  const struct disk *disk, struct buffer *problems)
{
	if (problems->len > 0 && power->bad++ < SHOW_PROBLEMS)
		printf("%s event %zu, state %u, %zu writes not synced, %u jobs acknowledged:\n%.*s",
		       when, event, power->tried, disk->pending_count, power->acknowledged,
		       (int)problems->len, (char *)problems->data);
	fflush(stdout);
	buffer_free(problems);
}

/* The power fails in what was done to a state, where that was anything. */
static void replay_again(struct power *power, const struct record *record)
{
	struct disk disk;
	struct weight weight = { 0 };
	uint64_t points = count_points(record), at[AGAIN_STATES], before = 0;
	if (points == 0)
		return;
	for (int i = 0; i < AGAIN_STATES; i++)
		at[i] = dice_roll(&power->dice, (uint32_t)points);
	disk_make(&disk, record);
	for (size_t event = 0; event < record->count; event++) {
		unsigned weighs = weigh(&weight, &record->events[event]);
		disk_take(&disk, &record->events[event]);
		for (int i = 0; i < AGAIN_STATES; i++) {
			struct buffer problems = { 0 };
			if (at[i] < before || at[i] >= before + weighs)
				continue;
			state_make(power, &disk);
			state_ask(power, false, &problems);
			problems_show(power, "while it recovered, after", event, &disk, &problems);
			power->tried_again++;
		}
		before += weighs;
	}
	disk_free(&disk);
}

static void check(struct power *power, size_t event)
{
	bool fails_again = power->tried % AGAIN_EVERY == 1 && !power->options.lie;
	struct record record;
	struct buffer problems = { 0 };
	if (fails_again)
		record_begin(power->store, false);
	state_ask(power, power->tried % 4 == 0, &problems);
	if (fails_again && !record_end(power->store, &record))
		buffer_add_cstr(&problems,
				"the record of its recovery does not lead to what is in it\n");
	problems_show(power, "after", event, &power->disk, &problems);
	if (fails_again) {
		replay_again(power, &record);
		record_free(&record);
	}
	power->tried++;
}

/* Where the disk lies a state may be one that no honest disk leaves behind, and LMDB fall over
 * it: each is looked at by a process of its own. */
static void check_apart(struct power *power, size_t event)
{
	int status;
	pid_t child = fork();
	assert(child >= 0);
	if (child == 0) {
		if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr))
			_exit(2);
		check(power, event);
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
	/* As many as are due by now: so the last one makes them all. */
	uint64_t due = power->options.states * power->points / points_in_all;
	for (unsigned i = 0; power->tried < due; i++) {
		if (power->disk.pending_count == 0 && i > 0 && power->points < points_in_all)
			break; /* there is only one: later points make up for it */
		state_make(power, &power->disk);
		if (power->options.lie)
			check_apart(power, event);
		else
			check(power, event);
	}
}

static void replay(struct power *power)
{
	const struct record *record = &power->record;
	struct weight weight = { 0 };
	uint64_t points = count_points(record);
	for (size_t i = 0; i < record->count; i++) {
		const struct event *event = &record->events[i];
		power->points += weigh(&weight, event);
		if (event->kind == EVENT_ACK) {
			assert(event->number > power->acknowledged);
			power->acknowledged = event->number;
			continue;
		}
		if (event->kind == EVENT_SYNC && power->options.lie)
			disk_settle(&power->disk, LIE_WRITES);
		else
			disk_take(&power->disk, event);
		look(power, i, points);
	}
}

/* ---- how the redo log was used ---- */

struct log_use {
	unsigned commits, records;
	unsigned begun, begun_again; /* areas, within one epoch */
	unsigned epochs;
};

static struct log_use log_use(const struct record *record)
{
	struct log_use use = { 0 };
	uint64_t last_area = 0;
	int epoch_areas = 1; /* begun */
	for (size_t i = 0; i < record->count; i++) {
		const struct event *event = &record->events[i];
		if (event->kind != EVENT_WRITE)
			continue;
		if (event->file == RECORDED_DATA) {
			use.commits += is_meta(event);
			continue;
		}
		if (event->at < REDO_HEADER_OCTETS) {
			use.epochs++;
			epoch_areas = 1;
			last_area = 0;
			continue;
		}
		uint64_t area = (event->at - REDO_HEADER_OCTETS) / REDO_AREA_OCTETS;
		use.records++;
		if (area != last_area) {
			use.begun++;
			use.begun_again += epoch_areas >= REDO_AREAS;
			epoch_areas++;
		}
		last_area = area;
	}
	return use;
}

/* ---- beginning and end ---- */

static void folder_choose(struct power *power)
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
	snprintf(power->store, sizeof(power->store), "%s/store", power->dir);
	snprintf(power->lock, sizeof(power->lock), "%s/store/lock.mdb", power->dir);
}

static void record_load(struct power *power)
{
	load_prepare(power->dir, &power->load);
	record_begin(power->store, true);
	load_run(power->dir, &power->load, power->options.jobs, power->options.seed);
	if (!record_end(power->store, &power->record)) {
		printf("the record of writes does not lead to what is in the files\n");
		exit(2);
	}
	disk_make(&power->disk, &power->record);
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
	struct power power = { .tried = 0 };
	if (!options_parse(argc, argv, &power.options)) {
		fprintf(stderr, "usage: crash-power [--states N] [--jobs N] [--seed N] [--lie] "
				"[--folder DIR]\n");
		return 2;
	}
	power.dice = power.options.seed * 7919;
	log_set_level(LOG_ERROR);
	folder_choose(&power);
	record_load(&power);
	replay(&power);
	struct log_use use = log_use(&power.record);
	printf("%u commits, %u of them by a record; an area of the log begun %u times, and %u "
	       "times again; "
	       "%u epochs\n",
	       use.commits, use.records, use.begun, use.begun_again, use.epochs);
	printf("%u jobs, %zu events, %zu octets of file; %u states (%u of them written to again, "
	       "and %u while they recovered), %u bad\n",
	       power.load.jobs, power.record.count, power.disk.files[RECORDED_DATA].cap,
	       power.tried, power.written_to, power.tried_again, power.bad);
	folder_remove(power.dir);
	load_free(&power.load);
	disk_free(&power.disk);
	record_free(&power.record);
	return power.bad > 0;
}
