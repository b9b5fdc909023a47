/* base/config.c - the table of keys, and what follows from it: parsing, defaults, the
 * explanation. Lines are split by inih; what a value means is config_value.c's. */
#include "base/config.h"

#include <errno.h>
#include <ini.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "base/config_value_priv.h"
#include "base/heap.h"
#include "base/log.h"

enum {
	LINE_MAX_OCTETS = 4096,
	FILE_MAX_OCTETS = 1024 * 1024,
	LOOPS_MAX = 256,
	LISTENS_MAX = 64,
	NETWORKS_MAX = 256,
	ROUTES_MAX = 1000,
};

enum key_type {
	KEY_HOSTNAME,
	KEY_USER,
	KEY_PATH,     /* relative to the folder of the configuration file */
	KEY_NUMBER,   /* unsigned */
	KEY_DURATION, /* unsigned, seconds */
	KEY_SIZE,     /* uint64_t, octets */
	KEY_BOOL,     /* bool: the second of two words */
	KEY_CHOICE,   /* unsigned or an enum: the index of the word */
	KEY_DNS_LISTS,
	KEY_ENDPOINT, /* one address and port, as text */
	KEY_LISTEN,   /* struct config_listen, `min` is the service */
	KEY_NETWORKS, /* char **, `min` is where its size_t is */
	KEY_SEPARATORS,
	KEY_ADDRESS, /* of a mailbox; whether it is one, only the admin's process can tell */
	KEY_LITERALS,
	KEY_HOST,      /* the smarthost */
	KEY_DURATIONS, /* the waits between attempts */
	KEY_ROUTE,
};

struct key {
	const char *section;
	const char *name;
	enum key_type type;
	size_t offset; /* in struct config */
	uint64_t min, max;
	const char *const *choices;   /* NULL at the end */
	const char *default_text;     /* as one would write it; NULL: nothing */
	const char *default_in_words; /* where there is no text for it */
	const char *explanation;
};

static const char *const service_names[SERVICE_COUNT] = {
	"smtp", "submission", "submissions", "imap", "imaps", "pop3", "pop3s", "lmtp",
};
static const char *const level_words[] = { "error", "warning", "info", "debug", NULL };
static const char *const helo_words[] = { "any", "strict", NULL };
static const char *const sender_domain_words[] = { "resolves", "any", NULL };
static const char *const smarthost_tls_words[] = { "starttls", "implicit", "none", NULL };
static const char *const no_yes_words[] = { "no", "yes", NULL };
static const char *const plaintext_words[] = { "never", "loopback", NULL };

#define AT(member) offsetof(struct config, member)
#define MIB (1024ull * 1024)

/* clang-format off */
static const struct key keys[] = {
	{ "server", "hostname", KEY_HOSTNAME, AT(hostname), 0, 0, NULL, NULL, "none: it must be set",
	  "The name of this machine as the rest of the world knows it: in greetings, in trace headers and in the certificate that is made where none is given." },
	{ "server", "state_dir", KEY_PATH, AT(state_dir), 0, 0, NULL, "/var/lib/bode", NULL,
	  "The folder of the mail store. A relative path starts from the folder of this file." },
	{ "server", "user_front", KEY_USER, AT(user_front), 0, 0, NULL, NULL, "stay who you are",
	  "The user that talks to the internet; he needs no files. Only root can change users." },
	{ "server", "user_back", KEY_USER, AT(user_back), 0, 0, NULL, NULL, "stay who you are",
	  "The user who owns state_dir. Only root can change users." },
	{ "server", "loops", KEY_NUMBER, AT(loops), 1, LOOPS_MAX, NULL, NULL, "one per processor",
	  "Threads that serve connections, in front and back each. Read at start only." },
	{ "server", "log_level", KEY_CHOICE, AT(log_level), 0, 0, level_words, "info", NULL,
	  "The least urgent lines that are logged: error, warning, info or debug." },
	{ "listen", "smtp", KEY_LISTEN, AT(listens), SERVICE_SMTP, 0, NULL, NULL, "off",
	  "Mail from other servers (port 25). ADDRESS:PORT, IPv6 in brackets, several separated by blanks: 0.0.0.0:25 [::]:25. All of [listen] is read at start only." },
	{ "listen", "submission", KEY_LISTEN, AT(listens), SERVICE_SUBMISSION, 0, NULL, NULL, "off",
	  "Mail from our own users, after STARTTLS (port 587)." },
	{ "listen", "submissions", KEY_LISTEN, AT(listens), SERVICE_SUBMISSIONS, 0, NULL, NULL, "off",
	  "Mail from our own users, TLS from the start (port 465)." },
	{ "listen", "imap", KEY_LISTEN, AT(listens), SERVICE_IMAP, 0, NULL, NULL, "off",
	  "IMAP, with STARTTLS (port 143)." },
	{ "listen", "imaps", KEY_LISTEN, AT(listens), SERVICE_IMAPS, 0, NULL, NULL, "off",
	  "IMAP, TLS from the start (port 993)." },
	{ "listen", "pop3", KEY_LISTEN, AT(listens), SERVICE_POP3, 0, NULL, NULL, "off",
	  "POP3, with STLS (port 110)." },
	{ "listen", "pop3s", KEY_LISTEN, AT(listens), SERVICE_POP3S, 0, NULL, NULL, "off",
	  "POP3, TLS from the start (port 995)." },
	{ "listen", "lmtp", KEY_LISTEN, AT(listens), SERVICE_LMTP, 0, NULL, NULL, "off",
	  "Mail from programs of this machine by LMTP, for local recipients: the path of a socket (/run/bode/lmtp), which anybody may use who can enter its folder, or a port of 127.0.0.1 or [::1]." },
	{ "listen", "proxy", KEY_NETWORKS, AT(proxies), AT(proxy_count), 0, NULL, NULL, "none",
	  "Networks of load balancers: each connection from there, to any port, must begin with a PROXY header (version 1 or 2), which says who the client is." },
	{ "smtp", "xclient", KEY_NETWORKS, AT(xclients), AT(xclient_count), 0, NULL, NULL, "none",
	  "Networks of mail proxies and filters that may say on whose behalf they speak, by XCLIENT." },
	{ "tls", "certificate", KEY_PATH, AT(certificate), 0, 0, NULL, NULL, "a self-signed one, made in state_dir",
	  "PEM file: the server's certificate and, after it, those that lead to its authority." },
	{ "tls", "key", KEY_PATH, AT(key), 0, 0, NULL, NULL, "as for the certificate",
	  "PEM file with the certificate's private key." },
	{ "dns", "forward", KEY_ENDPOINT, AT(dns_forward), 0, 0, NULL, NULL, "ask the servers of the world directly",
	  "A DNS resolver that all questions go to, ADDRESS:PORT; it must pass on what DNSSEC needs (or see trust_anchor). [dns] is read at start only." },
	{ "dns", "trust_anchor", KEY_PATH, AT(dns_trust_anchor), 0, 0, NULL, NULL, "the keys of the root, built in",
	  "File with the DS or DNSKEY records from which DNSSEC validation starts. An empty file turns validation off." },
	{ "smtp", "greet_wait", KEY_DURATION, AT(greet_wait_seconds), 0, 60, NULL, "3 s", NULL,
	  "How long a client that has never sent good mail waits for the greeting; one that does not wait is sent away. 0: not at all." },
	{ "smtp", "helo", KEY_CHOICE, AT(helo), 0, 0, helo_words, "any", NULL,
	  "The name in a strange client's EHLO: any, or strict (a domain name with a dot or an address literal, and not ours)." },
	{ "smtp", "sender_domain", KEY_CHOICE, AT(sender_domain), 0, 0, sender_domain_words, "resolves", NULL,
	  "The domain of a stranger's reverse-path: resolves (mail from one that DNS does not know is put off), or any." },
	{ "smtp", "dns_lists", KEY_DNS_LISTS, AT(dns_lists), 0, 0, NULL, NULL, "none",
	  "Lists in DNS that strange clients are looked up in: ZONE, ZONE:WEIGHT or ZONE=NETWORK:WEIGHT, separated by blanks; NETWORK says which answers count (127.0.0.0/28), a weight below 0 is for a list of good clients." },
	{ "smtp", "dns_list_score", KEY_NUMBER, AT(dns_list_score), 1, 1000, NULL, "1", NULL,
	  "The sum of weights from which a client's mail is refused." },
	{ "auth", "plaintext", KEY_CHOICE, AT(plaintext), 0, 0, plaintext_words, "never", NULL,
	  "Who may sign in without TLS: never (nobody), or loopback (clients on this machine)." },
	{ "store", "undelete_days", KEY_NUMBER, AT(undelete_days), 0, 3650, NULL, "7", NULL,
	  "How many days expunged mail and the mail of deleted mailboxes can be had back, by `bode undelete`. 0: not at all." },
	{ "store", "scrub_days", KEY_NUMBER, AT(scrub_days), 0, 3650, NULL, "30", NULL,
	  "In how many days everything stored is read once, in the background, and its checksums compared; damage is logged. 0: never." },
	{ "journal", "days", KEY_NUMBER, AT(journal_days), 0, 3650, NULL, "30", NULL,
	  "How many days the journal is kept: who connected, what was refused and why, where each message went. `bode why` reads it. 0: nothing is noted, and what was is removed." },
	{ "journal", "size", KEY_SIZE, AT(journal_size_octets), 1 * MIB, 1024 * 1024 * MIB, NULL, "256 MiB", NULL,
	  "How large the journal may be; the oldest goes first. A message takes about 250 octets." },
	{ "addresses", "separators", KEY_SEPARATORS, AT(separators), 0, 0, NULL, "+", NULL,
	  "What may stand between a user and a detail: mail for user+detail goes to user, unless user+detail is an address itself. Several characters, like +-, or none." },
	{ "addresses", "postmaster", KEY_ADDRESS, AT(postmaster), 0, 0, NULL, NULL, "the first domain's postmaster, else the first user",
	  "Who gets mail for postmaster and abuse, which every domain has to answer to, where a domain has no such address itself." },
	{ "addresses", "origin", KEY_HOSTNAME, AT(origin), 0, 0, NULL, NULL, "hostname",
	  "The domain that `bode sendmail` puts behind names without one, as programs of this machine use them: root, www-data." },
	{ "addresses", "literals", KEY_LITERALS, AT(literals), 0, 0, NULL, NULL, "none",
	  "Addresses of this machine that mail may be sent to in brackets: user@[192.0.2.1]. They stand for hostname." },
	{ "relay", "port", KEY_NUMBER, AT(relay_port), 1, 65535, NULL, "25", NULL,
	  "The port at which other servers are spoken to. Another one is for tests." },
	{ "relay", "loopback", KEY_BOOL, AT(relay_loopback), 0, 0, no_yes_words, "no", NULL,
	  "Whether a domain whose mail exchanger is an address of this machine is tried: no or yes. For tests." },
	{ "relay", "smarthost", KEY_HOST, AT(smarthost), 0, 0, NULL, NULL, "none: mail goes to each domain's own exchanger",
	  "HOST:PORT of a server that takes all mail that leaves, like that of an internet provider." },
	{ "relay", "smarthost_tls", KEY_CHOICE, AT(smarthost_tls), 0, 0, smarthost_tls_words, "starttls", NULL,
	  "How the way to the smarthost is encrypted: starttls (port 587), implicit (port 465) or none. But for none, its certificate is checked." },
	{ "relay", "smarthost_user", KEY_USER, AT(smarthost_user), 0, 0, NULL, NULL, "none: no sign-in",
	  "The name with which to sign in at the smarthost." },
	{ "relay", "smarthost_password_file", KEY_PATH, AT(smarthost_password_file), 0, 0, NULL, NULL, "none",
	  "A file whose first line is the password for it; for its owner's eyes only." },
	{ "relay", "smarthost_ca", KEY_PATH, AT(smarthost_ca), 0, 0, NULL, NULL, "the system's authorities",
	  "PEM file of the authorities that may vouch for the smarthost. Read at start only." },
	{ "relay", "retry", KEY_DURATIONS, AT(retry_seconds), 1, 7 * 86400, NULL, "5 min, 15 min, 30 min, 1 h, 2 h, 4 h", NULL,
	  "How long to wait before each further attempt at what could not be delivered; the last one is repeated." },
	{ "relay", "expire", KEY_DURATION, AT(expire_seconds), 1, 30 * 86400, NULL, "5 d", NULL,
	  "How long mail is tried before it goes back to its sender; RFC 5321 asks for at least 4 days." },
	{ "relay", "warn_after", KEY_DURATION, AT(warn_after_seconds), 0, 30 * 86400, NULL, "4 h", NULL,
	  "After what time a sender is told that his mail is still waiting. 0: not at all." },
	{ "route DOMAIN", "to", KEY_ROUTE, 0, 0, 0, NULL, NULL, "none",
	  "Where mail for this domain goes, whatever DNS says: smtp:HOST:PORT or lmtp:HOST:PORT. A section for each domain." },
	{ "limits", "message_size", KEY_SIZE, AT(message_size_octets), 64 * 1024, 2048 * MIB, NULL, "50 MiB", NULL,
	  "The largest message that is accepted, in octets or with KiB, MiB, GiB." },
	/* RFC 5321 section 4.5.3.1.8: at least 100 */
	{ "limits", "recipients", KEY_NUMBER, AT(recipients), 100, 10000, NULL, "1000", NULL,
	  "Recipients of one message." },
	{ "limits", "messages_per_day", KEY_NUMBER, AT(messages_per_day), 0, 1000000, NULL, "1000", NULL,
	  "Messages that a user may submit in a day (of UTC). 0: any number. `bode user limits` sets others for one user." },
	{ "limits", "new_recipients_per_day", KEY_NUMBER, AT(new_recipients_per_day), 0, 1000000, NULL, "300", NULL,
	  "Recipients to whom a user has never written before, in a day (of UTC): what a stolen password is worth. 0: any number." },
	{ "limits", "connections", KEY_NUMBER, AT(connections), 1, 1000000, NULL, "10000", NULL,
	  "Connections of all clients together." },
	{ "limits", "connections_per_address", KEY_NUMBER, AT(connections_per_address), 1, 1000000, NULL, "100", NULL,
	  "Connections of one client address (IPv6: of one /64 network)." },
	{ "limits", "connections_per_minute", KEY_NUMBER, AT(connections_per_minute), 0, 1000000, NULL, "600", NULL,
	  "New connections of one client address in a minute. As for all limits per time: 0 is no limit, IPv6 counts by /64 network, and the network around (/24, IPv6 /48) may have eight times as much." },
	{ "limits", "messages_per_minute", KEY_NUMBER, AT(messages_per_minute), 0, 1000000, NULL, "1200", NULL,
	  "Messages of one client address in a minute; of strangers, not of users." },
	{ "limits", "commands_per_minute", KEY_NUMBER, AT(commands_per_minute), 0, 10000000, NULL, "60000", NULL,
	  "SMTP commands of one client address in a minute." },
	{ "limits", "errors_per_hour", KEY_NUMBER, AT(errors_per_hour), 0, 1000000, NULL, "500", NULL,
	  "Refused SMTP commands of one client address in an hour; then it is turned away for a while." },
	{ "limits", "unknown_recipients_per_hour", KEY_NUMBER, AT(unknown_recipients_per_hour), 0, 1000000, NULL, "200", NULL,
	  "Recipients that do not exist, asked for by one client address in an hour; then its recipients are put off." },
	{ "limits", "minimum_rate", KEY_NUMBER, AT(minimum_rate), 0, 1000000, NULL, "50", NULL,
	  "Octets a second, on average over idle_smtp, below which a message that dribbles in is given up. 0: none." },
	{ "limits", "protocol_errors", KEY_NUMBER, AT(protocol_errors), 1, 1000, NULL, "20", NULL,
	  "Refused commands of one connection before it is closed." },
	{ "limits", "failed_logins", KEY_NUMBER, AT(failed_logins), 1, 100, NULL, "3", NULL,
	  "Failed sign-ins of one connection before it is closed." },
	{ "limits", "idle_imap", KEY_DURATION, AT(idle_imap_seconds), 1, 86400, NULL, "30 min", NULL,
	  "How long an IMAP client may be silent; RFC 9051 asks for at least 30 min." },
	{ "limits", "idle_pop3", KEY_DURATION, AT(idle_pop3_seconds), 1, 86400, NULL, "10 min", NULL,
	  "How long a POP3 client may be silent; RFC 1939 asks for at least 10 min." },
	{ "limits", "idle_smtp", KEY_DURATION, AT(idle_smtp_seconds), 1, 86400, NULL, "5 min", NULL,
	  "How long an SMTP client may be silent; RFC 5321 asks for at least 5 min." },
	{ "limits", "exempt", KEY_NETWORKS, AT(exempt), AT(exempt_count), 0, NULL, NULL, "none",
	  "Networks that no connection limit and no penalty delay touches: 192.0.2.0/24 ::1" },
};
/* clang-format on */

struct parse {
	const char *file_name;
	FILE *errors;
	struct slice rest;
	unsigned line;
	bool section_known;
	struct slice route; /* the domain of [route DOMAIN]; empty: another section */
	unsigned error_count;
	unsigned given_in_line[ARRAY_LEN(keys)]; /* 0: not given */
	struct config *config;
};

const char *config_service_name(enum config_service service)
{
	return service_names[service];
}

/* `line` 0: about the file as a whole. */
static void complain(struct parse *parse, unsigned line, const char *format, ...) PRINTF_LIKE(3, 4);
static void complain(struct parse *parse, unsigned line, const char *format, ...)
{
	va_list args;
	parse->error_count++;
	if (line)
		fprintf(parse->errors, "%s:%u: ", parse->file_name, line);
	else
		fprintf(parse->errors, "%s: ", parse->file_name);
	va_start(args, format);
	vfprintf(parse->errors, format, args);
	va_end(args);
	fputc('\n', parse->errors);
}

static char *path_resolve(const char *file_name, struct slice path)
{
	struct buffer full = { NULL };
	const char *slash = strrchr(file_name, '/');
	if (slash && path.ptr[0] != '/')
		buffer_add(&full, slice_of(file_name, (size_t)(slash - file_name) + 1));
	buffer_add(&full, path);
	char *text = heap_string(buffer_slice(&full));
	buffer_free(&full);
	return text;
}

static const char *set_listens(struct config *config, enum config_service service,
			       struct slice text)
{
	struct slice word;
	while (value_next_word(&text, &word)) {
		char *address;
		uint16_t port;
		const char *why = service == SERVICE_LMTP
					  ? value_take_local_listen(word, &address, &port)
					  : value_take_listen(word, &address, &port);
		if (why)
			return why;
		for (size_t i = 0; i < config->listen_count && !why; i++)
			if (config->listens[i].port == port &&
			    strcmp(config->listens[i].address, address) == 0)
				why = "has an address and port that are given already in [listen]";
		if (config->listen_count == LISTENS_MAX)
			why = "is too much: [listen] may have 64 addresses in all";
		if (why) {
			free(address);
			return why;
		}
		config->listens = heap_resize(config->listens, (config->listen_count + 1) *
								       sizeof(*config->listens));
		config->listens[config->listen_count++] =
			(struct config_listen){ service, address, port };
	}
	return NULL;
}

static const char *add_network(struct slice word, char ***networks, size_t *count)
{
	const char *why = value_check_network(word);
	if (!why && *count == NETWORKS_MAX)
		why = "is too much: there may be 256";
	if (why)
		return why;
	*networks = heap_resize(*networks, (*count + 1) * sizeof(char *));
	(*networks)[(*count)++] = heap_string(word);
	return NULL;
}

static const char *set_networks(struct slice text, char ***networks, size_t *count)
{
	struct slice word;
	const char *why = NULL;
	while (!why && value_next_word(&text, &word))
		why = add_network(word, networks, count);
	return why;
}

static const char *set_literals(struct config *config, struct slice text)
{
	if (slice_find_byte(text, 0, '/') < text.len)
		return "must be addresses, like 192.0.2.1 2001:db8::1, not networks";
	return set_networks(text, &config->literals, &config->literal_count);
}

static const char *set_endpoint(char **text_out, struct slice text)
{
	char *address;
	uint16_t port;
	const char *why = value_take_listen(text, &address, &port);
	if (why)
		return "must be ADDRESS:PORT, like \"192.0.2.1:53\" or \"[::1]:53\"";
	free(address);
	*text_out = heap_string(text);
	return NULL;
}

static const char *set_route(struct config *config, struct slice domain, struct slice text)
{
	struct config_route route = { .lmtp = slice_starts_nocase(text, SLICE("lmtp:")) };
	if (!route.lmtp && !slice_starts_nocase(text, SLICE("smtp:")))
		return "must begin with smtp: or lmtp:, like \"smtp:192.0.2.1:25\"";
	const char *why = value_take_host(slice_sub(text, 5, text.len), &route.host, &route.port);
	if (why)
		return why;
	route.domain = heap_string(domain);
	for (char *at = route.domain; *at; at++)
		*at = (char)ascii_lower((uint8_t)*at);
	for (size_t i = 0; i < config->route_count && !why; i++)
		if (strcmp(config->routes[i].domain, route.domain) == 0)
			why = "is given twice for this domain: remove one of them";
	if (!why && config->route_count == ROUTES_MAX)
		why = "is too much: there may be 1000 routes";
	if (why) {
		free(route.domain);
		free(route.host);
		return why;
	}
	config->routes =
		heap_resize(config->routes, (config->route_count + 1) * sizeof(*config->routes));
	config->routes[config->route_count++] = route;
	return NULL;
}

static const char *set_choice(const struct key *key, struct slice text, unsigned *index_out)
{
	static char why[128];
	for (unsigned i = 0; key->choices[i]; i++)
		if (slice_eq_nocase(text, slice_cstr(key->choices[i]))) {
			*index_out = i;
			return NULL;
		}
	size_t len = (size_t)snprintf(why, sizeof(why), "must be one of:");
	for (unsigned i = 0; key->choices[i]; i++)
		len += (size_t)snprintf(why + len, sizeof(why) - len, " %s", key->choices[i]);
	return why;
}

/* NULL, or what is wrong. */
static const char *set_value(const char *file_name, struct config *config, const struct key *key,
			     struct slice text)
{
	void *member = (char *)config + key->offset;
	uint64_t number = 0;
	const char *why = NULL;

	if (text.len == 0)
		return "has no value: give it one, or remove the line";
	switch (key->type) {
	case KEY_HOSTNAME:
		if ((why = value_check_hostname(text)) == NULL)
			*(char **)member = heap_string(text);
		break;
	case KEY_USER: *(char **)member = heap_string(text); break;
	case KEY_PATH: *(char **)member = path_resolve(file_name, text); break;
	case KEY_NUMBER:
	case KEY_DURATION:
		why = key->type == KEY_NUMBER
			      ? value_take_number(text, key->min, key->max, &number)
			      : value_take_duration(text, key->min, key->max, &number);
		if (!why)
			*(unsigned *)member = (unsigned)number;
		break;
	case KEY_SIZE:
		if ((why = value_take_size(text, key->min, key->max, &number)) == NULL)
			*(uint64_t *)member = number;
		break;
	case KEY_BOOL: {
		unsigned index;
		if ((why = set_choice(key, text, &index)) == NULL)
			*(bool *)member = index == 1;
		break;
	}
	case KEY_CHOICE: why = set_choice(key, text, member); break;
	case KEY_DNS_LISTS:
		if ((why = value_check_dns_lists(text)) == NULL)
			*(char **)member = heap_string(text);
		break;
	case KEY_ENDPOINT: why = set_endpoint(member, text); break;
	case KEY_HOST:
		why = value_take_host(text, &config->smarthost, &config->smarthost_port);
		break;
	case KEY_DURATIONS:
		why = value_take_durations(text, key->min, key->max, &config->retry_seconds,
					   &config->retry_count);
		break;
	case KEY_ROUTE: break; /* set_route(): it needs the section's name */
	case KEY_LISTEN: why = set_listens(config, (enum config_service)key->min, text); break;
	case KEY_NETWORKS:
		why = set_networks(text, member, (size_t *)((char *)config + key->min));
		break;
	case KEY_LITERALS: why = set_literals(config, text); break;
	case KEY_SEPARATORS:
		if ((why = value_check_separators(text)) == NULL &&
		    !slice_eq_nocase(text, SLICE("none")))
			*(char **)member = heap_string(text);
		break;
	case KEY_ADDRESS:
		if ((why = value_check_address(text)) == NULL)
			*(char **)member = heap_string(text);
		break;
	}
	return why;
}

static int section_is_known(struct slice name)
{
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (slice_eq(name, slice_cstr(keys[i].section)))
			return true;
	return false;
}

/* " [server] [listen]": as the table has them. */
static const char *section_list(void)
{
	static char list[256];
	size_t len = 0;
	for (size_t i = 0; i < ARRAY_LEN(keys) && len < sizeof(list); i++)
		if (i == 0 || strcmp(keys[i].section, keys[i - 1].section) != 0)
			len += (size_t)snprintf(list + len, sizeof(list) - len, " [%s]",
						keys[i].section);
	return list;
}

/* A heading is looked at before inih sees it, which keeps silent about empty sections and
 * names only the first line that it does not understand. */
static void look_at_heading(struct parse *parse, struct slice line)
{
	size_t end = slice_find_byte(line, 1, ']');
	struct slice name = slice_sub(line, 1, end - 1);
	parse->section_known = false;
	parse->route = SLICE_NONE;
	if (end == line.len)
		complain(parse, parse->line, "a section's name ends with \"]\": add it");
	else if (slice_starts_nocase(name, SLICE("route "))) {
		parse->route = slice_trim(slice_sub(name, 6, name.len));
		if (value_check_hostname(parse->route) != NULL)
			complain(parse, parse->line,
				 "[route DOMAIN] needs a domain like \"example.org\" "
				 "(international ones in their xn-- form)");
		else
			parse->section_known = true;
	} else if (!section_is_known(name))
		complain(parse, parse->line, "unknown section [%.*s]: there are%s", SLICE_ARG(name),
			 section_list());
	else
		parse->section_known = true;
}

/* inih's reader: one line a call, which is how the handler knows its line's number. */
static char *read_line(char *out, int cap, void *user)
{
	struct parse *parse = user;
	if (parse->rest.len == 0)
		return NULL;
	size_t len = slice_find_byte(parse->rest, 0, '\n');
	struct slice line = slice_sub(parse->rest, 0, len);
	parse->rest = slice_sub(parse->rest, len + 1, parse->rest.len);
	parse->line++;

	const char *wrong = NULL;
	if (line.len + 3 > (size_t)cap)
		wrong = "the line is too long: shorten it to less than 4000 octets";
	else if (slice_find_byte(line, 0, '\0') < line.len)
		wrong = "the line holds a NUL octet: is this a text file?";
	if (wrong) {
		complain(parse, parse->line, "%s", wrong);
		line = SLICE_NONE;
	}
	struct slice trimmed = slice_trim(line);
	if (trimmed.len > 0 && trimmed.ptr[0] == '[')
		look_at_heading(parse, trimmed);
	if (line.ptr)
		memcpy(out, line.ptr, line.len);
	out[line.len] = '\n';
	out[line.len + 1] = '\0';
	return out;
}

static int take_entry(void *user, const char *section, const char *name, const char *value)
{
	struct parse *parse = user;
	const struct key *key = NULL;

	if (section[0] == '\0') {
		complain(parse, parse->line,
			 "\"%s\" stands before any section: put a heading like [server] above it",
			 name);
		return 1;
	}
	if (!parse->section_known) /* complained about already */
		return 1;
	/* inih cuts long section names, so the heading's own text counts. */
	if (parse->route.len > 0)
		section = "route DOMAIN";
	for (size_t i = 0; i < ARRAY_LEN(keys) && !key; i++)
		if (strcmp(keys[i].section, section) == 0 && strcmp(keys[i].name, name) == 0)
			key = &keys[i];
	if (!key) {
		complain(parse, parse->line,
			 "unknown key \"%s\" in [%s]: `bode config --explain` lists all keys", name,
			 section);
		return 1;
	}
	if (!value) {
		complain(parse, parse->line, "\"%s\" has no value: write %s = VALUE", name, name);
		return 1;
	}
	if (key->type == KEY_ROUTE) {
		const char *why =
			set_route(parse->config, parse->route, slice_trim(slice_cstr(value)));
		if (why)
			complain(parse, parse->line, "[route %.*s] to %s", SLICE_ARG(parse->route),
				 why);
		return 1;
	}
	unsigned *given = &parse->given_in_line[key - keys];
	if (*given) {
		complain(parse, parse->line,
			 "[%s] %s is given already in line %u: remove one of them", section, name,
			 *given);
		return 1;
	}
	*given = parse->line;
	const char *why =
		set_value(parse->file_name, parse->config, key, slice_trim(slice_cstr(value)));
	if (why)
		complain(parse, parse->line, "[%s] %s %s", section, name, why);
	return 1;
}

static unsigned processors(void)
{
	cpu_set_t set;
	int count = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
	return count < 1 ? 1 : count > LOOPS_MAX ? LOOPS_MAX : (unsigned)count;
}

static unsigned line_of(const struct parse *parse, const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (strcmp(keys[i].name, name) == 0)
			return parse->given_in_line[i];
	return 0;
}

/* Defaults, and what no single line can show. */
static void complete(struct parse *parse)
{
	struct config *config = parse->config;
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		if (parse->given_in_line[i] || !keys[i].default_text)
			continue;
		const char *why = set_value(parse->file_name, config, &keys[i],
					    slice_cstr(keys[i].default_text));
		if (why)
			complain(parse, 0, "default of %s %s", keys[i].name, why);
	}
	if (config->loops == 0)
		config->loops = processors();
	unsigned certificate = line_of(parse, "certificate"), key = line_of(parse, "key");
	if (!line_of(parse, "hostname"))
		complain(parse, 0,
			 "[server] hostname is missing: set it to the name of this machine, like "
			 "\"mail.example.org\"");
	if (!certificate != !key)
		complain(parse, certificate ? certificate : key,
			 "[tls] %s is set, %s is not: set both, or neither to use a self-signed "
			 "certificate",
			 certificate ? "certificate" : "key", certificate ? "key" : "certificate");
	unsigned user = line_of(parse, "smarthost_user");
	unsigned password = line_of(parse, "smarthost_password_file");
	if (!user != !password)
		complain(parse, user ? user : password,
			 "[relay] %s is set, %s is not: set both, or neither to use the smarthost "
			 "without signing in",
			 user ? "smarthost_user" : "smarthost_password_file",
			 user ? "smarthost_password_file" : "smarthost_user");
	if (user && config->smarthost_tls == SMARTHOST_NONE)
		complain(parse, user,
			 "[relay] smarthost_tls = none would send the password in the clear: use "
			 "starttls or implicit");
	if (config->connections_per_address > config->connections &&
	    line_of(parse, "connections_per_address"))
		complain(parse, line_of(parse, "connections_per_address"),
			 "[limits] connections_per_address is more than connections: lower it");
}

struct config *config_parse(const char *file_name, struct slice text, FILE *errors)
{
	struct parse parse = {
		.file_name = file_name,
		.errors = errors,
		.rest = text,
		.config = heap_alloc(sizeof(struct config)),
	};
	static char prefixes[] = ";#";
	if (slice_starts_nocase(text, SLICE("\xef\xbb\xbf"))) /* some editors' byte order mark */
		parse.rest = slice_sub(text, 3, text.len);
	ini_allow_multiline = false; /* an indented line is a line */
	ini_allow_no_value = true;   /* so that we name each such line, not only the first */
	ini_inline_comment_prefixes = prefixes;
	ini_use_stack = false;
	ini_initial_alloc = ini_max_line = LINE_MAX_OCTETS;

	/* Lines it cannot read have been named one by one: its own first line is no news. */
	int broken = ini_parse_stream(read_line, &parse, take_entry, &parse);
	if (broken < 0 || (broken > 0 && parse.error_count == 0))
		complain(&parse, broken > 0 ? (unsigned)broken : 0,
			 "this is no INI line: write [section], key = value or # comment");
	complete(&parse);
	if (parse.error_count > 0) {
		config_free(parse.config);
		return NULL;
	}
	return parse.config;
}

struct config *config_read(const char *file_name, FILE *errors)
{
	struct buffer text = { NULL };
	struct config *config = NULL;
	FILE *file = fopen(file_name, "re");
	if (!file) {
		fprintf(errors, "%s: cannot be read (%s): name the file with --config FILE\n",
			file_name, log_errno_name(errno));
		return NULL;
	}
	while (text.len <= FILE_MAX_OCTETS) {
		size_t len = fread(buffer_reserve(&text, 16384), 1, 16384, file);
		if (len == 0)
			break;
		text.len += len;
	}
	if (ferror(file))
		fprintf(errors, "%s: cannot be read (%s)\n", file_name, log_errno_name(errno));
	else if (text.len > FILE_MAX_OCTETS)
		fprintf(errors, "%s: is larger than 1 MiB: is this the configuration?\n",
			file_name);
	else
		config = config_parse(file_name, buffer_slice(&text), errors);
	fclose(file);
	buffer_free(&text);
	return config;
}

void config_free(struct config *config)
{
	if (!config)
		return;
	for (size_t i = 0; i < config->listen_count; i++)
		free(config->listens[i].address);
	for (size_t i = 0; i < config->exempt_count; i++)
		free(config->exempt[i]);
	for (size_t i = 0; i < config->literal_count; i++)
		free(config->literals[i]);
	free(config->literals);
	free(config->separators);
	free(config->postmaster);
	free(config->origin);
	for (size_t i = 0; i < config->route_count; i++) {
		free(config->routes[i].domain);
		free(config->routes[i].host);
	}
	free(config->routes);
	free(config->retry_seconds);
	free(config->smarthost);
	free(config->smarthost_user);
	free(config->smarthost_password_file);
	free(config->smarthost_ca);
	free(config->listens);
	for (size_t i = 0; i < config->proxy_count; i++)
		free(config->proxies[i]);
	for (size_t i = 0; i < config->xclient_count; i++)
		free(config->xclients[i]);
	free(config->proxies);
	free(config->xclients);
	free(config->exempt);
	free(config->hostname);
	free(config->state_dir);
	free(config->user_front);
	free(config->user_back);
	free(config->certificate);
	free(config->key);
	free(config->dns_forward);
	free(config->dns_lists);
	free(config->dns_trust_anchor);
	free(config);
}

static void explain_wrapped(FILE *out, const char *text)
{
	while (*text) {
		size_t len = strlen(text);
		if (len > 86) {
			len = 86;
			while (len > 0 && text[len] != ' ')
				len--;
		}
		fprintf(out, "# %.*s\n", (int)len, text);
		text += len;
		while (*text == ' ')
			text++;
	}
}

/* The output is itself a configuration file, every key commented out. */
void config_explain(FILE *out)
{
	const char *section = "";
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		const struct key *key = &keys[i];
		if (strcmp(key->section, section) != 0)
			fprintf(out, "%s[%s]\n", i ? "\n" : "", key->section);
		else
			fputc('\n', out);
		section = key->section;
		explain_wrapped(out, key->explanation);
		if (key->default_text)
			fprintf(out, "#%s = %s\n", key->name, key->default_text);
		else
			fprintf(out, "# Default: %s.\n#%s =\n", key->default_in_words, key->name);
	}
}

bool config_parse_size(struct slice text, uint64_t *octets_out)
{
	return value_take_size(text, 0, UINT64_MAX, octets_out) == NULL;
}
