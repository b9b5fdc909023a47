/* admin/importer.c - a run of an import: what it waits for, what it skips, what it says at the end.
 * Runs in the admin's process, beside a running server.
 *
 * What ends a run (a full disk, the quota) is said once; a message that cannot be had costs no
 * other. */
#include "admin/importer_priv.h"

#include <errno.h>
#include <string.h>

#include "admin/shown.h"
#include "admin/table.h"
#include "admin/user.h"
#include "base/heap.h"
#include "serve/control.h"
#include "storage/dictionary.h"

enum { LOOP_WAIT_MS = 1000 };

struct loop *importer_loop(struct importer *importer)
{
	return importer->loop;
}

void importer_expect(struct importer *importer, uint64_t messages)
{
	importer->expected += messages;
	progress_total(importer->progress, importer->expected);
}

bool importer_is_over(const struct importer *importer)
{
	return importer->is_over;
}

void importer_fail(struct importer *importer, const char *format, ...)
{
	va_list args;
	if (importer->is_over)
		return;
	importer->is_over = true;
	progress_hide(importer->progress);
	va_start(args, format);
	admin_vfail(format, args);
	va_end(args);
}

void importer_fail_store(struct importer *importer, enum err err)
{
	switch (err) {
	case ERR_QUOTA:
		importer_fail(importer,
			      "the quota of %s is used up; raise it and run the import again: it "
			      "goes on where it was",
			      importer->user);
		break;
	case ERR_FULL:
		importer_fail(importer, "the disk is full; make room and run the import again: it "
					"goes on where it was");
		break;
	case ERR_GONE:
		importer_fail(
			importer,
			"the user or a mailbox was removed while the import ran; run it again");
		break;
	default:
		importer_fail(importer,
			      "the store failed (%s); run the import again: it goes on "
			      "where it was",
			      err_word(err));
	}
}

/* ---- life ---- */

static uint64_t find_inbox(struct importer *importer)
{
	struct mailbox mailbox;
	struct arena arena = { 0 };
	struct read *read = read_begin(importer->admin->store);
	enum err err = mailbox_find(read, importer->account_id, SLICE("INBOX"), &arena, &mailbox);
	read_end(&read);
	arena_fini(&arena);
	return err == ERR_OK ? mailbox.mailbox_id : 0;
}

struct importer *importer_new(struct admin *admin, const struct importer_options *options)
{
	uint32_t account_id;
	admin->keeps_user = true;
	if (!user_find_id(admin, options->user, &account_id))
		return NULL;
	struct importer *importer = heap_alloc(sizeof(*importer));
	importer->admin = admin;
	importer->held_end = &importer->held;
	importer->account_id = account_id;
	importer->user = options->user;
	importer->into = options->into;
	importer->json = options->json;
	importer->targets_end = &importer->targets;
	importer->inbox_id = find_inbox(importer);
	store_start_dictionaries(admin->store);
	store_start_writer(admin->store);
	importer->loop = loop_new(0);
	importer->progress = progress_new("import");
	progress_phase(importer->progress, "mail", PROGRESS_ITEMS, "messages", 0);
	return importer;
}

void importer_skip(struct importer *importer, struct import_target *target, const char *where,
		   const char *why)
{
	progress_hide(importer->progress);
	fputs("bode: skipped ", stderr);
	print_shown(stderr, slice_cstr(where)); /* a stranger's disk or server has named it */
	fprintf(stderr, ": %s\n", why);
	importer->skipped++;
	if (target)
		target->skipped++;
}

void importer_note(struct importer *importer, const char *where, const char *what)
{
	progress_hide(importer->progress);
	fputs("bode: ", stderr);
	print_shown(stderr, slice_cstr(where)); /* a stranger's disk or server has named it */
	fprintf(stderr, ": %s\n", what);
}

void importer_skip_errno(struct importer *importer, struct import_target *target, const char *where,
			 const char *doing)
{
	char why[256];
	snprintf(why, sizeof(why), "%s: %s", doing, strerror(errno));
	importer_skip(importer, target, where, why);
}

static void waiting_done(struct job *job)
{
	CONTAINER_OF(job, struct import_wait, job)->is_done = true;
}

void importer_wait(struct importer *importer)
{
	importer_submit_held(importer);
	loop_run_once(importer->loop, LOOP_WAIT_MS);
}

enum err importer_run(struct importer *importer, struct import_wait *waiting,
		      enum err (*run)(struct write *write, struct job *job))
{
	waiting->importer = importer;
	waiting->is_done = false;
	waiting->job = (struct job){ .run = run, .done = waiting_done, .loop = importer->loop };
	importer_submit_held(importer); /* in order */
	store_submit(importer->admin->store, &waiting->job);
	while (!waiting->is_done)
		importer_wait(importer);
	return waiting->job.outcome;
}

void importer_drain(struct importer *importer)
{
	while (importer->way_messages > 0)
		importer_wait(importer);
}

static void print_table(struct importer *importer)
{
	static const char *const columns[] = { "mailbox", "imported", "already_there", "skipped" };
	struct table *table = table_new(importer->json, columns, ARRAY_LEN(columns));
	for (struct import_target *target = importer->targets; target; target = target->next) {
		const uint64_t counts[] = { target->imported, target->already, target->skipped };
		table_text(table, target->name);
		for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
			char text[24];
			snprintf(text, sizeof(text), "%llu", (unsigned long long)counts[i]);
			table_number(table, counts[i], text);
		}
	}
	table_print(table, "nothing was imported: the source holds no mail");
}

static enum err nothing_run(struct write *write, struct job *job)
{
	return ERR_OK;
}

int importer_finish(struct importer **importer_at)
{
	struct import_wait last = { 0 };
	struct importer *importer = *importer_at;
	*importer_at = NULL;
	importer_drain(importer);
	/* Behind the chunks of what was abandoned, and behind what removes them. */
	for (int i = 0; i < 2; i++)
		if (importer_run(importer, &last, nothing_run) != ERR_OK)
			break;
	progress_free(&importer->progress);
	control_notify_account(importer->admin->config->state_dir, importer->account_id);
	print_table(importer);
	if (importer->skipped > 0)
		fprintf(stderr, "bode: skipped %llu; each is listed above with the reason\n",
			(unsigned long long)importer->skipped);
	int status = importer->is_over || importer->skipped ? EXIT_FAILURE : EXIT_SUCCESS;
	store_close(&importer->admin->store);
	loop_free(importer->loop);
	arena_fini(&importer->arena);
	free(importer);
	return status;
}
