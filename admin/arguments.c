/* admin/arguments.c - options, addresses and sizes as people type them. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "admin/admin_priv.h"
#include "base/clock.h"

/* A flag's member of struct admin_options is a bool, that of an option with an argument a string. */
struct known_option {
	struct option option;
	enum admin_option bit;
	size_t member_at;
};
#define FLAG_OPTION(name, bit, member)                                                      \
	{                                                                                   \
		{ name, no_argument, NULL, 0 }, bit, offsetof(struct admin_options, member) \
	}
#define TEXT_OPTION(name, bit, member)                                                            \
	{                                                                                         \
		{ name, required_argument, NULL, 0 }, bit, offsetof(struct admin_options, member) \
	}
static const struct known_option known[] = {
	FLAG_OPTION("json", OPTION_JSON, json),
	FLAG_OPTION("password-stdin", OPTION_PASSWORD_STDIN, password_stdin),
	FLAG_OPTION("yes", OPTION_YES, yes),
	FLAG_OPTION("all", OPTION_ALL, all),
	FLAG_OPTION("previous", OPTION_PREVIOUS, previous),
	FLAG_OPTION("despite-damage", OPTION_DESPITE_DAMAGE, despite_damage),
	FLAG_OPTION("bounce", OPTION_BOUNCE, bounce),
	FLAG_OPTION("repair", OPTION_REPAIR, repair),
	TEXT_OPTION("hostname", OPTION_HOSTNAME, hostname),
	TEXT_OPTION("domain", OPTION_DOMAIN, domain),
	TEXT_OPTION("user", OPTION_USER, user),
	TEXT_OPTION("state-dir", OPTION_STATE_DIR, state_dir),
	TEXT_OPTION("quota", OPTION_QUOTA, quota),
	TEXT_OPTION("from", OPTION_FROM, from),
	TEXT_OPTION("scratch", OPTION_SCRATCH, scratch),
	TEXT_OPTION("into", OPTION_INTO, into),
	TEXT_OPTION("format", OPTION_FORMAT, format),
	TEXT_OPTION("ca", OPTION_CA, ca),
	TEXT_OPTION("mailbox", OPTION_MAILBOX, mailbox),
	TEXT_OPTION("sender", OPTION_SENDER, sender),
	TEXT_OPTION("since", OPTION_SINCE, since),
	TEXT_OPTION("until", OPTION_UNTIL, until),
	TEXT_OPTION("size", OPTION_SIZE, size),
	TEXT_OPTION("messages", OPTION_MESSAGES, messages),
	TEXT_OPTION("alias-of", OPTION_ALIAS_OF, alias_of),
	TEXT_OPTION("senders", OPTION_SENDERS, senders),
	TEXT_OPTION("recipients", OPTION_RECIPIENTS, recipients),
	TEXT_OPTION("hide-clients", OPTION_HIDE_CLIENTS, hide_clients),
	TEXT_OPTION("limit", OPTION_LIMIT, limit),
	TEXT_OPTION("after", OPTION_AFTER, after),
	TEXT_OPTION("to", OPTION_TO, to),
};

static void take_option(const struct known_option *option, struct admin_options *options)
{
	void *member = (char *)options + option->member_at;
	if (option->option.has_arg == no_argument)
		*(bool *)member = true;
	else
		*(const char **)member = optarg;
}

bool admin_parse_options(const struct admin *admin, int argc, char **argv, unsigned allowed,
			 int least, int most, struct admin_options *options_out)
{
	struct option options[ARRAY_LEN(known) + 1] = { 0 };
	size_t count = 0;
	int option;

	*options_out = (struct admin_options){ 0 };
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		if (!(allowed & known[i].bit))
			continue;
		options[count] = known[i].option;
		options[count++].val = (int)i;
	}
	opterr = 0;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == '?') {
			admin_usage(admin, "\"%s\" is not understood", argv[optind - 1]);
			return false;
		}
		take_option(&known[option], options_out);
	}
	if (argc - optind < least) {
		admin_usage(admin, "too few arguments");
		return false;
	}
	if (argc - optind > most) {
		admin_usage(admin, "too many arguments");
		return false;
	}
	return true;
}

bool admin_parse_address(struct admin *admin, const char *text, struct address *address_out)
{
	struct address address;
	struct slice domain;
	if (!address_parse(slice_cstr(text), &admin->arena, &address) ||
	    !domain_normalise(address.domain, &admin->arena, &domain)) {
		admin_fail("\"%s\" is no mail address; write it as name@domain", text);
		return false;
	}
	address_out->local = local_normalise(address.local, &admin->arena);
	address_out->domain = domain;
	return true;
}

bool admin_parse_domain(struct admin *admin, const char *text, struct slice *domain_out)
{
	if (!domain_normalise(slice_cstr(text), &admin->arena, domain_out)) {
		admin_fail("\"%s\" is no domain name; write it as example.org", text);
		return false;
	}
	return true;
}

bool admin_parse_size(const char *text, uint64_t *octets_out)
{
	if (!config_parse_size(slice_cstr(text), octets_out)) {
		admin_fail("\"%s\" is no size; write it as 500 MiB or 10 GiB", text);
		return false;
	}
	return true;
}

bool admin_parse_time(const char *text, int64_t *unix_out)
{
	static const char *const forms[] = { "%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S" };
	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		struct tm tm = { .tm_isdst = -1 };
		const char *end = strptime(text, forms[i], &tm);
		if (end && *end == '\0') {
			*unix_out = (int64_t)mktime(&tm);
			return true;
		}
	}
	char *end = NULL;
	errno = 0;
	unsigned long count = strtoul(text, &end, 10);
	if (text[0] >= '0' && text[0] <= '9' && errno == 0 && count <= 100000 &&
	    (strcmp(end, "d") == 0 || strcmp(end, "h") == 0)) {
		*unix_out = clock_unix() - (int64_t)count * (*end == 'd' ? 24 * 3600 : 3600);
		return true;
	}
	admin_fail(
		"\"%s\" is no time; write it as 2031-04-02, 2031-04-02T09:15, or 3d or 12h (ago)",
		text);
	return false;
}

void admin_format_size(uint64_t octets, char out[16])
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	double value = (double)octets;
	size_t unit = 0;
	while (value >= 1024 && unit + 1 < ARRAY_LEN(units)) {
		value /= 1024;
		unit++;
	}
	if (value > 9999)
		value = 9999;
	snprintf(out, 16, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
}
