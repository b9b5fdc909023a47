/* admin/verify.c - bode verify: checks the whole store beside a running server, and repairs it.
 * What is wrong goes to standard output as it is found, a line each or a JSON object; how far it
 * has come goes to standard error. */
#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <unistd.h>

#include "admin/admin_priv.h"
#include "admin/progress.h"
#include "admin/shown.h"
#include "serve/control.h"
#include "storage/verify.h"

struct report {
	struct admin *admin;
	struct progress *progress;
	bool json, repair;
	uint64_t told; /* problems */
};

static const struct {
	const char *name;
	enum progress_unit unit;
	const char *word;
} phases[VERIFY_PHASES] = {
	[VERIFY_NAMES] = { "names", PROGRESS_ITEMS, "records" },
	[VERIFY_BODIES] = { "messages", PROGRESS_OCTETS, NULL },
	[VERIFY_MAILBOXES] = { "mailboxes", PROGRESS_ITEMS, "records" },
	[VERIFY_REFERENCES] = { "references", PROGRESS_ITEMS, "records" },
	[VERIFY_ACCOUNTS] = { "accounts", PROGRESS_ITEMS, "accounts" },
};

static void on_phase(void *user, enum verify_phase phase, uint64_t total)
{
	progress_phase(((struct report *)user)->progress, phases[phase].name, phases[phase].unit,
		       phases[phase].word, total);
}

static void on_progress(void *user, uint64_t done)
{
	progress_set(((struct report *)user)->progress, done);
}

/* Names come from the store, whose records may be damaged. */
static void print_line(const struct verify_problem *problem)
{
	if (problem->login.len > 0) {
		print_shown(stdout, problem->login);
		fputs(": ", stdout);
	}
	if (problem->mailbox.len > 0) {
		putchar('"');
		print_shown(stdout, problem->mailbox);
		fputs("\": ", stdout);
	}
	if (problem->uid != 0)
		printf("UID %" PRIu32 ": ", problem->uid);
	if (problem->blob_id != 0)
		printf("msg %" PRIx64 ": ", problem->blob_id);
	print_shown(stdout, slice_cstr(problem->what));
	printf("; %s\n", problem->advice);
}

static void set_text(json_t *object, const char *key, struct slice text)
{
	json_t *value = json_stringn((const char *)text.ptr, text.len);
	if (text.len > 0)
		json_object_set_new(object, key, value ? value : json_null());
	else
		json_decref(value);
}

static void print_json(const struct report *report, const struct verify_problem *problem)
{
	static const char *const outcomes[] = { "found", "repaired", "left" };
	char blob[24];
	json_t *object = json_object();
	json_object_set_new(object, "kind", json_string(verify_kind_word(problem->kind)));
	json_object_set_new(object, "outcome", json_string(outcomes[problem->outcome]));
	set_text(object, "user", problem->login);
	set_text(object, "mailbox", problem->mailbox);
	if (problem->uid != 0)
		json_object_set_new(object, "uid", json_integer(problem->uid));
	snprintf(blob, sizeof(blob), "%" PRIx64, problem->blob_id);
	if (problem->blob_id != 0)
		json_object_set_new(object, "msg", json_string(blob));
	set_text(object, "what", slice_cstr(problem->what));
	set_text(object, "advice", slice_cstr(problem->advice));
	fputs(report->told == 0 ? "\n    " : ",\n    ", stdout);
	json_dumpf(object, stdout, 0);
	json_decref(object);
}

static void on_problem(void *user, const struct verify_problem *problem)
{
	struct report *report = user;
	progress_hide(report->progress);
	if (report->json)
		print_json(report, problem);
	else
		print_line(problem);
	fflush(stdout);
	report->told++;
}

/* Sessions of the running server look again. */
static void on_changed(void *user, uint32_t account_id)
{
	struct report *report = user;
	control_notify_account(report->admin->config->state_dir, account_id);
}

/* LMDB trusts its pages. Where these are damaged, reading ends in a signal; nothing has been
 * written by then but whole transactions. */
static void on_fatal(int number)
{
	static const char text[] = "\nbode: the pages of the store's database are damaged beyond "
				   "what can be checked or "
				   "repaired; stop the server and restore a backup\n";
	(void)!write(STDERR_FILENO, text, sizeof(text) - 1);
	_exit(EXIT_FAILURE);
}

static void catch_fatal(void)
{
	static const int numbers[] = { SIGSEGV, SIGBUS, SIGABRT };
	struct sigaction action = { .sa_handler = on_fatal };
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		sigaction(numbers[i], &action, NULL);
}

static enum err run(struct report *report, bool repair, struct verify_counts *counts_out)
{
	const struct verify_watcher watcher = {
		.phase = on_phase,
		.progress = on_progress,
		.problem = on_problem,
		.changed = on_changed,
		.user = report,
	};
	report->told = 0;
	report->progress = progress_new(repair ? "repair" : "verify");
	if (report->json)
		printf("  \"%s\": [", repair ? "repair" : "problems");
	enum err err = verify_run(report->admin->store, repair, &watcher, counts_out);
	if (report->json)
		printf("%s],\n", report->told > 0 ? "\n  " : "");
	progress_free(&report->progress);
	return err;
}

static void print_end(const struct report *report, const struct verify_counts *counts,
		      const struct verify_counts *repairs, bool is_clean)
{
	char size[16];
	if (report->json) {
		printf("  \"accounts\": %" PRIu64 ",\n  \"mailboxes\": %" PRIu64
		       ",\n  \"messages\": %" PRIu64 ",\n  \"bodies\": %" PRIu64
		       ",\n  \"body_octets\": %" PRIu64 ",\n  \"repaired\": %" PRIu64
		       ",\n  \"clean\": %s\n}\n",
		       counts->accounts, counts->mailboxes, counts->messages, counts->bodies,
		       counts->body_octets, repairs->repaired, is_clean ? "true" : "false");
		return;
	}
	admin_format_size(counts->body_octets, size);
	printf("%" PRIu64 " accounts, %" PRIu64 " mailboxes, %" PRIu64 " messages, %" PRIu64
	       " bodies of %s in all: ",
	       counts->accounts, counts->mailboxes, counts->messages, counts->bodies, size);
	if (repairs->repaired > 0)
		printf("%" PRIu64 " repaired, ", repairs->repaired);
	if (is_clean)
		puts("all is well");
	else
		printf("%" PRIu64 " problems\n", counts->problems);
}

int admin_verify(struct admin *admin, int argc, char **argv)
{
	struct admin_options options;
	struct verify_counts counts = { 0 }, repairs = { 0 };

	if (!admin_parse_options(admin, argc, argv, OPTION_JSON | OPTION_REPAIR, 0, 0, &options))
		return ADMIN_WRONG_USAGE;
	if (!admin_open_existing_store(admin))
		return EXIT_FAILURE;
	/* What is wrong is told below, and once. */
	log_set_level(LOG_NOTHING);
	catch_fatal();

	struct report report = { .admin = admin, .json = options.json, .repair = options.repair };
	if (options.json)
		puts("{");
	enum err err = ERR_OK;
	if (options.repair)
		err = run(&report, true, &repairs);
	if (err == ERR_OK && (!options.repair || repairs.problems > 0))
		err = run(&report, false, &counts);
	else
		counts = repairs;
	bool is_clean = err == ERR_OK && counts.problems == 0;
	print_end(&report, &counts, &repairs, is_clean);
	return is_clean ? EXIT_SUCCESS : EXIT_FAILURE;
}
