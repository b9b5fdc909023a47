/* admin/admin.c - the table of subcommands, and what all of them share: options, the
 * configuration, the store.
 *
 * Runs in the admin's process; `serve` turns into the supervisor. */
#include "admin/admin.h"

#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/admin_priv.h"
#include "auth/password.h"
#include "base/heap.h"
#include "runtime/sandbox.h"
#include "storage/journal.h"

#define DEFAULT_CONFIG "/etc/bode/bode.conf"

static const struct admin_command commands[] = {
	{ "serve", "", "run the server until SIGTERM", admin_serve },
	{ "setup",
	  "[--hostname NAME] [--domain NAME] [--user ADDRESS] [--state-dir FOLDER] "
	  "[--password-stdin]",
	  "write a configuration, make the first domain and user", admin_setup },
	{ "domain add", "DOMAIN [--alias-of DOMAIN]",
	  "accept mail for a domain; as another name of one that is there", admin_domain_add },
	{ "domain set", "DOMAIN [--senders own|domain|any] [--hide-clients yes|no]",
	  "as whom its users may send; whether mail tells where it was submitted from",
	  admin_domain_set },
	{ "domain remove", "DOMAIN", "stop accepting mail for a domain", admin_domain_remove },
	{ "domain list", "[--json]", "list the domains", admin_domain_list },
	{ "user add", "ADDRESS [--password-stdin] [--quota SIZE]", "make a user and the mailboxes",
	  admin_user_add },
	{ "user remove", "ADDRESS [--yes]", "remove a user with all mail", admin_user_remove },
	{ "user list", "[--json]", "list the users", admin_user_list },
	{ "user password", "ADDRESS [--password-stdin]", "set a new password",
	  admin_user_password },
	{ "user quota", "ADDRESS [--size SIZE] [--messages N] [--json]",
	  "show or set how much mail a user may have; 0: no limit", admin_user_quota },
	{ "user limits", "ADDRESS [--messages N] [--recipients N] [--json]",
	  "show or set what a user may submit a day; 0: any number, default: as configured",
	  admin_user_limits },
	{ "user allow", "ADDRESS SENDER...", "let a user send as another address, @DOMAIN or \"*\"",
	  admin_user_allow },
	{ "user disallow", "ADDRESS SENDER...", "take that back", admin_user_disallow },
	{ "user allowed", "ADDRESS [--json]", "list as whom a user may send besides",
	  admin_user_allowed },
	{ "user administer", "ADDRESS yes|no",
	  "whether a user sets the quotas of its domain over IMAP", admin_user_administer },
	{ "share add", "ADDRESS [--quota SIZE]", "make a mailbox that belongs to several",
	  admin_share_add },
	{ "share set", "OWNER (MAILBOX | --all) USER|anyone [+|-]RIGHTS|none",
	  "set what a user may do with another's mailbox", admin_share_set },
	{ "share list", "[OWNER] [--json]", "list who may do what with whose mailboxes",
	  admin_share_list },
	{ "undelete list",
	  "ADDRESS [--mailbox NAME] [--sender TEXT] [--since TIME] [--until TIME] [--json]",
	  "list expunged mail that can be had back", admin_undelete_list },
	{ "undelete restore",
	  "ADDRESS [ID...] [--mailbox NAME] [--sender TEXT] [--since TIME] [--until TIME] [--all] "
	  "[--json]",
	  "bring expunged mail back into its mailbox", admin_undelete_restore },
	{ "alias add", "ADDRESS TARGET...", "send an address's mail to other addresses",
	  admin_alias_add },
	{ "alias remove", "ADDRESS [TARGET...]", "remove an alias, or some of its targets",
	  admin_alias_remove },
	{ "alias post", "ADDRESS anybody|users|members|nobody [ADDRESS...]",
	  "say who may post to an alias", admin_alias_post },
	{ "alias list", "[--json]", "list the aliases", admin_alias_list },
	{ "deliver", "ADDRESS [--from ADDRESS]", "file a message from standard input",
	  admin_deliver },
	{ "why", "ADDRESS|MESSAGE-ID|IP [--since TIME] [--limit N] [--json]",
	  "tell what became of a message or a connection", admin_why },
	{ "sendmail", "[OPTION...] [RECIPIENT...]",
	  "send a message as programs do by sendmail: -t -i -f -F -C -bs -bp", admin_sendmail },
	{ "queue list",
	  "[--from ADDRESS] [--to ADDRESS] [--domain DOMAIN] [--limit N] [--after ID] [--json]",
	  "list mail that leaves", admin_queue_list },
	{ "queue show", "ID [--json]", "show an entry, and what was said at each attempt",
	  admin_queue_show },
	{ "queue retry", "[ID...] [--from ADDRESS] [--to ADDRESS] [--domain DOMAIN] [--all]",
	  "try now", admin_queue_retry },
	{ "queue hold", "[ID...] [--from ADDRESS] [--to ADDRESS] [--domain DOMAIN] [--all]",
	  "do not try", admin_queue_hold },
	{ "queue release", "[ID...] [--from ADDRESS] [--to ADDRESS] [--domain DOMAIN] [--all]",
	  "try again what was held", admin_queue_release },
	{ "queue delete",
	  "[ID...] [--from ADDRESS] [--to ADDRESS] [--domain DOMAIN] [--all] [--bounce]",
	  "give up; --bounce tells the senders", admin_queue_delete },
	{ "suppress list", "[ADDRESS] [--json]",
	  "list to whom users may not write, since there is no such address", admin_suppress_list },
	{ "suppress remove", "ADDRESS RECIPIENT...", "let a user write to it again",
	  admin_suppress_remove },
	{ "tls list", "[DOMAIN] [--json]",
	  "how connections to other servers were secured, by day and domain", admin_tls_list },
	{ "status", "[--json]", "tell how the server and its store are", admin_status },
	{ "backup", "FOLDER [--scratch FOLDER]",
	  "copy everything into a folder and prove that it can be restored", admin_backup },
	{ "restore", "FOLDER [--previous] [--despite-damage]",
	  "make the store anew from a backup's folder", admin_restore },
	{ "import",
	  "--user ADDRESS [--into MAILBOX] [--format FORMAT] [--ca FILE] [--password-stdin] "
	  "[--json] SOURCE",
	  "copy mail from a Maildir, mbox, .eml files or an IMAP server", admin_import },
	{ "export", "--user ADDRESS [--format maildir|mbox] [--json] FOLDER",
	  "write a user's mail to a new folder", admin_export },
	{ "verify", "[--repair] [--json]", "check every message and record; put damage aside",
	  admin_verify },
	{ "compact", "[--json]", "give back the room that removed mail has left in the store",
	  admin_compact },
	{ "config check", "", "check the configuration file", admin_config_check },
	{ "config", "--explain", "explain every key of the configuration", admin_config_explain },
	{ "version", "", "print the version", admin_version },
};

int admin_vfail(const char *format, va_list args)
{
	fputs("bode: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	return EXIT_FAILURE;
}

int admin_fail(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	admin_vfail(format, args);
	va_end(args);
	return EXIT_FAILURE;
}

int admin_usage(const struct admin *admin, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	fputs("bode: ", stderr);
	vfprintf(stderr, format, args);
	fprintf(stderr, "; usage: bode %s %s\n", admin->command->name, admin->command->arguments);
	va_end(args);
	return ADMIN_WRONG_USAGE;
}

static void print_help(FILE *out)
{
	fputs("usage: bode [--config FILE] COMMAND\n\n", out);
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		fprintf(out, "  %-16s  %s\n                    %s\n", commands[i].name,
			commands[i].summary, commands[i].arguments);
	fputs("\nThe configuration is " DEFAULT_CONFIG " where --config names no other.\n"
	      "Exit status: 0, 1 (failed), 2 (wrong usage).\n",
	      out);
}

/* The row whose words begin argv; the longest wins ("config check" before "config"). */
static const struct admin_command *find_command(int argc, char **argv, int *words_out)
{
	const struct admin_command *found = NULL;
	*words_out = 0;
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		const char *name = commands[i].name;
		const char *space = strchr(name, ' ');
		size_t first = space ? (size_t)(space - name) : strlen(name);
		if (argc < 1 || strlen(argv[0]) != first || strncmp(argv[0], name, first) != 0)
			continue;
		if (!space && *words_out < 1) {
			found = &commands[i];
			*words_out = 1;
		} else if (space && argc > 1 && strcmp(argv[1], space + 1) == 0) {
			found = &commands[i];
			*words_out = 2;
		}
	}
	return found;
}

bool admin_read_config(struct admin *admin)
{
	if (!admin->config)
		admin->config = config_read(admin->config_path, stderr);
	return admin->config != NULL;
}

static bool find_back_user(struct admin *admin, struct sandbox_user *user_out)
{
	if (sandbox_find_user(admin->config->user_back, user_out) == ERR_OK)
		return true;
	admin_fail(
		"there is no user \"%s\" on this machine, whom [server] user_back names; make it "
		"(systemd-sysusers does), or name another",
		admin->config->user_back);
	return false;
}

bool admin_make_state_dir(struct admin *admin)
{
	struct sandbox_user user = { 0 };
	const char *dir = admin->config->state_dir;
	if (mkdir(dir, 0700) != 0) {
		if (errno == EEXIST)
			return true;
		admin_fail("the folder %s cannot be made: %s", dir, strerror(errno));
		return false;
	}
	if (geteuid() != 0 || !admin->config->user_back)
		return true;
	if (find_back_user(admin, &user)) {
		if (chown(dir, user.uid, user.gid) == 0)
			return true;
		admin_fail("the folder %s cannot be given to user \"%s\": %s", dir,
			   admin->config->user_back, strerror(errno));
	}
	rmdir(dir);
	return false;
}

/* The store's files belong to the back's user: root would leave files behind that the server
 * cannot open. */
static bool become_back(struct admin *admin)
{
	struct sandbox_user user;
	if (geteuid() != 0 || !admin->config->user_back || admin->keeps_user)
		return true;
	if (!find_back_user(admin, &user))
		return false;
	if (setgroups(0, NULL) != 0 || setresgid(user.gid, user.gid, user.gid) != 0 ||
	    setresuid(user.uid, user.uid, user.uid) != 0) {
		admin_fail("cannot become user \"%s\": %s", admin->config->user_back,
			   strerror(errno));
		return false;
	}
	/* Said here, since to root, who typed the command, "permission denied" says nothing. */
	if (access(admin->config->state_dir, R_OK | W_OK | X_OK) != 0 && errno == EACCES) {
		admin_fail("user \"%s\", whom [server] user_back names, cannot work in %s: make "
			   "the folder that user's (chown), and those above it open to all "
			   "(chmod o+x)",
			   admin->config->user_back, admin->config->state_dir);
		return false;
	}
	return true;
}

static bool open_store(struct admin *admin, enum store_mode mode)
{
	const char *why = NULL;
	if (admin->store)
		return true;
	if (!admin_read_config(admin) || !become_back(admin))
		return false;
	/* The sentence says it all; the log's line would say it again. */
	log_set_level(LOG_NOTHING);
	if (store_open(admin->config->state_dir, mode, &admin->store, &why) != ERR_OK) {
		admin_fail("%s", why ? why : "the store cannot be opened");
		return false;
	}
	log_set_level(LOG_ERROR);
	store_set_journal(admin->store, admin->config->journal_days,
			  admin->config->journal_size_octets);
	return true;
}

bool admin_open_store(struct admin *admin)
{
	return open_store(admin, STORE_CREATE);
}

bool admin_open_existing_store(struct admin *admin)
{
	return open_store(admin, STORE_ADMIN);
}

static int run(struct admin *admin, int argc, char **argv)
{
	password_start();
	int status = admin->command->run(admin, argc, argv);
	store_close(&admin->store);
	config_free(admin->config);
	arena_fini(&admin->arena);
	return status;
}

/* As a link of that name, or of those that come with it: options are sendmail's then. */
static bool is_named_sendmail(const char *path)
{
	const char *slash = path ? strrchr(path, '/') : NULL;
	const char *name = slash ? slash + 1 : path;
	return path && (strcmp(name, "sendmail") == 0 || strcmp(name, "mailq") == 0 ||
			strcmp(name, "newaliases") == 0);
}

int admin_main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'v' },
		{ 0 },
	};
	struct admin admin = { .config_path = DEFAULT_CONFIG };
	int option, words;

	/* A limit for files (ulimit -f) is an error of the write that meets it, in every process of ours: not its end. */
	signal(SIGXFSZ, SIG_IGN);
	if (argc > 0 && is_named_sendmail(argv[0])) {
		admin.command = find_command(1, (char *[]){ (char[]){ "sendmail" } }, &words);
		return run(&admin, argc, argv);
	}
	while ((option = getopt_long(argc, argv, "+c:h", options, NULL)) != -1) {
		switch (option) {
		case 'c': admin.config_path = optarg; break;
		case 'h': print_help(stdout); return EXIT_SUCCESS;
		case 'v': return admin_version(&admin, 0, NULL);
		default: print_help(stderr); return ADMIN_WRONG_USAGE;
		}
	}
	argc -= optind;
	argv += optind;
	if (argc == 1 && strcmp(argv[0], "help") == 0) {
		print_help(stdout);
		return EXIT_SUCCESS;
	}
	admin.command = find_command(argc, argv, &words);
	if (!admin.command) {
		if (argc > 0)
			fprintf(stderr, "bode: there is no command \"%s%s%s\"; these are:\n\n",
				argv[0], argc > 1 ? " " : "", argc > 1 ? argv[1] : "");
		print_help(stderr);
		return ADMIN_WRONG_USAGE;
	}
	optind = 0; /* glibc: start over for the command's own options */
	/* The command's last word stands where getopt expects the program's name. */
	return run(&admin, argc - words + 1, argv + words - 1);
}
