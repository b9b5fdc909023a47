/* admin/user.c - bode user add|remove|list|password|quota|administer. */
#include "admin/user.h"

#include <string.h>

#include "admin/admin_priv.h"
#include "admin/table.h"
#include "admin/terminal.h"
#include "auth/password.h"
#include "serve/control.h"

struct user_job {
	struct job job;
	struct address address;
	struct slice password_hash; /* empty: leave as it is */
	uint64_t quota_octets, quota_messages;
	bool is_administrator;
	uint32_t account_id;
};

static enum err run_add(struct write *write, struct job *job)
{
	struct user_job *user = CONTAINER_OF(job, struct user_job, job);
	enum err err = account_add(write, user->address.local, user->address.domain,
				   user->password_hash, &user->account_id);
	if (err == ERR_OK && user->quota_octets > 0)
		err = account_set_quota(write, user->account_id, user->quota_octets, 0);
	return err;
}

static enum err run_remove(struct write *write, struct job *job)
{
	return account_remove(write, CONTAINER_OF(job, struct user_job, job)->account_id);
}

static enum err run_quota(struct write *write, struct job *job)
{
	struct user_job *user = CONTAINER_OF(job, struct user_job, job);
	return account_set_quota(write, user->account_id, user->quota_octets, user->quota_messages);
}

static enum err run_administer(struct write *write, struct job *job)
{
	struct user_job *user = CONTAINER_OF(job, struct user_job, job);
	return account_set_administrator(write, user->account_id, user->is_administrator);
}

static enum err run_password(struct write *write, struct job *job)
{
	struct user_job *user = CONTAINER_OF(job, struct user_job, job);
	return account_set_password_hash(write, user->account_id, user->password_hash);
}

/* Asks for the password and leaves its hash in admin's arena. */
static bool read_hash(struct admin *admin, bool from_stdin, struct slice *hash_out)
{
	struct buffer password = { 0 }, hash = { 0 };
	bool good = terminal_read_password(from_stdin, &password);
	if (good && password_hash(buffer_slice(&password), &hash) != ERR_OK) {
		admin_fail("the password must have 1 to %d octets and no NUL", PASSWORD_MAX_OCTETS);
		good = false;
	}
	buffer_wipe(&password);
	if (good)
		*hash_out = arena_copy(&admin->arena, buffer_slice(&hash));
	buffer_free(&hash);
	return good;
}

bool user_find(struct admin *admin, const char *text, struct account *account_out)
{
	struct address address;
	if (!admin_parse_address(admin, text, &address) || !admin_open_store(admin))
		return false;
	struct read *read = read_begin(admin->store);
	enum err err = account_find(read, address_format(&address, &admin->arena), &admin->arena,
				    account_out);
	read_end(&read);
	if (err == ERR_NOT_FOUND)
		admin_fail("there is no user %s; \"bode user list\" shows them", text);
	else if (err != ERR_OK)
		admin_fail_store(err, "the user cannot be read");
	return err == ERR_OK;
}

bool user_find_id(struct admin *admin, const char *text, uint32_t *account_id_out)
{
	struct account account;
	if (!user_find(admin, text, &account))
		return false;
	*account_id_out = account.account_id;
	return true;
}

int user_fail_add(enum err err, const char *text, const struct address *address, const char *doing)
{
	switch (err) {
	case ERR_EXISTS:
		return admin_fail("there is a user or alias %s already; \"bode user list\" and "
				  "\"bode alias list\" show them",
				  text);
	case ERR_NOT_FOUND:
		return admin_fail("the domain %.*s is not served here; first: bode domain add %.*s",
				  SLICE_ARG(address->domain), SLICE_ARG(address->domain));
	default: return admin_fail_store(err, doing);
	}
}

int user_add(struct admin *admin, const char *text, bool password_stdin, uint64_t quota_octets)
{
	struct user_job job = { .job.run = run_add, .quota_octets = quota_octets };

	if (!admin_parse_address(admin, text, &job.address) || !admin_open_store(admin))
		return EXIT_FAILURE;
	/* Before the password is asked for: nobody likes to type one for nothing. */
	struct read *read = read_begin(admin->store);
	bool local = domain_is_local(read, job.address.domain);
	read_end(&read);
	if (!local)
		return user_fail_add(ERR_NOT_FOUND, text, &job.address, "");
	if (!read_hash(admin, password_stdin, &job.password_hash))
		return EXIT_FAILURE;
	enum err err = admin_write(admin, &job.job);
	return err == ERR_OK ? EXIT_SUCCESS
			     : user_fail_add(err, text, &job.address, "the user was not added");
}

int admin_user_add(struct admin *admin, int argc, char **argv)
{
	struct admin_options options;
	uint64_t quota_octets = 0;

	if (!admin_parse_options(admin, argc, argv, OPTION_PASSWORD_STDIN | OPTION_QUOTA, 1, 1,
				 &options))
		return ADMIN_WRONG_USAGE;
	if (options.quota && !admin_parse_size(options.quota, &quota_octets))
		return ADMIN_WRONG_USAGE;
	return user_add(admin, argv[optind], options.password_stdin, quota_octets);
}

int admin_user_remove(struct admin *admin, int argc, char **argv)
{
	struct admin_options options;
	struct user_job job = { .job.run = run_remove };

	if (!admin_parse_options(admin, argc, argv, OPTION_YES, 1, 1, &options))
		return ADMIN_WRONG_USAGE;
	if (!user_find_id(admin, argv[optind], &job.account_id))
		return EXIT_FAILURE;
	if (!options.yes && !terminal_confirm("All mail of this user will be removed."))
		return admin_fail("nothing was removed; to remove a user with all mail, answer yes "
				  "or give --yes");
	enum err err = admin_write(admin, &job.job);
	if (err != ERR_OK)
		return admin_fail_store(err, "the user was not removed");
	control_notify_account(admin->config->state_dir, job.account_id);
	return EXIT_SUCCESS;
}

int admin_user_password(struct admin *admin, int argc, char **argv)
{
	struct admin_options options;
	struct user_job job = { .job.run = run_password };

	if (!admin_parse_options(admin, argc, argv, OPTION_PASSWORD_STDIN, 1, 1, &options))
		return ADMIN_WRONG_USAGE;
	if (!user_find_id(admin, argv[optind], &job.account_id) ||
	    !read_hash(admin, options.password_stdin, &job.password_hash))
		return EXIT_FAILURE;
	enum err err = admin_write(admin, &job.job);
	return err == ERR_OK ? EXIT_SUCCESS : admin_fail_store(err, "the password was not changed");
}

static bool parse_count(const char *text, uint64_t *count_out)
{
	if (slice_to_u64(slice_cstr(text), UINT64_MAX, count_out))
		return true;
	admin_fail("\"%s\" is no number of messages; 0 is any number", text);
	return false;
}

/* A limit that is not named stays as it is. */
int admin_user_quota(struct admin *admin, int argc, char **argv)
{
	static const char *const columns[] = { "user", "messages", "quota_messages", "size_octets",
					       "quota_octets" };
	struct admin_options options;
	struct user_job job = { .job.run = run_quota };
	struct account account;
	uint64_t octets = 0, messages = 0;

	if (!admin_parse_options(admin, argc, argv, OPTION_SIZE | OPTION_MESSAGES | OPTION_JSON, 1,
				 1, &options))
		return ADMIN_WRONG_USAGE;
	bool is_none = options.size && strcmp(options.size, "0") == 0;
	if ((options.size && !is_none && !admin_parse_size(options.size, &octets)) ||
	    (options.messages && !parse_count(options.messages, &messages)))
		return ADMIN_WRONG_USAGE;
	if (!user_find(admin, argv[optind], &account))
		return EXIT_FAILURE;
	if (options.size || options.messages) {
		job.account_id = account.account_id;
		job.quota_octets = options.size ? octets : account.quota_octets;
		job.quota_messages = options.messages ? messages : account.quota_messages;
		enum err err = admin_write(admin, &job.job);
		return err == ERR_OK ? EXIT_SUCCESS
				     : admin_fail_store(err, "the quota was not changed");
	}
	struct table *table = table_new(options.json, columns, ARRAY_LEN(columns));
	char used[24], most[24], size[16], quota[16];
	snprintf(used, sizeof(used), "%llu", (unsigned long long)account.used_messages);
	snprintf(most, sizeof(most), "%llu", (unsigned long long)account.quota_messages);
	admin_format_size(account.used_octets, size);
	admin_format_size(account.quota_octets, quota);
	table_text(table, account.login);
	table_number(table, account.used_messages, used);
	table_number(table, account.quota_messages, account.quota_messages ? most : "-");
	table_number(table, account.used_octets, size);
	table_number(table, account.quota_octets, account.quota_octets ? quota : "-");
	table_print(table, "");
	return EXIT_SUCCESS;
}

int admin_user_administer(struct admin *admin, int argc, char **argv)
{
	struct admin_options options;
	struct user_job job = { .job.run = run_administer };

	if (!admin_parse_options(admin, argc, argv, 0, 2, 2, &options))
		return ADMIN_WRONG_USAGE;
	const char *answer = argv[optind + 1];
	job.is_administrator = strcmp(answer, "yes") == 0;
	if (!job.is_administrator && strcmp(answer, "no") != 0)
		return admin_usage(admin, "say yes or no");
	if (!user_find_id(admin, argv[optind], &job.account_id))
		return EXIT_FAILURE;
	enum err err = admin_write(admin, &job.job);
	return err == ERR_OK ? EXIT_SUCCESS : admin_fail_store(err, "the user was not changed");
}

int admin_user_list(struct admin *admin, int argc, char **argv)
{
	static const char *const columns[] = { "user", "messages", "size_octets", "quota_octets" };
	struct admin_options options;
	struct account account;
	uint32_t account_id = 0;

	if (!admin_parse_options(admin, argc, argv, OPTION_JSON, 0, 0, &options))
		return ADMIN_WRONG_USAGE;
	if (!admin_open_store(admin))
		return EXIT_FAILURE;
	struct table *table = table_new(options.json, columns, ARRAY_LEN(columns));
	struct read *read = read_begin(admin->store);
	while (account_next(read, &account_id, &admin->arena, &account)) {
		char messages[24], size[16], quota[16];
		snprintf(messages, sizeof(messages), "%llu",
			 (unsigned long long)account.used_messages);
		admin_format_size(account.used_octets, size);
		admin_format_size(account.quota_octets, quota);
		table_text(table, account.login);
		table_number(table, account.used_messages, messages);
		table_number(table, account.used_octets, size);
		table_number(table, account.quota_octets, account.quota_octets ? quota : "-");
	}
	read_end(&read);
	table_print(table, "no users; \"bode user add NAME@DOMAIN\" adds one");
	return EXIT_SUCCESS;
}
