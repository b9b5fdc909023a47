/* base/config.h - the configuration file: INI, short, every key known.
 *
 * One table in config_keys.c lists each key with its section, type, default and explanation;
 * parsing, `bode config --explain` and the man page's list come from it. All errors are
 * reported at once, with line numbers; an unknown key is an error. A struct config is
 * constant once parsed; threads share it. */
#pragma once

#include <stdio.h>

#include "base/attributes.h"
#include "base/slice.h"

enum config_service {
	SERVICE_SMTP,	     /* port 25: mail from strangers */
	SERVICE_SUBMISSION,  /* 587, STARTTLS */
	SERVICE_SUBMISSIONS, /* 465, implicit TLS */
	SERVICE_IMAP,
	SERVICE_IMAPS,
	SERVICE_POP3,
	SERVICE_POP3S,
	SERVICE_LMTP,	  /* for programs of this machine */
	SERVICE_SENDMAIL, /* for its users: bode sendmail */
	SERVICE_COUNT,
};
/* "smtp", "submission", ...: as in [listen]. */
const char *config_service_name(enum config_service service);

struct config_listen {
	enum config_service service;
	char *address; /* "127.0.0.1", "::1": without brackets; "/run/bode/lmtp": a local socket */
	uint16_t port; /* 0: a local socket */
};

enum config_sender_domain { SENDER_DOMAIN_RESOLVES, SENDER_DOMAIN_ANY };
enum config_helo { HELO_ANY, HELO_STRICT };
/* Who is sent reports about TLS; how the way to a smarthost is encrypted. */
enum config_tls_reports { TLS_REPORTS_NO, TLS_REPORTS_HTTPS, TLS_REPORTS_YES };
enum config_smarthost_tls { SMARTHOST_STARTTLS, SMARTHOST_IMPLICIT, SMARTHOST_NONE };

/* [route DOMAIN]: mail for it goes there, whatever DNS says. */
struct config_route {
	char *domain; /* lower case */
	bool lmtp;
	char *host; /* a name, or an address without brackets */
	uint16_t port;
};

enum config_plaintext { PLAINTEXT_NEVER, PLAINTEXT_LOOPBACK };

struct config {
	/* [server] */
	char *hostname;
	char *state_dir;
	char *user_front; /* NULL: stay who you are */
	char *user_back;
	unsigned loops;	    /* session loops in front and in back; default: one per core */
	unsigned log_level; /* enum log_level */
	/* [listen] */
	struct config_listen *listens;
	size_t listen_count;
	char **proxies; /* networks whose connections begin with a PROXY header */
	size_t proxy_count;
	/* [smtp] */
	char **xclients; /* networks that may say XCLIENT */
	size_t xclient_count;
	/* [tls] */
	char *certificate; /* PEM file; NULL: self-signed, in state_dir */
	char *key;
	/* [dns] */
	char *dns_forward;	/* "192.0.2.1:53", "[::1]:53"; NULL: own recursion */
	char *dns_trust_anchor; /* file; NULL: the root's keys, built in */
	/* [smtp] */
	unsigned greet_wait_seconds; /* for strangers; 0: none */
	enum config_helo helo;
	enum config_sender_domain sender_domain;
	char *dns_lists; /* words as smtpd/dns_list_priv.h has them; NULL: none */
	unsigned dns_list_score;
	/* [auth] */
	enum config_plaintext plaintext;
	bool unauthenticate; /* an IMAP client may sign out and keep its connection */
	/* [addresses] */
	char *separators; /* of a user and a detail, each octet one; NULL: there are no details */
	char *postmaster; /* an address; NULL: the first postmaster, or the first account */
	char *origin;	  /* domain of names without one, in sendmail; NULL: hostname */
	char **literals;  /* addresses of this machine, for "user@[192.0.2.1]" */
	size_t literal_count;
	/* [relay] */
	unsigned relay_port; /* of other servers */
	bool relay_loopback; /* an MX may lead to this machine */
	char *smarthost;     /* a name, or an address without brackets; NULL: by MX */
	uint16_t smarthost_port;
	enum config_smarthost_tls smarthost_tls;
	char *smarthost_user; /* NULL: without signing in */
	char *smarthost_password_file;
	char *smarthost_ca;		  /* PEM file; NULL: the system's authorities */
	char *relay_authorities;	  /* likewise, of all other servers */
	unsigned downgrade_delay_seconds; /* 0: what was before does not matter */
	enum config_tls_reports tls_reports;
	unsigned policy_port;	 /* of web servers with policies of MTA-STS */
	unsigned *retry_seconds; /* the last one again and again */
	size_t retry_count;
	unsigned expire_seconds;
	unsigned warn_after_seconds;
	unsigned suppress_seconds; /* 0: nobody is */
	/* [route DOMAIN] */
	struct config_route *routes;
	size_t route_count;
	/* [limits] */
	uint64_t message_size_octets;	 /* default 50 MiB */
	unsigned recipients;		 /* of one message */
	unsigned undelete_days;		 /* 0: what is expunged is gone */
	unsigned journal_days;		 /* 0: nothing is noted */
	uint64_t journal_size_octets;	 /* with its index */
	unsigned scrub_days;		 /* in which everything stored is read once; 0: never */
	unsigned messages_per_day;	 /* of one account; 0: any number */
	unsigned new_recipients_per_day; /* to whom it has never written before; likewise */
	unsigned connections;		 /* of all clients together */
	unsigned connections_per_address;
	/* Of one client address, 0: no limit; eight times as much of the network around it. */
	unsigned connections_per_minute, messages_per_minute, commands_per_minute;
	unsigned errors_per_hour, unknown_recipients_per_hour;
	unsigned minimum_rate;	    /* octets a second that a message must come with; 0: any */
	unsigned protocol_errors;   /* of one connection before it is closed */
	unsigned failed_logins;	    /* of one connection before it is closed */
	unsigned idle_imap_seconds; /* RFC 9051 section 5.4: at least 30 minutes */
	unsigned idle_pop3_seconds; /* RFC 1939 section 3: at least 10 minutes */
	unsigned idle_smtp_seconds; /* RFC 5321 section 4.5.3.2.7: at least 5 minutes */
	char **exempt; /* networks "10.0.0.0/8", "::1": no rate or connection limit, no penalty delay */
	size_t exempt_count;
};

/* Parses text that came from `file_name` (for messages only). On any error writes one
 * line each, "FILE:LINE: what is wrong and what to do", to `errors` and returns NULL. */
struct config *config_parse(const char *file_name, struct slice text, FILE *errors) MUST_USE;
/* Reads the file first. NULL as above, also where it cannot be read. */
struct config *config_read(const char *file_name, FILE *errors) MUST_USE;
void config_free(struct config *config);
/* A size as the configuration writes it: "50 MiB", "10GB", "4096". */
bool config_parse_size(struct slice text, uint64_t *octets_out);
/* Every key with its default and meaning, for people. */
void config_explain(FILE *out);
