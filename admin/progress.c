/* admin/progress.c - how far a long command has come. Runs in the admin's process.
 *
 * The bar is redrawn a few times a second; plain lines, which end in a log or a mail from cron,
 * come at the end of each phase and every ten seconds within one. */
#include "admin/progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "admin/admin_priv.h"
#include "base/clock.h"
#include "base/heap.h"

enum {
	DRAW_EVERY_MS = 100,
	PLAIN_EVERY_MS = 10000,
	REST_AFTER_MS = 3000, /* before that the time that is left is a guess */
	BAR_COLUMNS = 24,
	LINE_MAX_COLUMNS = 200,
};

struct progress {
	const char *command;
	const char *phase, *word; /* phase NULL: none yet */
	enum progress_unit unit;
	uint64_t done, total;
	uint64_t phase_began_ms, shown_ms;
	bool is_terminal, is_drawn;
};

struct progress *progress_new(const char *command)
{
	struct progress *progress = heap_alloc(sizeof(*progress));
	const char *kind = getenv("TERM");
	progress->command = command;
	progress->is_terminal = isatty(STDERR_FILENO) && (!kind || strcmp(kind, "dumb") != 0);
	return progress;
}

static unsigned percent_of(const struct progress *progress)
{
	if (progress->total == 0)
		return 0;
	if (progress->done >= progress->total)
		return 100;
	return (unsigned)((double)progress->done * 100 / (double)progress->total);
}

static void amount_format(const struct progress *progress, char *out, size_t cap)
{
	char done[24], total[24];
	if (progress->unit == PROGRESS_OCTETS) {
		admin_format_size(progress->done, done);
		admin_format_size(progress->total, total);
	} else {
		snprintf(done, sizeof(done), "%llu", (unsigned long long)progress->done);
		snprintf(total, sizeof(total), "%llu", (unsigned long long)progress->total);
	}
	const char *word = progress->word ? progress->word : "";
	const char *blank = progress->word ? " " : "";
	if (progress->total > 0 && progress->done < progress->total)
		snprintf(out, cap, "%s of %s%s%s", done, total, blank, word);
	else
		snprintf(out, cap, "%s%s%s", done, blank, word);
}

/* ", 12 min left", or nothing where it cannot be told. */
static void rest_format(const struct progress *progress, char *out, size_t cap)
{
	uint64_t took_ms = clock_monotonic_ms() - progress->phase_began_ms;
	out[0] = '\0';
	if (took_ms < REST_AFTER_MS || progress->done == 0 || progress->done >= progress->total)
		return;
	double left = (double)took_ms / 1000 * (double)(progress->total - progress->done) /
		      (double)progress->done;
	if (left < 100)
		snprintf(out, cap, ", %.0f s left", left);
	else if (left < 100 * 60)
		snprintf(out, cap, ", %.0f min left", left / 60);
	else
		snprintf(out, cap, ", %.0f h left", left / 3600);
}

static void bar_draw(struct progress *progress)
{
	char line[LINE_MAX_COLUMNS + 1], bar[BAR_COLUMNS + 3] = "", amount[80], rest[40];
	struct winsize size;
	size_t columns = 80;
	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		columns = size.ws_col;
	if (columns > LINE_MAX_COLUMNS)
		columns = LINE_MAX_COLUMNS;
	amount_format(progress, amount, sizeof(amount));
	rest_format(progress, rest, sizeof(rest));
	if (progress->total > 0) {
		size_t full = percent_of(progress) * BAR_COLUMNS / 100;
		bar[0] = '[';
		memset(bar + 1, '#', full);
		memset(bar + 1 + full, '.', BAR_COLUMNS - full);
		memcpy(bar + 1 + BAR_COLUMNS, "]", 2);
		snprintf(line, sizeof(line), "%s: %-10s %s %3u %%  %s%s", progress->command,
			 progress->phase, bar, percent_of(progress), amount, rest);
	} else {
		snprintf(line, sizeof(line), "%s: %-10s %s", progress->command, progress->phase,
			 amount);
	}
	/* A line that reaches the last column would wrap, and the next one not cover it. */
	fprintf(stderr, "\r%.*s\033[K", (int)(columns - 1), line);
	fflush(stderr);
	progress->is_drawn = true;
}

static void plain_say(const struct progress *progress, bool is_end)
{
	char amount[80], rest[40] = "";
	amount_format(progress, amount, sizeof(amount));
	if (!is_end)
		rest_format(progress, rest, sizeof(rest));
	if (is_end)
		fprintf(stderr, "%s: %s: %s, done\n", progress->command, progress->phase, amount);
	else if (progress->total > 0)
		fprintf(stderr, "%s: %s: %u %%, %s%s\n", progress->command, progress->phase,
			percent_of(progress), amount, rest);
	else
		fprintf(stderr, "%s: %s: %s\n", progress->command, progress->phase, amount);
}

void progress_hide(struct progress *progress)
{
	if (!progress || !progress->is_drawn)
		return;
	fputs("\r\033[K", stderr);
	fflush(stderr);
	progress->is_drawn = false;
	progress->shown_ms = 0;
}

static void phase_end(struct progress *progress)
{
	if (!progress->phase)
		return;
	progress_hide(progress);
	plain_say(progress, true);
	progress->phase = NULL;
}

void progress_phase(struct progress *progress, const char *phase, enum progress_unit unit,
		    const char *word, uint64_t total)
{
	if (!progress)
		return;
	phase_end(progress);
	progress->phase = phase;
	progress->unit = unit;
	progress->word = word;
	progress->done = 0;
	progress->total = total;
	progress->phase_began_ms = progress->shown_ms = clock_monotonic_ms();
	if (progress->is_terminal)
		bar_draw(progress);
}

void progress_set(struct progress *progress, uint64_t done)
{
	if (!progress || !progress->phase)
		return;
	uint64_t now_ms = clock_monotonic_ms();
	progress->done = done;
	if (now_ms - progress->shown_ms <
	    (progress->is_terminal ? (uint64_t)DRAW_EVERY_MS : (uint64_t)PLAIN_EVERY_MS))
		return;
	progress->shown_ms = now_ms;
	if (progress->is_terminal)
		bar_draw(progress);
	else
		plain_say(progress, false);
}

void progress_add(struct progress *progress, uint64_t more)
{
	if (progress)
		progress_set(progress, progress->done + more);
}

void progress_total(struct progress *progress, uint64_t total)
{
	if (progress)
		progress->total = total;
}

void progress_free(struct progress **progress)
{
	if (!*progress)
		return;
	phase_end(*progress);
	free(*progress);
	*progress = NULL;
}
