/* admin/status.c - bode status: is the server running, how much is in the store, how much room is
 * left, how old is the last backup that was proven. */
#include <jansson.h>
#include <stdio.h>

#include "admin/admin_priv.h"
#include "base/clock.h"
#include "serve/control.h"
#include "storage/backup.h"

struct status {
	bool is_running, has_backup;
	uint64_t domains, users, messages, octets;
	struct store_figures figures;
	struct backup_note backup;
	int64_t backup_age_seconds;
};

static void status_read(struct admin *admin, struct status *status)
{
	struct account account;
	struct slice domain = SLICE_NONE;
	uint32_t account_id = 0;
	*status = (struct status){ .is_running = control_is_served(admin->config->state_dir) };
	struct read *read = read_begin(admin->store);
	while (domain_next(read, domain, &admin->arena, &domain))
		status->domains++;
	while (account_next(read, &account_id, &admin->arena, &account)) {
		status->users++;
		status->messages += account.used_messages;
		status->octets += account.used_octets;
	}
	read_end(&read);
	store_figures(admin->store, &status->figures);
	status->has_backup = backup_last_proven(admin->store, &status->backup);
	status->backup_age_seconds = clock_unix() - status->backup.proven_unix;
}

static void print_json(const struct status *status)
{
	const struct store_figures *figures = &status->figures;
	json_t *backup = json_null();
	if (status->has_backup)
		backup = json_pack("{s:I, s:I, s:I, s:s}", "proven_unix",
				   (json_int_t)status->backup.proven_unix, "age_seconds",
				   (json_int_t)status->backup_age_seconds, "messages",
				   (json_int_t)status->backup.messages, "folder",
				   status->backup.path);
	/* A folder's name need not be UTF-8. */
	if (!backup)
		backup = json_pack("{s:I, s:I}", "proven_unix",
				   (json_int_t)status->backup.proven_unix, "age_seconds",
				   (json_int_t)status->backup_age_seconds);
	json_t *all = json_pack("{s:b, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}",
				"running", status->is_running, "version", BODE_VERSION, "domains",
				(json_int_t)status->domains, "users", (json_int_t)status->users,
				"messages", (json_int_t)status->messages, "mail_octets",
				(json_int_t)status->octets, "store_octets",
				(json_int_t)figures->file_octets, "store_free_octets",
				(json_int_t)figures->free_octets, "disk_free_octets",
				(json_int_t)figures->disk_free_octets, "commits",
				(json_int_t)figures->commits, "backup", backup);
	json_dumpf(all, stdout, JSON_INDENT(1));
	putchar('\n');
	json_decref(all);
}

static void format_age(int64_t seconds, char out[32])
{
	if (seconds < 120)
		snprintf(out, 32, "%lld seconds", (long long)seconds);
	else if (seconds < 2 * 3600)
		snprintf(out, 32, "%lld minutes", (long long)seconds / 60);
	else if (seconds < 2 * 86400)
		snprintf(out, 32, "%lld hours", (long long)seconds / 3600);
	else
		snprintf(out, 32, "%lld days", (long long)seconds / 86400);
}

static void print_text(const struct status *status)
{
	char mail[16], file[16], inside[16], disk[16], age[32];
	admin_format_size(status->octets, mail);
	admin_format_size(status->figures.file_octets, file);
	admin_format_size(status->figures.free_octets, inside);
	admin_format_size(status->figures.disk_free_octets, disk);
	printf("server   %s (bode " BODE_VERSION ")\n",
	       status->is_running ? "running" : "not running");
	printf("mail     %llu users in %llu domains, %llu messages, %s\n",
	       (unsigned long long)status->users, (unsigned long long)status->domains,
	       (unsigned long long)status->messages, mail);
	printf("store    %s, %s of it free; %llu commits\n", file, inside,
	       (unsigned long long)status->figures.commits);
	printf("disk     %s free\n", disk);
	if (!status->has_backup) {
		puts("backup   none that was proven; \"bode backup FOLDER\" makes one");
		return;
	}
	format_age(status->backup_age_seconds, age);
	printf("backup   proven %s ago, %llu messages, in %s\n", age,
	       (unsigned long long)status->backup.messages, status->backup.path);
}

int admin_status(struct admin *admin, int argc, char **argv)
{
	struct admin_options options;
	struct status status;
	if (!admin_parse_options(admin, argc, argv, OPTION_JSON, 0, 0, &options))
		return ADMIN_WRONG_USAGE;
	if (!admin_open_existing_store(admin))
		return EXIT_FAILURE;
	status_read(admin, &status);
	if (options.json)
		print_json(&status);
	else
		print_text(&status);
	return EXIT_SUCCESS;
}
