/* admin/tls.c - bode tls list: how connections to other servers were secured, by day and domain. Runs in
 * the admin's process. */
#include <time.h>

#include "admin/admin_priv.h"
#include "admin/table.h"
#include "runtime/tls_result.h"
#include "storage/remote.h"

static void add_row(struct table *table, const struct remote_result *counted,
		    const struct tls_result *result)
{
	enum { DAY_SECONDS = 24 * 3600 };
	char day[16], count[24];
	time_t start = (time_t)counted->day * DAY_SECONDS;
	struct tm tm;
	gmtime_r(&start, &tm);
	strftime(day, sizeof(day), "%Y-%m-%d", &tm);
	snprintf(count, sizeof(count), "%llu", (unsigned long long)counted->count);
	table_text(table, slice_cstr(day));
	table_text(table, counted->domain);
	table_text(table, slice_cstr(tls_policy_word(result->policy)));
	table_text(table, slice_cstr(tls_result_word(result->kind)));
	table_number(table, counted->count, count);
	table_text(table, result->host);
	table_text(table, result->reason);
}

int admin_tls_list(struct admin *admin, int argc, char **argv)
{
	static const char *const columns[] = { "day",	"domain", "policy", "result",
					       "count", "host",	  "why" };
	struct admin_options options;
	struct remote_place place = { 0 };
	struct remote_result counted;
	struct tls_result result;
	struct slice domain = SLICE_NONE;
	if (!admin_parse_options(admin, argc, argv, OPTION_JSON, 0, 1, &options))
		return ADMIN_WRONG_USAGE;
	if (optind < argc && !admin_parse_domain(admin, argv[optind], &domain))
		return EXIT_FAILURE;
	if (!admin_read_config(admin) || !admin_open_existing_store(admin))
		return EXIT_FAILURE;
	struct table *table = table_new(options.json, columns, ARRAY_LEN(columns));
	struct read *read = read_begin(admin->store);
	while (remote_result_next(read, &place, &admin->arena, &counted))
		if ((domain.len == 0 || slice_eq(domain, counted.domain)) &&
		    tls_result_decode(counted.what, &result))
			add_row(table, &counted, &result);
	enum err err = read_failure(read);
	read_end(&read);
	table_print(table, "no mail has gone to other servers by DNS lately");
	return err == ERR_OK ? EXIT_SUCCESS : admin_fail_store(err, "reading what was counted");
}
