/* admin/admin_priv.h - what the subcommands share. One thread. */
#pragma once

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/config.h"
#include "base/log.h"
#include "mail/address.h"
#include "storage/account.h"

enum { ADMIN_WRONG_USAGE = 2 };

struct admin;
struct admin_command {
	const char *name;      /* one word or two */
	const char *arguments; /* for help */
	const char *summary;
	/* argv[0] is the command's last word. Returns the exit status. */
	int (*run)(struct admin *admin, int argc, char **argv);
};

struct admin {
	const char *config_path;
	const struct admin_command *command;
	struct config *config; /* admin_read_config() */
	struct store *store;   /* admin_open_store() */
	struct arena arena;    /* until the program ends */
	bool keeps_user;       /* root stays root: files of others are read or written */
};

int admin_serve(struct admin *admin, int argc, char **argv);
int admin_setup(struct admin *admin, int argc, char **argv);
int admin_domain_add(struct admin *admin, int argc, char **argv);
int admin_domain_remove(struct admin *admin, int argc, char **argv);
int admin_domain_set(struct admin *admin, int argc, char **argv);
int admin_domain_list(struct admin *admin, int argc, char **argv);
int admin_user_add(struct admin *admin, int argc, char **argv);
int admin_user_remove(struct admin *admin, int argc, char **argv);
int admin_user_list(struct admin *admin, int argc, char **argv);
int admin_user_password(struct admin *admin, int argc, char **argv);
int admin_user_quota(struct admin *admin, int argc, char **argv);
int admin_user_limits(struct admin *admin, int argc, char **argv);
int admin_user_allow(struct admin *admin, int argc, char **argv);
int admin_user_disallow(struct admin *admin, int argc, char **argv);
int admin_user_allowed(struct admin *admin, int argc, char **argv);
int admin_user_administer(struct admin *admin, int argc, char **argv);
int admin_share_add(struct admin *admin, int argc, char **argv);
int admin_share_set(struct admin *admin, int argc, char **argv);
int admin_share_list(struct admin *admin, int argc, char **argv);
int admin_undelete_list(struct admin *admin, int argc, char **argv);
int admin_undelete_restore(struct admin *admin, int argc, char **argv);
int admin_alias_add(struct admin *admin, int argc, char **argv);
int admin_alias_remove(struct admin *admin, int argc, char **argv);
int admin_alias_post(struct admin *admin, int argc, char **argv);
int admin_alias_list(struct admin *admin, int argc, char **argv);
int admin_queue_list(struct admin *admin, int argc, char **argv);
int admin_queue_show(struct admin *admin, int argc, char **argv);
int admin_queue_retry(struct admin *admin, int argc, char **argv);
int admin_queue_hold(struct admin *admin, int argc, char **argv);
int admin_queue_release(struct admin *admin, int argc, char **argv);
int admin_queue_delete(struct admin *admin, int argc, char **argv);
int admin_suppress_list(struct admin *admin, int argc, char **argv);
int admin_suppress_remove(struct admin *admin, int argc, char **argv);
int admin_tls_list(struct admin *admin, int argc, char **argv);
int admin_import(struct admin *admin, int argc, char **argv);
int admin_export(struct admin *admin, int argc, char **argv);
int admin_sendmail(struct admin *admin, int argc, char **argv);
int admin_deliver(struct admin *admin, int argc, char **argv);
int admin_compact(struct admin *admin, int argc, char **argv);
int admin_config_check(struct admin *admin, int argc, char **argv);
int admin_config_explain(struct admin *admin, int argc, char **argv);
int admin_backup(struct admin *admin, int argc, char **argv);
int admin_restore(struct admin *admin, int argc, char **argv);
int admin_status(struct admin *admin, int argc, char **argv);
int admin_verify(struct admin *admin, int argc, char **argv);
int admin_why(struct admin *admin, int argc, char **argv);
int admin_version(struct admin *admin, int argc, char **argv);

/* "bode: ..." on standard error; returns EXIT_FAILURE. One line that says what to do. */
int admin_fail(const char *format, ...) PRINTF_LIKE(1, 2);
int admin_vfail(const char *format, va_list args) PRINTF_LIKE(1, 0);
/* The same with the command's usage behind it; returns ADMIN_WRONG_USAGE. */
int admin_usage(const struct admin *admin, const char *format, ...) PRINTF_LIKE(2, 3);
/* What a failing store means to a person; returns EXIT_FAILURE. */
int admin_fail_store(enum err err, const char *doing);

/* Each says what is wrong and returns false where it cannot. */
bool admin_read_config(struct admin *admin);
/* Where there is none yet; what root makes is the back's user's. After admin_read_config(). */
bool admin_make_state_dir(struct admin *admin);
bool admin_open_store(struct admin *admin);
/* The same where a store must be there already: nothing is made. */
bool admin_open_existing_store(struct admin *admin);

/* Options of one command: fills what the command asks for. Positional arguments are left in
 * argv[optind..argc). False: wrong usage, said already. */
struct admin_options {
	bool json, password_stdin, yes, all, previous, despite_damage, bounce, repair;
	const char *hostname, *domain, *user, *state_dir, *quota, *from, *scratch;
	const char *into, *format, *ca;
	const char *mailbox, *sender, *since, *until, *size, *messages;
	const char *alias_of, *senders, *recipients, *hide_clients;
	const char *limit, *after, *to;
};
enum admin_option {
	OPTION_JSON = 1 << 0,
	OPTION_PASSWORD_STDIN = 1 << 1,
	OPTION_YES = 1 << 2,
	OPTION_ALL = 1 << 3,
	OPTION_PREVIOUS = 1 << 4,
	OPTION_DESPITE_DAMAGE = 1 << 5,
	OPTION_BOUNCE = 1 << 6,
	OPTION_REPAIR = 1 << 7,
	OPTION_HOSTNAME = 1 << 8,
	OPTION_DOMAIN = 1 << 9,
	OPTION_USER = 1 << 10,
	OPTION_STATE_DIR = 1 << 11,
	OPTION_QUOTA = 1 << 12,
	OPTION_FROM = 1 << 13,
	OPTION_SCRATCH = 1 << 14,
	OPTION_INTO = 1 << 15,
	OPTION_FORMAT = 1 << 16,
	OPTION_CA = 1 << 17,
	OPTION_MAILBOX = 1 << 18,
	OPTION_SENDER = 1 << 19,
	OPTION_SINCE = 1 << 20,
	OPTION_UNTIL = 1 << 21,
	OPTION_SIZE = 1 << 22,
	OPTION_MESSAGES = 1 << 23,
	OPTION_ALIAS_OF = 1 << 24,
	OPTION_SENDERS = 1 << 25,
	OPTION_RECIPIENTS = 1 << 26,
	OPTION_HIDE_CLIENTS = 1 << 27,
	OPTION_LIMIT = 1 << 28,
	OPTION_AFTER = 1 << 29,
	OPTION_TO = 1 << 30,
};
/* `allowed` is a set of enum admin_option; `least` and `most` count positional arguments. */
bool admin_parse_options(const struct admin *admin, int argc, char **argv, unsigned allowed,
			 int least, int most, struct admin_options *options_out);

/* "local@domain" in normal form. False: said what is wrong. */
bool admin_parse_address(struct admin *admin, const char *text, struct address *address_out);
bool admin_parse_domain(struct admin *admin, const char *text, struct slice *domain_out);
/* Octets of "10 GiB", "500MB", "1000". False: said. */
bool admin_parse_size(const char *text, uint64_t *octets_out);
/* "2031-04-02", "2031-04-02T09:15", with seconds as well; local time. Or "3d", "12h": ago. False:
 * said. */
bool admin_parse_time(const char *text, int64_t *unix_out);
/* "1.5 GiB" for people; `out` has room for 16. */
void admin_format_size(uint64_t octets, char out[16]);

/* Runs a job alone and syncs. */
enum err admin_write(struct admin *admin, struct job *job);
