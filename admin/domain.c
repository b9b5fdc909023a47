/* admin/domain.c - bode domain add|set|remove|list. */
#include <string.h>

#include "admin/admin_priv.h"
#include "admin/table.h"

struct domain_job {
	struct job job;
	struct slice domain, alias_of;
	enum domain_senders senders; /* SENDERS_COUNT: stays as it is */
	const char *hide_clients;    /* NULL: stays as it is */
};

static const char *const senders_words[SENDERS_COUNT] = { "own", "domain", "any" };

static enum err run_add(struct write *write, struct job *job)
{
	const struct domain_job *domain = CONTAINER_OF(job, struct domain_job, job);
	if (domain->alias_of.len > 0)
		return domain_set_alias(write, domain->domain, domain->alias_of);
	return domain_add(write, domain->domain);
}

static enum err run_change(struct write *write, struct job *job)
{
	const struct domain_job *domain = CONTAINER_OF(job, struct domain_job, job);
	struct arena arena = { 0 };
	struct domain_record record;
	enum err err = domain_get(write_read(write), domain->domain, &arena, &record);
	if (domain->senders != SENDERS_COUNT)
		record.senders = domain->senders;
	if (domain->hide_clients)
		record.hides_clients = strcmp(domain->hide_clients, "yes") == 0;
	if (err == ERR_OK)
		err = domain_set(write, domain->domain, &record);
	arena_fini(&arena);
	return err;
}

static enum err run_remove(struct write *write, struct job *job)
{
	return domain_remove(write, CONTAINER_OF(job, struct domain_job, job)->domain);
}

int admin_domain_add(struct admin *admin, int argc, char **argv)
{
	struct admin_options options;
	struct domain_job job = { .job.run = run_add };

	if (!admin_parse_options(admin, argc, argv, OPTION_ALIAS_OF, 1, 1, &options))
		return ADMIN_WRONG_USAGE;
	if (!admin_parse_domain(admin, argv[optind], &job.domain) ||
	    (options.alias_of && !admin_parse_domain(admin, options.alias_of, &job.alias_of)) ||
	    !admin_open_store(admin))
		return EXIT_FAILURE;
	enum err err = admin_write(admin, &job.job);
	switch (err) {
	case ERR_OK: return EXIT_SUCCESS;
	case ERR_EXISTS:
		return admin_fail("the domain %.*s is there already", SLICE_ARG(job.domain));
	case ERR_NOT_FOUND:
		return admin_fail("there is no domain %.*s; \"bode domain list\" shows them",
				  SLICE_ARG(job.alias_of));
	case ERR_BUSY:
		return admin_fail("the domain %.*s has users, aliases or other names of its own; "
				  "remove them first",
				  SLICE_ARG(job.domain));
	case ERR_BAD_INPUT:
		return admin_fail("%.*s is another name of a domain itself; name that domain",
				  SLICE_ARG(job.alias_of));
	default: return admin_fail_store(err, "the domain was not added");
	}
}

int admin_domain_set(struct admin *admin, int argc, char **argv)
{
	struct admin_options options;
	struct domain_job job = { .job.run = run_change, .senders = SENDERS_COUNT };

	if (!admin_parse_options(admin, argc, argv, OPTION_SENDERS | OPTION_HIDE_CLIENTS, 1, 1,
				 &options))
		return ADMIN_WRONG_USAGE;
	for (unsigned i = 0; options.senders && i < SENDERS_COUNT; i++)
		if (strcmp(options.senders, senders_words[i]) == 0)
			job.senders = (enum domain_senders)i;
	if (options.senders && job.senders == SENDERS_COUNT)
		return admin_usage(admin, "\"%s\" is none of own, domain, any", options.senders);
	job.hide_clients = options.hide_clients;
	if (job.hide_clients && strcmp(job.hide_clients, "yes") != 0 &&
	    strcmp(job.hide_clients, "no") != 0)
		return admin_usage(admin, "\"%s\" is neither yes nor no", job.hide_clients);
	if (!options.senders && !job.hide_clients)
		return admin_usage(admin, "there is nothing to set");
	if (!admin_parse_domain(admin, argv[optind], &job.domain) || !admin_open_store(admin))
		return EXIT_FAILURE;
	enum err err = admin_write(admin, &job.job);
	if (err == ERR_NOT_FOUND)
		return admin_fail("there is no domain %.*s; \"bode domain list\" shows them",
				  SLICE_ARG(job.domain));
	return err == ERR_OK ? EXIT_SUCCESS : admin_fail_store(err, "the domain was not changed");
}

int admin_domain_remove(struct admin *admin, int argc, char **argv)
{
	struct admin_options options;
	struct domain_job job = { .job.run = run_remove };

	if (!admin_parse_options(admin, argc, argv, 0, 1, 1, &options))
		return ADMIN_WRONG_USAGE;
	if (!admin_parse_domain(admin, argv[optind], &job.domain) || !admin_open_store(admin))
		return EXIT_FAILURE;
	enum err err = admin_write(admin, &job.job);
	switch (err) {
	case ERR_OK: return EXIT_SUCCESS;
	case ERR_NOT_FOUND:
		return admin_fail("there is no domain %.*s; \"bode domain list\" shows them",
				  SLICE_ARG(job.domain));
	case ERR_BUSY:
		return admin_fail(
			"the domain %.*s still has users, aliases or other names; remove "
			"them first (\"bode user list\", \"bode alias list\", \"bode domain "
			"list\")",
			SLICE_ARG(job.domain));
	default: return admin_fail_store(err, "the domain was not removed");
	}
}

int admin_domain_list(struct admin *admin, int argc, char **argv)
{
	static const char *const columns[] = { "domain", "alias_of", "senders", "hide_clients" };
	struct domain_record record;
	struct admin_options options;
	struct slice domain = SLICE_NONE;

	if (!admin_parse_options(admin, argc, argv, OPTION_JSON, 0, 0, &options))
		return ADMIN_WRONG_USAGE;
	if (!admin_open_store(admin))
		return EXIT_FAILURE;
	struct table *table = table_new(options.json, columns, ARRAY_LEN(columns));
	struct read *read = read_begin(admin->store);
	while (domain_next(read, domain, &admin->arena, &domain)) {
		if (domain_get(read, domain, &admin->arena, &record) != ERR_OK)
			continue;
		table_text(table, domain);
		table_text(table, record.alias_of);
		table_text(table, slice_cstr(senders_words[record.senders]));
		table_text(table, slice_cstr(record.hides_clients ? "yes" : "no"));
	}
	read_end(&read);
	table_print(table, "no domains; \"bode domain add NAME\" adds one");
	return EXIT_SUCCESS;
}
