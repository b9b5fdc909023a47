/* admin/compact.c - bode compact: makes the store's file as small as its mail, beside a running
 * server. How far it has come goes to standard error, the outcome to standard output. */
#include "storage/compact.h"

#include <inttypes.h>

#include "admin/admin_priv.h"
#include "admin/progress.h"
#include "base/clock.h"

enum { PATIENCE_MS = 10 * 60 * 1000 };

struct report {
	struct progress *progress;
	uint64_t waits_since_ms; /* 0: it does not */
};

static void on_phase(void *user, enum compact_phase phase, uint64_t total)
{
	static const char *const names[COMPACT_PHASES] = {
		[COMPACT_ROWS] = "records",
		[COMPACT_FREE] = "free pages",
	};
	struct report *report = user;
	progress_phase(report->progress, names[phase], PROGRESS_OCTETS, NULL, total);
}

static void on_progress(void *user, uint64_t done)
{
	struct report *report = user;
	report->waits_since_ms = 0;
	progress_set(report->progress, done);
}

/* A backup's one moment passes; a process that somebody has stopped does not go on. */
static bool on_wait(void *user)
{
	struct report *report = user;
	uint64_t now_ms = clock_monotonic_ms();
	if (report->waits_since_ms == 0)
		report->waits_since_ms = now_ms;
	return now_ms - report->waits_since_ms < PATIENCE_MS;
}

static void print_json(const struct compact_result *result, bool is_done)
{
	printf("{\n  \"before_octets\": %" PRIu64 ",\n  \"after_octets\": %" PRIu64
	       ",\n  \"rewritten_octets\": %" PRIu64 ",\n  \"free_octets\": %" PRIu64
	       ",\n  \"gives_back\": %s,\n  \"done\": %s\n}\n",
	       result->before_octets, result->after_octets, result->rewritten_octets,
	       result->free_octets, result->gives_back ? "true" : "false",
	       is_done ? "true" : "false");
}

static void print_text(const struct compact_result *result)
{
	char before[16], after[16], rewritten[16], inside[16];
	admin_format_size(result->before_octets, before);
	admin_format_size(result->after_octets, after);
	admin_format_size(result->rewritten_octets, rewritten);
	admin_format_size(result->free_octets, inside);
	if (!result->gives_back)
		printf("this file system takes nothing back from a file: %s are free inside the "
		       "store's and will be used again\n",
		       inside);
	printf("the store took %s before and takes %s now; %s were written anew\n", before, after,
	       rewritten);
}

int admin_compact(struct admin *admin, int argc, char **argv)
{
	struct admin_options options;
	struct compact_result result;
	if (!admin_parse_options(admin, argc, argv, OPTION_JSON, 0, 0, &options))
		return ADMIN_WRONG_USAGE;
	if (!admin_open_existing_store(admin))
		return EXIT_FAILURE;

	struct report report = { .progress = progress_new("compact") };
	const struct compact_watcher watcher = {
		.phase = on_phase,
		.progress = on_progress,
		.wait = on_wait,
		.user = &report,
	};
	enum err err = compact_run(admin->store, &watcher, &result);
	progress_free(&report.progress);
	if (options.json)
		print_json(&result, err == ERR_OK);
	if (err == ERR_BUSY)
		return admin_fail(
			"another process has been reading the store for long (a backup?), "
			"so nothing that became free can be used; run it again later, it "
			"goes on where it was");
	if (err != ERR_OK)
		return admin_fail_store(err, "the store cannot be compacted");
	if (!options.json)
		print_text(&result);
	return EXIT_SUCCESS;
}
