/* admin/domain.c - bode domain add|remove|list. */
#include "admin/admin_priv.h"
#include "admin/table.h"

struct domain_job {
	struct job job;
	struct slice domain;
};

static enum err run_add(struct write *write, struct job *job)
{
	return domain_add(write, CONTAINER_OF(job, struct domain_job, job)->domain);
}

static enum err run_remove(struct write *write, struct job *job)
{
	return domain_remove(write, CONTAINER_OF(job, struct domain_job, job)->domain);
}

int admin_domain_add(struct admin *admin, int argc, char **argv)
{
	struct admin_options options;
	struct domain_job job = { .job.run = run_add };

	if (!admin_parse_options(admin, argc, argv, 0, 1, 1, &options))
		return ADMIN_WRONG_USAGE;
	if (!admin_parse_domain(admin, argv[optind], &job.domain) || !admin_open_store(admin))
		return EXIT_FAILURE;
	enum err err = admin_write(admin, &job.job);
	switch (err) {
	case ERR_OK: return EXIT_SUCCESS;
	case ERR_EXISTS:
		return admin_fail("the domain %.*s is there already", SLICE_ARG(job.domain));
	default: return admin_fail_store(err, "the domain was not added");
	}
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
		return admin_fail("the domain %.*s still has users or aliases; remove them first "
				  "(\"bode user list\", \"bode alias list\")",
				  SLICE_ARG(job.domain));
	default: return admin_fail_store(err, "the domain was not removed");
	}
}

int admin_domain_list(struct admin *admin, int argc, char **argv)
{
	static const char *const columns[] = { "domain" };
	struct admin_options options;
	struct slice domain = SLICE_NONE;

	if (!admin_parse_options(admin, argc, argv, OPTION_JSON, 0, 0, &options))
		return ADMIN_WRONG_USAGE;
	if (!admin_open_store(admin))
		return EXIT_FAILURE;
	struct table *table = table_new(options.json, columns, ARRAY_LEN(columns));
	struct read *read = read_begin(admin->store);
	while (domain_next(read, domain, &admin->arena, &domain))
		table_text(table, domain);
	read_end(&read);
	table_print(table, "no domains; \"bode domain add NAME\" adds one");
	return EXIT_SUCCESS;
}
