/* admin/arguments.c - options, addresses and sizes as people type them. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "admin/admin_priv.h"
#include "base/clock.h"

static const struct {
	struct option option;
	enum admin_option bit;
} known[] = {
	{ { "json", no_argument, NULL, 'j' }, OPTION_JSON },
	{ { "password-stdin", no_argument, NULL, 'p' }, OPTION_PASSWORD_STDIN },
	{ { "yes", no_argument, NULL, 'y' }, OPTION_YES },
	{ { "hostname", required_argument, NULL, 'n' }, OPTION_HOSTNAME },
	{ { "domain", required_argument, NULL, 'd' }, OPTION_DOMAIN },
	{ { "user", required_argument, NULL, 'u' }, OPTION_USER },
	{ { "state-dir", required_argument, NULL, 's' }, OPTION_STATE_DIR },
	{ { "quota", required_argument, NULL, 'q' }, OPTION_QUOTA },
	{ { "from", required_argument, NULL, 'f' }, OPTION_FROM },
	{ { "scratch", required_argument, NULL, 'S' }, OPTION_SCRATCH },
	{ { "previous", no_argument, NULL, 'P' }, OPTION_PREVIOUS },
	{ { "despite-damage", no_argument, NULL, 'D' }, OPTION_DESPITE_DAMAGE },
	{ { "into", required_argument, NULL, 'i' }, OPTION_INTO },
	{ { "format", required_argument, NULL, 'F' }, OPTION_FORMAT },
	{ { "ca", required_argument, NULL, 'C' }, OPTION_CA },
	{ { "mailbox", required_argument, NULL, 'm' }, OPTION_MAILBOX },
	{ { "sender", required_argument, NULL, 'e' }, OPTION_SENDER },
	{ { "since", required_argument, NULL, 'b' }, OPTION_SINCE },
	{ { "until", required_argument, NULL, 't' }, OPTION_UNTIL },
	{ { "all", no_argument, NULL, 'a' }, OPTION_ALL },
	{ { "size", required_argument, NULL, 'z' }, OPTION_SIZE },
	{ { "messages", required_argument, NULL, 'M' }, OPTION_MESSAGES },
	{ { "alias-of", required_argument, NULL, 'A' }, OPTION_ALIAS_OF },
	{ { "senders", required_argument, NULL, 'E' }, OPTION_SENDERS },
	{ { "recipients", required_argument, NULL, 'R' }, OPTION_RECIPIENTS },
	{ { "hide-clients", required_argument, NULL, 'H' }, OPTION_HIDE_CLIENTS },
	{ { "limit", required_argument, NULL, 'l' }, OPTION_LIMIT },
	{ { "after", required_argument, NULL, 'x' }, OPTION_AFTER },
	{ { "to", required_argument, NULL, 'T' }, OPTION_TO },
	{ { "bounce", no_argument, NULL, 'B' }, OPTION_BOUNCE },
	{ { "repair", no_argument, NULL, 'r' }, OPTION_REPAIR },
};

bool admin_parse_options(const struct admin *admin, int argc, char **argv, unsigned allowed,
			 int least, int most, struct admin_options *options_out)
{
	struct option options[ARRAY_LEN(known) + 1] = { 0 };
	size_t count = 0;
	int option;

	*options_out = (struct admin_options){ 0 };
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (allowed & known[i].bit)
			options[count++] = known[i].option;
	opterr = 0;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'j': options_out->json = true; break;
		case 'p': options_out->password_stdin = true; break;
		case 'y': options_out->yes = true; break;
		case 'n': options_out->hostname = optarg; break;
		case 'd': options_out->domain = optarg; break;
		case 'u': options_out->user = optarg; break;
		case 's': options_out->state_dir = optarg; break;
		case 'q': options_out->quota = optarg; break;
		case 'f': options_out->from = optarg; break;
		case 'S': options_out->scratch = optarg; break;
		case 'P': options_out->previous = true; break;
		case 'D': options_out->despite_damage = true; break;
		case 'i': options_out->into = optarg; break;
		case 'F': options_out->format = optarg; break;
		case 'C': options_out->ca = optarg; break;
		case 'm': options_out->mailbox = optarg; break;
		case 'e': options_out->sender = optarg; break;
		case 'b': options_out->since = optarg; break;
		case 't': options_out->until = optarg; break;
		case 'a': options_out->all = true; break;
		case 'z': options_out->size = optarg; break;
		case 'M': options_out->messages = optarg; break;
		case 'A': options_out->alias_of = optarg; break;
		case 'E': options_out->senders = optarg; break;
		case 'R': options_out->recipients = optarg; break;
		case 'H': options_out->hide_clients = optarg; break;
		case 'l': options_out->limit = optarg; break;
		case 'x': options_out->after = optarg; break;
		case 'T': options_out->to = optarg; break;
		case 'B': options_out->bounce = true; break;
		case 'r': options_out->repair = true; break;
		default:
			admin_usage(admin, "\"%s\" is not understood", argv[optind - 1]);
			return false;
		}
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
