/* admin/setup.c - bode setup: from nothing to a configuration, a domain and a user, and the
 * settings that clients and the DNS need. May run again: what is there stays. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/admin_priv.h"
#include "admin/terminal.h"
#include "admin/user.h"
#include "runtime/sandbox.h"

#define STATE_DIR "/var/lib/bode"

static const char template[] =
	"# Bode's configuration. \"bode config --explain\" tells of every key,\n"
	"# \"bode config check\" finds mistakes, \"systemctl reload bode\" applies changes.\n"
	"\n"
	"[server]\n"
	"hostname = %s\n"
	"state_dir = %s\n"
	"%s"
	"\n"
	"[listen]\n"
	"smtp = 0.0.0.0:25 [::]:25\n"
	"submission = 0.0.0.0:587 [::]:587\n"
	"submissions = 0.0.0.0:465 [::]:465\n"
	"imap = 0.0.0.0:143 [::]:143\n"
	"imaps = 0.0.0.0:993 [::]:993\n"
	"pop3 = 0.0.0.0:110 [::]:110\n"
	"pop3s = 0.0.0.0:995 [::]:995\n"
	"\n"
	"# Who reads mail for postmaster and abuse, which every domain has to answer to.\n"
	"[addresses]\n"
	"postmaster = %s\n"
	"\n"
	"# Without these two a self-signed certificate is made, which clients will warn about.\n"
	"[tls]\n"
	"# certificate = /etc/letsencrypt/live/%s/fullchain.pem\n"
	"# key = /etc/letsencrypt/live/%s/privkey.pem\n";

/* The option, or what the person answers. NULL: said what is missing. */
static const char *choose(struct admin *admin, const char *option, const char *question,
			  const char *fallback, const char *option_name)
{
	struct buffer answer = { 0 };
	const char *text = option;
	if (!text && terminal_ask(question, fallback, &answer))
		text = arena_string(&admin->arena, slice_trim(buffer_slice(&answer)));
	buffer_free(&answer);
	if (!text)
		admin_fail("%s is not known; give it with %s", question, option_name);
	return text;
}

static bool write_new_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "wx");
	if (!file) {
		admin_fail("%s cannot be written: %s%s", path, strerror(errno),
			   errno == ENOENT ? "; make its folder first" : "");
		return false;
	}
	bool good = fputs(text, file) >= 0;
	if (fclose(file) != 0 || !good) {
		admin_fail("%s cannot be written: %s", path, strerror(errno));
		unlink(path);
		return false;
	}
	return true;
}

/* As root the server's two users come from the package's sysusers entry. */
static const char *user_lines(void)
{
	struct sandbox_user user;
	if (geteuid() != 0 || sandbox_find_user("bode-front", &user) != ERR_OK ||
	    sandbox_find_user("bode-back", &user) != ERR_OK)
		return "";
	return "user_front = bode-front\nuser_back = bode-back\n";
}

/* What a person has to say, by options or by answers. */
struct answers {
	const char *hostname; /* NULL: there is a configuration already */
	const char *user;     /* a mail address */
	struct slice domain;
};

static bool ask(struct admin *admin, const struct admin_options *options, struct answers *answers)
{
	struct slice hostname;
	struct address user;
	char machine[256] = "";
	const char *text;
	if (access(admin->config_path, F_OK) != 0) {
		gethostname(machine, sizeof(machine) - 1);
		text = choose(admin, options->hostname, "Name of this machine in the DNS",
			      strchr(machine, '.') ? machine : NULL, "--hostname");
		if (!text || !admin_parse_domain(admin, text, &hostname))
			return false;
		answers->hostname = arena_string(&admin->arena, hostname);
	}
	text = choose(admin, options->domain, "Domain of the mail addresses", NULL, "--domain");
	if (!text || !admin_parse_domain(admin, text, &answers->domain))
		return false;
	const char *postmaster =
		arena_format(&admin->arena, "postmaster@%.*s", SLICE_ARG(answers->domain));
	text = choose(admin, options->user, "First user's mail address", postmaster, "--user");
	if (!text || !admin_parse_address(admin, text, &user))
		return false;
	answers->user = arena_string(&admin->arena, address_format(&user, &admin->arena));
	return true;
}

static bool write_config(struct admin *admin, const struct admin_options *options,
			 const struct answers *answers)
{
	const char *name = answers->hostname;
	if (!name) {
		printf("%s is there already and stays as it is.\n", admin->config_path);
		return true;
	}
	const char *state_dir = options->state_dir ? options->state_dir : STATE_DIR;
	char *config = arena_format(&admin->arena, template, name, state_dir, user_lines(),
				    answers->user, name, name);
	if (!write_new_file(admin->config_path, config))
		return false;
	printf("Wrote %s.\n", admin->config_path);
	return true;
}

struct domain_job {
	struct job job;
	struct slice domain;
};

static enum err run_add_domain(struct write *write, struct job *job)
{
	return domain_add(write, CONTAINER_OF(job, struct domain_job, job)->domain);
}

/* The port of the first listener, or 0. */
static unsigned port_of(const struct config *config, enum config_service service)
{
	for (size_t i = 0; i < config->listen_count; i++)
		if (config->listens[i].service == service)
			return config->listens[i].port;
	return 0;
}

static void print_client_settings(const struct config *config, const char *login)
{
	static const struct {
		const char *what, *security;
		enum config_service service;
	} rows[] = {
		{ "Incoming IMAP", "TLS", SERVICE_IMAPS },
		{ "Incoming IMAP", "STARTTLS", SERVICE_IMAP },
		{ "Incoming POP3", "TLS", SERVICE_POP3S },
		{ "Incoming POP3", "STARTTLS", SERVICE_POP3 },
		{ "Outgoing SMTP", "TLS", SERVICE_SUBMISSIONS },
		{ "Outgoing SMTP", "STARTTLS", SERVICE_SUBMISSION },
	};
	printf("\nSettings for a mail client (any one row of each kind):\n\n"
	       "  %-14s  %-30s  %5s  %-9s  %s\n",
	       "", "server", "port", "security", "user name");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		unsigned port = port_of(config, rows[i].service);
		if (port)
			printf("  %-14s  %-30s  %5u  %-9s  %s\n", rows[i].what, config->hostname,
			       port, rows[i].security, login);
	}
}

static void print_dns(const struct config *config, const char *domain)
{
	unsigned submissions = port_of(config, SERVICE_SUBMISSIONS);
	unsigned imaps = port_of(config, SERVICE_IMAPS), pop3s = port_of(config, SERVICE_POP3S);
	printf("\nRecords to publish in the DNS:\n\n"
	       "  %s.  A and AAAA  the addresses of this machine\n"
	       "  (and at your provider, for those addresses, the PTR record %s.)\n"
	       "  %s.  MX   10 %s.\n"
	       "  %s.  TXT  \"v=spf1 mx -all\"\n"
	       "  _dmarc.%s.  TXT  \"v=DMARC1; p=quarantine\"\n",
	       config->hostname, config->hostname, domain, config->hostname, domain, domain);
	if (submissions)
		printf("  _submissions._tcp.%s.  SRV  0 1 %u %s.\n", domain, submissions,
		       config->hostname);
	if (imaps)
		printf("  _imaps._tcp.%s.  SRV  0 1 %u %s.\n", domain, imaps, config->hostname);
	if (pop3s)
		printf("  _pop3s._tcp.%s.  SRV  10 1 %u %s.\n", domain, pop3s, config->hostname);
}

int admin_setup(struct admin *admin, int argc, char **argv)
{
	struct admin_options options;
	struct domain_job job = { .job.run = run_add_domain };
	struct answers answers = { 0 };

	if (!admin_parse_options(admin, argc, argv,
				 OPTION_HOSTNAME | OPTION_DOMAIN | OPTION_USER | OPTION_STATE_DIR |
					 OPTION_PASSWORD_STDIN,
				 0, 0, &options))
		return ADMIN_WRONG_USAGE;
	if (!ask(admin, &options, &answers) || !write_config(admin, &options, &answers) ||
	    !admin_read_config(admin) || !admin_make_state_dir(admin) || !admin_open_store(admin))
		return EXIT_FAILURE;

	job.domain = answers.domain;
	const char *domain = arena_string(&admin->arena, job.domain), *user = answers.user;
	enum err err = admin_write(admin, &job.job);
	if (err != ERR_OK && err != ERR_EXISTS)
		return admin_fail_store(err, "the domain was not added");
	printf(err == ERR_OK ? "Added the domain %s.\n" : "The domain %s is there already.\n",
	       domain);
	int status = user_add(admin, user, options.password_stdin, 0);
	if (status != EXIT_SUCCESS)
		return status;
	printf("Added the user %s.\n", user);

	print_client_settings(admin->config, user);
	print_dns(admin->config, domain);
	printf("\nStart the server with: %s%s%s\n", "bode --config ", admin->config_path, " serve");
	return EXIT_SUCCESS;
}
