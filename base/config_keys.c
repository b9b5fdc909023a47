/* base/config_keys.c - the table of keys and its explanation for people. */
#include "base/config_keys_priv.h"

#include <string.h>

static const char *const level_words[] = { "error", "warning", "info", "debug", NULL };
static const char *const helo_words[] = { "any", "strict", NULL };
static const char *const sender_domain_words[] = { "resolves", "any", NULL };
static const char *const smarthost_tls_words[] = { "starttls", "implicit", "none", NULL };
static const char *const tls_reports_words[] = { "no", "https", "yes", NULL };
static const char *const no_yes_words[] = { "no", "yes", NULL };
static const char *const plaintext_words[] = { "never", "loopback", NULL };

#define AT(member) offsetof(struct config, member)
#define MIB (1024ull * 1024)

/* clang-format off */
const struct config_key config_keys[] = {
	{ "server", "hostname", KEY_HOSTNAME, AT(hostname), 0, 0, NULL, NULL, "none: it must be set",
	  "The name of this machine as the rest of the world knows it: in greetings, in trace headers and in the certificate that is made where none is given." },
	{ "server", "state_dir", KEY_PATH, AT(state_dir), 0, 0, NULL, "/var/lib/bode", NULL,
	  "The folder of the mail store. A relative path starts from the folder of this file." },
	{ "server", "user_front", KEY_USER, AT(user_front), 0, 0, NULL, NULL, "stay who you are",
	  "The user that talks to the internet; he needs no files. Only root can change users." },
	{ "server", "user_back", KEY_USER, AT(user_back), 0, 0, NULL, NULL, "stay who you are",
	  "The user who owns state_dir. Only root can change users." },
	{ "server", "loops", KEY_NUMBER, AT(loops), 1, CONFIG_LOOPS_MAX, NULL, NULL, "one per processor",
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
	{ "listen", "sendmail", KEY_LISTEN, AT(listens), SERVICE_SENDMAIL, 0, NULL, NULL, "off",
	  "Mail from users and programs of this machine by bode sendmail, also to elsewhere: the path of a socket (/run/bode/sendmail). Who they are the kernel says; each sends as himself." },
	{ "listen", "proxy", KEY_NETWORKS, AT(proxies), AT(proxy_count), 0, NULL, NULL, "none",
	  "Networks of load balancers: each connection from there, to any port, must begin with a PROXY header (version 1 or 2), which says who the client is." },
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
	{ "auth", "plaintext", KEY_CHOICE, AT(plaintext), 0, 0, plaintext_words, "never", NULL,
	  "Who may sign in without TLS: never (nobody), or loopback (clients on this machine)." },
	{ "auth", "unauthenticate", KEY_BOOL, AT(unauthenticate), 0, 0, no_yes_words, "yes", NULL,
	  "Whether an IMAP client may sign out and sign in as another user on the same connection (UNAUTHENTICATE): yes or no. Say no where clients come through a proxy that looks at them only until they have signed in." },
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
	  "Whether a domain's mail exchanger may be an address of this machine, and its web server for policies or reports a private one: no or yes. For tests." },
	{ "relay", "smarthost", KEY_HOST, AT(smarthost), 0, 0, NULL, NULL, "none: mail goes to each domain's own exchanger",
	  "HOST:PORT of a server that takes all mail that leaves, like that of an internet provider." },
	{ "relay", "smarthost_tls", KEY_CHOICE, AT(smarthost_tls), 0, 0, smarthost_tls_words, "starttls", NULL,
	  "How the way to the smarthost is encrypted: starttls (port 587), implicit (port 465) or none. But for none, its certificate is checked, by DANE where smarthost_ca is absent and DNS has records for it." },
	{ "relay", "smarthost_user", KEY_USER, AT(smarthost_user), 0, 0, NULL, NULL, "none: no sign-in",
	  "The name with which to sign in at the smarthost." },
	{ "relay", "smarthost_password_file", KEY_PATH, AT(smarthost_password_file), 0, 0, NULL, NULL, "none",
	  "A file whose first line is the password for it; for its owner's eyes only." },
	{ "relay", "smarthost_ca", KEY_PATH, AT(smarthost_ca), 0, 0, NULL, NULL, "the system's authorities",
	  "PEM file of the authorities that may vouch for the smarthost. Read at start only." },
	{ "relay", "authorities", KEY_PATH, AT(relay_authorities), 0, 0, NULL, NULL, "the system's authorities",
	  "PEM file of the authorities that may vouch for other mail servers, where one of them has to. Read at start only." },
	{ "relay", "policy_port", KEY_NUMBER, AT(policy_port), 1, 65535, NULL, "443", NULL,
	  "Port of the web servers that are asked for their domains' policies (MTA-STS); another one is for tests." },
	{ "relay", "downgrade_delay", KEY_DURATION, AT(downgrade_delay_seconds), 0, 30 * 86400, NULL, "1 d", NULL,
	  "How long mail waits for a destination whose way was secured before and is less so now; 0: not at all." },
	{ "relay", "tls_reports", KEY_CHOICE, AT(tls_reports), 0, 0, tls_reports_words, "no", NULL,
	  "Whether domains that ask for it are told daily how connections to them were secured (RFC 8460): no; https, those that want it by HTTPS; or yes, by mail as well. Of mail, only what a DKIM signature is added to on its way (a smarthost's) is read there." },
	{ "relay", "retry", KEY_DURATIONS, AT(retry_seconds), 1, 7 * 86400, NULL, "5 min, 15 min, 30 min, 1 h, 2 h, 4 h", NULL,
	  "How long to wait before each further attempt at what could not be delivered; the last one is repeated." },
	{ "relay", "expire", KEY_DURATION, AT(expire_seconds), 1, 30 * 86400, NULL, "5 d", NULL,
	  "How long mail is tried before it goes back to its sender; RFC 5321 asks for at least 4 days." },
	{ "relay", "warn_after", KEY_DURATION, AT(warn_after_seconds), 0, 30 * 86400, NULL, "4 h", NULL,
	  "After what time a sender is told that his mail is still waiting. 0: not at all." },
	{ "relay", "suppress", KEY_DURATION, AT(suppress_seconds), 0, 365 * 86400, NULL, "7 d", NULL,
	  "How long a user's mail to an address is refused at once after the server there has said that there is no such address; `bode suppress` shows and lifts it. 0: not at all." },
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

const size_t config_key_count = ARRAY_LEN(config_keys);

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
	for (size_t i = 0; i < config_key_count; i++) {
		const struct config_key *key = &config_keys[i];
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
