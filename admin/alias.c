/* admin/alias.c - bode alias add|remove|post|list: what an address stands for, and who may post to
 * it. "@example.org" is what a domain does with addresses that nothing stands at. */
#include <string.h>

#include "admin/admin_priv.h"
#include "admin/table.h"
#include "mda/recipient.h"

enum { TARGETS_MAX = 1000 };

static const char *const post_words[POST_COUNT] = { "anybody", "users", "members", "nobody" };

struct alias_job {
	struct job job;
	struct admin *admin;
	struct address address;
	enum list_post post;
	const struct slice *targets; /* the whole new list; none: remove the alias */
	size_t target_count;
};

/* An alias that would lead nowhere, in a circle or too far is refused as a whole, looked at in the
 * same transaction. */
static enum err check_alias(struct write *write, const struct alias_job *alias)
{
	const struct sender anybody = { .config = alias->admin->config, .may_relay = true };
	struct destinations found = { 0 };
	struct address address = alias->address;
	if (address.local.len == 0) /* whatever is not there */
		address.local = SLICE("\x7f");
	enum err err = recipient_resolve(write_read(write), &anybody, &address,
					 &alias->admin->arena, &found);
	return err == ERR_NOT_FOUND ? ERR_GONE : err == ERR_REFUSED ? ERR_OK : err;
}

static enum err run_set(struct write *write, struct job *job)
{
	struct alias_job *alias = CONTAINER_OF(job, struct alias_job, job);
	const struct address *address = &alias->address;
	if (alias->target_count == 0)
		return alias_remove(write, address->local, address->domain);
	enum err err = alias_set(write, address->local, address->domain, alias->targets,
				 alias->target_count);
	return err == ERR_OK ? check_alias(write, alias) : err;
}

static enum err run_post(struct write *write, struct job *job)
{
	struct alias_job *alias = CONTAINER_OF(job, struct alias_job, job);
	return alias_set_post(write, alias->address.local, alias->address.domain, alias->post,
			      alias->targets, alias->target_count);
}

/* "name@domain", or "@domain" for all that is not there. */
static bool parse_alias(struct admin *admin, const char *text, struct address *address_out)
{
	address_out->local = SLICE("");
	if (text[0] == '@')
		return admin_parse_domain(admin, text + 1, &address_out->domain);
	return admin_parse_address(admin, text, address_out);
}

static struct slice alias_text(const struct address *address, struct arena *arena)
{
	if (address->local.len > 0)
		return address_format(address, arena);
	return slice_cstr(arena_format(arena, "@%.*s", SLICE_ARG(address->domain)));
}

/* An address of ours must be there: a typing error shows at once, not when mail comes. One
 * elsewhere keeps the case of its local part, which is the other host's affair. */
static bool check_target(struct admin *admin, struct read *read, const char *text,
			 struct slice *target_out)
{
	const struct sender anybody = { .config = admin->config };
	struct destinations found = { 0 };
	struct address address, written;
	if (!admin_parse_address(admin, text, &address))
		return false;
	if (!domain_is_local(read, address.domain)) {
		if (!address_parse(slice_cstr(text), &admin->arena, &written))
			return false;
		address.local = written.local;
		*target_out = address_format(&address, &admin->arena);
		return true;
	}
	enum err err = recipient_resolve(read, &anybody, &address, &admin->arena, &found);
	if (err == ERR_NOT_FOUND) {
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
	case ERR_EXISTS:
		return admin_fail("%s is a user, so it cannot be an alias; name another address",
				  text);
	case ERR_NOT_FOUND:
		return admin_fail("there is no alias %s, or its domain %.*s is not served here; "
				  "\"bode alias list\" and \"bode domain list\" show them",
				  text, SLICE_ARG(address->domain));
	case ERR_BAD_INPUT:
		return admin_fail("%.*s is another name of a domain; add the address there "
				  "(\"bode domain list\" shows it)",
				  SLICE_ARG(address->domain));
	case ERR_GONE:
		return admin_fail("%s would lead to nobody, only in a circle; name a user, or an "
				  "alias that leads to one",
				  text);
	case ERR_LIMIT:
		return admin_fail("%s would lead to too many, or over too many aliases; name fewer "
				  "targets",
				  text);
	default: return admin_fail_store(err, "the alias was not changed");
	}
}

int admin_alias_add(struct admin *admin, int argc, char **argv)
{
	struct admin_options options;
	struct alias_job job = { .job.run = run_set, .admin = admin };
	struct address_record record = { 0 };

	if (!admin_parse_options(admin, argc, argv, 0, 2, TARGETS_MAX, &options))
		return ADMIN_WRONG_USAGE;
	const char *text = argv[optind];
	if (!parse_alias(admin, text, &job.address) || !admin_open_store(admin))
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
		return admin_fail(
			"an alias has at most %d targets; give some of them an alias of their "
			"own, and name that",
			TARGETS_MAX);
	job.targets = targets;
	return report(admin_write(admin, &job.job), text, &job.address);
}

int admin_alias_remove(struct admin *admin, int argc, char **argv)
{
	struct admin_options options;
	struct alias_job job = { .job.run = run_set, .admin = admin };
	struct address_record record = { 0 };

	if (!admin_parse_options(admin, argc, argv, 0, 1, TARGETS_MAX, &options))
		return ADMIN_WRONG_USAGE;
	const char *text = argv[optind];
	if (!parse_alias(admin, text, &job.address) || !admin_open_store(admin))
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

/* Who may post: a word, and addresses that may in any case. */
int admin_alias_post(struct admin *admin, int argc, char **argv)
{
	struct admin_options options;
	struct alias_job job = { .job.run = run_post, .admin = admin, .post = POST_COUNT };

	if (!admin_parse_options(admin, argc, argv, 0, 2, TARGETS_MAX, &options))
		return ADMIN_WRONG_USAGE;
	const char *text = argv[optind], *who = argv[optind + 1];
	for (unsigned i = 0; i < POST_COUNT; i++)
		if (strcmp(who, post_words[i]) == 0)
			job.post = (enum list_post)i;
	if (job.post == POST_COUNT)
		return admin_usage(admin, "\"%s\" is none of anybody, users, members, nobody", who);
	if (!parse_alias(admin, text, &job.address) || !admin_open_store(admin))
		return EXIT_FAILURE;
	struct slice *posters = arena_alloc_array(&admin->arena, (size_t)argc, sizeof(*posters));
	for (int i = optind + 2; i < argc; i++) {
		struct address poster;
		if (!admin_parse_address(admin, argv[i], &poster))
			return EXIT_FAILURE;
		posters[job.target_count++] = address_format(&poster, &admin->arena);
	}
	job.targets = posters;
	return report(admin_write(admin, &job.job), text, &job.address);
}

int admin_alias_list(struct admin *admin, int argc, char **argv)
{
	static const char *const columns[] = { "alias", "targets", "post", "posters" };
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
		table_text(table, alias_text(&address, &admin->arena));
		table_texts(table, record.targets, (unsigned)record.target_count);
		table_text(table, slice_cstr(post_words[record.post]));
		table_texts(table, record.posters, (unsigned)record.poster_count);
	}
	read_end(&read);
	table_print(table, "no aliases; \"bode alias add ADDRESS TARGET...\" adds one");
	return EXIT_SUCCESS;
}
