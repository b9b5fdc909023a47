/* admin/suppress.c - bode suppress list|remove: to whom users may not write for a while, since the
 * other side has said that there is no such address. */
#include <inttypes.h>
#include <time.h>

#include "admin/admin_priv.h"
#include "admin/table.h"
#include "admin/user.h"
#include "base/clock.h"
#include "storage/suppression.h"

/* "2031-04-02 09:15" of the time until which it holds; "over" where that has passed. */
static void until(const struct admin *admin, const struct suppression *suppression, char out[32])
{
	struct tm tm;
	time_t end = (time_t)(suppression->at_unix + admin->config->suppress_seconds);
	if (end <= clock_unix())
		snprintf(out, 32, "over");
	else if (!localtime_r(&end, &tm) || strftime(out, 32, "%Y-%m-%d %H:%M", &tm) == 0)
		snprintf(out, 32, "%" PRId64, (int64_t)end);
}

static void add_rows(struct admin *admin, struct read *read, struct table *table,
		     const struct account *account)
{
	struct suppression suppression = { 0 };
	char text[32];
	while (suppression_next(read, account->account_id, suppression.address, &admin->arena,
				&suppression)) {
		until(admin, &suppression, text);
		table_text(table, account->login);
		table_text(table, suppression.address);
		table_text(table, slice_cstr(arena_format(&admin->arena, "%s", text)));
		table_text(table, suppression.words);
	}
}

int admin_suppress_list(struct admin *admin, int argc, char **argv)
{
	static const char *const columns[] = { "user", "address", "until", "why" };
	struct admin_options options;
	struct account account = { 0 };
	uint32_t account_id = 0;

	if (!admin_parse_options(admin, argc, argv, OPTION_JSON, 0, 1, &options))
		return ADMIN_WRONG_USAGE;
	if (optind < argc ? !user_find(admin, argv[optind], &account)
			  : !admin_open_existing_store(admin))
		return EXIT_FAILURE;
	struct table *table = table_new(options.json, columns, ARRAY_LEN(columns));
	struct read *read = read_begin(admin->store);
	if (optind < argc)
		add_rows(admin, read, table, &account);
	else
		while (account_next(read, &account_id, &admin->arena, &account))
			add_rows(admin, read, table, &account);
	read_end(&read);
	table_print(table, "every address may be written to");
	return EXIT_SUCCESS;
}

struct removal {
	struct job job;
	uint32_t account_id;
	struct slice *addresses;
	size_t count;
};

static enum err run_removal(struct write *write, struct job *job)
{
	struct removal *removal = CONTAINER_OF(job, struct removal, job);
	enum err err = ERR_OK;
	for (size_t i = 0; err == ERR_OK && i < removal->count; i++)
		err = suppression_remove(write, removal->account_id, removal->addresses[i]);
	return err;
}

int admin_suppress_remove(struct admin *admin, int argc, char **argv)
{
	enum { ADDRESSES_MAX = 1000 };
	struct admin_options options;
	struct account account;
	struct address address;
	struct removal removal = { .job.run = run_removal };

	if (!admin_parse_options(admin, argc, argv, 0, 2, ADDRESSES_MAX, &options))
		return ADMIN_WRONG_USAGE;
	removal.addresses =
		arena_alloc_array(&admin->arena, (size_t)argc, sizeof(*removal.addresses));
	for (int i = optind + 1; i < argc; i++) {
		if (!admin_parse_address(admin, argv[i], &address))
			return EXIT_FAILURE;
		removal.addresses[removal.count++] = address_format(&address, &admin->arena);
	}
	if (!user_find(admin, argv[optind], &account))
		return EXIT_FAILURE;
	removal.account_id = account.account_id;
	enum err err = admin_write(admin, &removal.job);
	if (err == ERR_NOT_FOUND)
		return admin_fail("there is no such address; \"bode suppress list %s\" shows them",
				  argv[optind]);
	return err == ERR_OK ? EXIT_SUCCESS : admin_fail_store(err, "nothing was changed");
}
