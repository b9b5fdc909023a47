/* admin/user_submission.c - bode user limits|allow|disallow|allowed: how much a user may submit, and as
 * whom beside his own addresses. */
#include <string.h>

#include "admin/admin_priv.h"
#include "admin/table.h"
#include "admin/user.h"
#include "storage/submission.h"

struct submission_job {
	struct job job;
	uint32_t account_id;
	struct submission_limits limits;
	struct slice *senders;
	size_t sender_count;
};

static enum err run_limits(struct write *write, struct job *job)
{
	struct submission_job *user = CONTAINER_OF(job, struct submission_job, job);
	return submission_set_limits(write, user->account_id, &user->limits);
}

static enum err run_allow(struct write *write, struct job *job)
{
	struct submission_job *user = CONTAINER_OF(job, struct submission_job, job);
	enum err err = ERR_OK;
	for (size_t i = 0; err == ERR_OK && i < user->sender_count; i++)
		err = submission_allow(write, user->account_id, user->senders[i]);
	return err;
}

static enum err run_disallow(struct write *write, struct job *job)
{
	struct submission_job *user = CONTAINER_OF(job, struct submission_job, job);
	enum err err = ERR_OK;
	for (size_t i = 0; err == ERR_OK && i < user->sender_count; i++)
		err = submission_disallow(write, user->account_id, user->senders[i]);
	return err;
}

/* "default" is as the configuration says. */
static bool parse_limit(const char *text, uint32_t *limit_out)
{
	uint64_t number;
	if (strcmp(text, "default") == 0) {
		*limit_out = SUBMISSION_AS_CONFIGURED;
		return true;
	}
	if (!slice_to_u64(slice_cstr(text), UINT32_MAX - 1, &number)) {
		admin_fail("\"%s\" is no number a day; 0 is any number, default what [limits] says",
			   text);
		return false;
	}
	*limit_out = (uint32_t)number;
	return true;
}

static void limit_cell(struct table *table, uint32_t own, uint32_t configured)
{
	char text[24];
	uint32_t limit = own == SUBMISSION_AS_CONFIGURED ? configured : own;
	snprintf(text, sizeof(text), "%lu", (unsigned long)limit);
	table_number(table, limit, limit ? text : "-");
}

static void count_cell(struct table *table, uint32_t count)
{
	char text[24];
	snprintf(text, sizeof(text), "%lu", (unsigned long)count);
	table_number(table, count, text);
}

int admin_user_limits(struct admin *admin, int argc, char **argv)
{
	static const char *const columns[] = { "user", "messages_today", "messages_per_day",
					       "new_recipients_today", "new_recipients_per_day" };
	struct admin_options options;
	struct submission_job job = { .job.run = run_limits };
	struct submission_usage usage;

	if (!admin_parse_options(admin, argc, argv,
				 OPTION_MESSAGES | OPTION_RECIPIENTS | OPTION_JSON, 1, 1, &options))
		return ADMIN_WRONG_USAGE;
	if (!user_find_id(admin, argv[optind], &job.account_id))
		return EXIT_FAILURE;
	struct read *read = read_begin(admin->store);
	enum err err = submission_usage(read, job.account_id, &usage);
	read_end(&read);
	if (err != ERR_OK)
		return admin_fail_store(err, "the user's limits cannot be read");
	job.limits = usage.limits;
	if ((options.messages && !parse_limit(options.messages, &job.limits.messages)) ||
	    (options.recipients && !parse_limit(options.recipients, &job.limits.new_recipients)))
		return ADMIN_WRONG_USAGE;
	if (options.messages || options.recipients) {
		err = admin_write(admin, &job.job);
		return err == ERR_OK ? EXIT_SUCCESS
				     : admin_fail_store(err, "the limits were not changed");
	}
	struct table *table = table_new(options.json, columns, ARRAY_LEN(columns));
	table_text(table, slice_cstr(argv[optind]));
	count_cell(table, usage.messages);
	limit_cell(table, usage.limits.messages, admin->config->messages_per_day);
	count_cell(table, usage.new_recipients);
	limit_cell(table, usage.limits.new_recipients, admin->config->new_recipients_per_day);
	table_print(table, "");
	return EXIT_SUCCESS;
}

/* "name@domain", "@domain" or "*". */
static bool parse_sender(struct admin *admin, const char *text, struct slice *sender_out)
{
	struct address address;
	struct slice domain;
	if (strcmp(text, "*") == 0) {
		*sender_out = SLICE("*");
		return true;
	}
	if (text[0] == '@') {
		if (!admin_parse_domain(admin, text + 1, &domain))
			return false;
		*sender_out = slice_cstr(arena_format(&admin->arena, "@%.*s", SLICE_ARG(domain)));
		return true;
	}
	if (!admin_parse_address(admin, text, &address))
		return false;
	*sender_out = address_format(&address, &admin->arena);
	return true;
}

static int change_senders(struct admin *admin, int argc, char **argv,
			  enum err (*run)(struct write *write, struct job *job))
{
	enum { SENDERS_MAX = 1000 };
	struct admin_options options;
	struct submission_job job = { .job.run = run };

	if (!admin_parse_options(admin, argc, argv, 0, 2, SENDERS_MAX, &options))
		return ADMIN_WRONG_USAGE;
	job.senders = arena_alloc_array(&admin->arena, (size_t)argc, sizeof(*job.senders));
	for (int i = optind + 1; i < argc; i++)
		if (!parse_sender(admin, argv[i], &job.senders[job.sender_count++]))
			return EXIT_FAILURE;
	if (!user_find_id(admin, argv[optind], &job.account_id))
		return EXIT_FAILURE;
	enum err err = admin_write(admin, &job.job);
	if (err == ERR_NOT_FOUND)
		return admin_fail("that was not allowed; \"bode user allowed %s\" shows what is",
				  argv[optind]);
	return err == ERR_OK ? EXIT_SUCCESS : admin_fail_store(err, "nothing was changed");
}

int admin_user_allow(struct admin *admin, int argc, char **argv)
{
	return change_senders(admin, argc, argv, run_allow);
}

int admin_user_disallow(struct admin *admin, int argc, char **argv)
{
	return change_senders(admin, argc, argv, run_disallow);
}

int admin_user_allowed(struct admin *admin, int argc, char **argv)
{
	static const char *const columns[] = { "sender" };
	struct admin_options options;
	struct slice sender = SLICE_NONE;
	uint32_t account_id;

	if (!admin_parse_options(admin, argc, argv, OPTION_JSON, 1, 1, &options))
		return ADMIN_WRONG_USAGE;
	if (!user_find_id(admin, argv[optind], &account_id))
		return EXIT_FAILURE;
	struct table *table = table_new(options.json, columns, ARRAY_LEN(columns));
	struct read *read = read_begin(admin->store);
	while (submission_next_sender(read, account_id, sender, &admin->arena, &sender))
		table_text(table, sender);
	read_end(&read);
	table_print(table, "own addresses and aliases only; \"bode user allow\" adds more");
	return EXIT_SUCCESS;
}
