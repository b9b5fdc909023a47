/* admin/alias.c - bode alias add|remove|list. */
#include "admin/admin_priv.h"
#include "admin/table.h"

enum { TARGETS_MAX = 1000 };

struct alias_job {
	struct job job;
	struct address address;
	const struct slice *targets; /* the whole new list; none: remove the alias */
	size_t target_count;
};

static enum err run_set(struct write *write, struct job *job)
{
	struct alias_job *alias = CONTAINER_OF(job, struct alias_job, job);
	if (alias->target_count == 0)
		return alias_remove(write, alias->address.local, alias->address.domain);
	return alias_set(write, alias->address.local, alias->address.domain, alias->targets,
			 alias->target_count);
}

/* A target is an address of ours that is there: a typing error shows at once, not when mail
 * comes. */
static bool check_target(struct admin *admin, struct read *read, const char *text,
			 struct slice *target_out)
{
	struct address address;
	struct address_record record;
	if (!admin_parse_address(admin, text, &address))
		return false;
	if (!domain_is_local(read, address.domain)) {
		admin_fail("%s is not served here, and mail for elsewhere cannot be sent yet; "
			   "use an address of one of \"bode domain list\"",
			   text);
		return false;
	}
	if (address_find(read, address.local, address.domain, &admin->arena, &record) != ERR_OK) {
		admin_fail("there is no user or alias %s; add it first", text);
		return false;
	}
	*target_out = address_format(&address, &admin->arena);
	return true;
}

static bool contains(const struct slice *list, size_t count, struct slice item)
{
	for (size_t i = 0; i < count; i++)
		if (slice_eq(list[i], item))
			return true;
	return false;
}

/* The alias as it is: ERR_NOT_FOUND where there is none. */
static enum err read_alias(struct admin *admin, struct read *read, const struct address *address,
			   struct address_record *record_out)
{
	enum err err =
		address_find(read, address->local, address->domain, &admin->arena, record_out);
	if (err == ERR_OK && record_out->account_id != 0)
		return ERR_EXISTS;
	return err;
}

static int report(enum err err, const char *text, const struct address *address)
{
	switch (err) {
	case ERR_OK: return EXIT_SUCCESS;
	case ERR_EXISTS: return admin_fail("%s is a user, so it cannot be an alias", text);
	case ERR_NOT_FOUND:
		return admin_fail("there is no alias %s, or its domain %.*s is not served here; "
				  "\"bode alias list\" and \"bode domain list\" show them",
				  text, SLICE_ARG(address->domain));
	default: return admin_fail_store(err, "the alias was not changed");
	}
}

int admin_alias_add(struct admin *admin, int argc, char **argv)
{
	struct admin_options options;
	struct alias_job job = { .job.run = run_set };
	struct address_record record = { 0 };

	if (!admin_parse_options(admin, argc, argv, 0, 2, TARGETS_MAX, &options))
		return ADMIN_WRONG_USAGE;
	const char *text = argv[optind];
	if (!admin_parse_address(admin, text, &job.address) || !admin_open_store(admin))
		return EXIT_FAILURE;

	struct read *read = read_begin(admin->store);
	enum err err = read_alias(admin, read, &job.address, &record);
	bool good = err == ERR_OK || err == ERR_NOT_FOUND;
	size_t most = record.target_count + (size_t)argc;
	struct slice *targets = arena_alloc_array(&admin->arena, most, sizeof(*targets));
	for (size_t i = 0; good && i < record.target_count; i++)
		targets[job.target_count++] = arena_copy(&admin->arena, record.targets[i]);
	for (int i = optind + 1; good && i < argc; i++) {
		struct slice target;
		if (!check_target(admin, read, argv[i], &target)) {
			read_end(&read);
			return EXIT_FAILURE;
		}
		if (!contains(targets, job.target_count, target))
			targets[job.target_count++] = target;
	}
	read_end(&read);
	if (!good)
		return report(err, text, &job.address);
	if (job.target_count > TARGETS_MAX)
		return admin_fail("an alias has at most %d targets", TARGETS_MAX);
	job.targets = targets;
	return report(admin_write(admin, &job.job), text, &job.address);
}

int admin_alias_remove(struct admin *admin, int argc, char **argv)
{
	struct admin_options options;
	struct alias_job job = { .job.run = run_set };
	struct address_record record = { 0 };

	if (!admin_parse_options(admin, argc, argv, 0, 1, TARGETS_MAX, &options))
		return ADMIN_WRONG_USAGE;
	const char *text = argv[optind];
	if (!admin_parse_address(admin, text, &job.address) || !admin_open_store(admin))
		return EXIT_FAILURE;

	size_t gone_count = 0;
	struct slice *gone = arena_alloc_array(&admin->arena, (size_t)argc, sizeof(*gone));
	for (int i = optind + 1; i < argc; i++) {
		struct address target;
		if (!admin_parse_address(admin, argv[i], &target))
			return EXIT_FAILURE;
		gone[gone_count++] = address_format(&target, &admin->arena);
	}
	struct read *read = read_begin(admin->store);
	enum err err = read_alias(admin, read, &job.address, &record);
	read_end(&read);
	if (err != ERR_OK)
		return report(err, text, &job.address);
	for (size_t i = 0; i < gone_count; i++)
		if (!contains(record.targets, record.target_count, gone[i]))
			return admin_fail("%.*s is no target of %s; \"bode alias list\" shows them",
					  SLICE_ARG(gone[i]), text);
	struct slice *kept =
		arena_alloc_array(&admin->arena, record.target_count + 1, sizeof(*kept));
	for (size_t i = 0; gone_count > 0 && i < record.target_count; i++)
		if (!contains(gone, gone_count, record.targets[i]))
			kept[job.target_count++] = record.targets[i];
	job.targets = kept;
	return report(admin_write(admin, &job.job), text, &job.address);
}

int admin_alias_list(struct admin *admin, int argc, char **argv)
{
	static const char *const columns[] = { "alias", "targets" };
	struct admin_options options;
	struct address address = { 0 };
	struct address_record record;

	if (!admin_parse_options(admin, argc, argv, OPTION_JSON, 0, 0, &options))
		return ADMIN_WRONG_USAGE;
	if (!admin_open_store(admin))
		return EXIT_FAILURE;
	struct table *table = table_new(options.json, columns, ARRAY_LEN(columns));
	struct read *read = read_begin(admin->store);
	while (address_next(read, &address.local, &address.domain, &admin->arena, &record)) {
		if (record.account_id != 0)
			continue;
		table_text(table, address_format(&address, &admin->arena));
		table_texts(table, record.targets, (unsigned)record.target_count);
	}
	read_end(&read);
	table_print(table, "no aliases; \"bode alias add ADDRESS TARGET...\" adds one");
	return EXIT_SUCCESS;
}
