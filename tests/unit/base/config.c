/* tests/unit/base/config.c - the configuration file: values, defaults, and every error at once. */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "base/config.h"
#include "base/log.h"

struct outcome {
	struct config *config;
	char *errors;
	size_t errors_len;
};

static struct outcome parse(struct slice text)
{
	struct outcome outcome = { NULL };
	FILE *errors = open_memstream(&outcome.errors, &outcome.errors_len);
	outcome.config = config_parse("/etc/bode/bode.conf", text, errors);
	fclose(errors);
	return outcome;
}

static void drop(struct outcome *outcome)
{
	config_free(outcome->config);
	free(outcome->errors);
}

static size_t count_lines(const char *text)
{
	size_t lines = 0;
	for (; *text; text++)
		lines += *text == '\n';
	return lines;
}

static void assert_refused(const char *body, const char *complaint)
{
	char text[1024];
	snprintf(text, sizeof(text), "[server]\nhostname = mx.example.org\n%s", body);
	struct outcome o = parse(slice_cstr(text));
	assert_null(o.config);
	if (!strstr(o.errors, complaint) || count_lines(o.errors) != 1)
		fail_msg("wanted one line with \"%s\", got:\n%s", complaint, o.errors);
	drop(&o);
}

static void reads_every_kind_of_value(void **state)
{
	struct outcome o = parse(SLICE("# a comment\n"
				       "[server]\n"
				       "hostname = mail.example.org   ; who we are\n"
				       "state_dir = data\r\n"
				       "user_front = bode-front\n"
				       "loops = 3\n"
				       "log_level = Debug\n"
				       "[listen]\n"
				       "  smtp = 127.0.0.1:2525\t[0:0:0:0:0:0:0:1]:2525\n"
				       "imaps=0.0.0.0:993\n"
				       "[tls]\n"
				       "certificate = /etc/ssl/mail.pem\n"
				       "key = mail.key\n"
				       "[auth]\n"
				       "plaintext = loopback\n"
				       "[limits]\n"
				       "message_size = 20 MiB\n"
				       "idle_imap = 45 min\n"
				       "idle_pop3 = 700\n"
				       "exempt = 10.0.0.0/8 ::1 2001:db8::/32\n"));
	assert_string_equal(o.errors, "");
	assert_non_null(o.config);
	assert_string_equal(o.config->hostname, "mail.example.org");
	assert_string_equal(o.config->state_dir, "/etc/bode/data");
	assert_string_equal(o.config->user_front, "bode-front");
	assert_null(o.config->user_back);
	assert_int_equal(o.config->loops, 3);
	assert_int_equal(o.config->log_level, LOG_DEBUG);
	assert_int_equal(o.config->listen_count, 3);
	assert_string_equal(o.config->listens[0].address, "127.0.0.1");
	assert_string_equal(o.config->listens[1].address, "::1");
	assert_int_equal(o.config->listens[1].port, 2525);
	assert_int_equal(o.config->listens[2].service, SERVICE_IMAPS);
	assert_string_equal(o.config->certificate, "/etc/ssl/mail.pem");
	assert_string_equal(o.config->key, "/etc/bode/mail.key");
	assert_int_equal(o.config->plaintext, PLAINTEXT_LOOPBACK);
	assert_int_equal(o.config->message_size_octets, 20 * 1024 * 1024);
	assert_int_equal(o.config->idle_imap_seconds, 45 * 60);
	assert_int_equal(o.config->idle_pop3_seconds, 700);
	assert_int_equal(o.config->exempt_count, 3);
	assert_string_equal(o.config->exempt[2], "2001:db8::/32");
	drop(&o);
}

static void fills_in_defaults(void **state)
{
	struct outcome o = parse(SLICE("\xef\xbb\xbf[server]\nhostname=localhost"));
	assert_string_equal(o.errors, "");
	assert_non_null(o.config);
	assert_string_equal(o.config->state_dir, "/var/lib/bode");
	assert_true(o.config->loops >= 1);
	assert_int_equal(o.config->log_level, LOG_INFO);
	assert_int_equal(o.config->listen_count, 0);
	assert_null(o.config->certificate);
	assert_int_equal(o.config->plaintext, PLAINTEXT_NEVER);
	assert_int_equal(o.config->message_size_octets, 50 * 1024 * 1024);
	assert_int_equal(o.config->idle_imap_seconds, 1800);
	drop(&o);
}

static void reports_all_errors_with_their_lines(void **state)
{
	struct outcome o = parse(SLICE("port = 25\n"
				       "[server]\n"
				       "hostnam = a.example\n"
				       "state_dir\n"
				       "loops = many\n"
				       "[listen\n"
				       "[limit]\n"
				       "recipients = 5\n"
				       "[limits]\n"
				       "recipients = 5\n"));
	static const char *const wanted[] = {
		"bode.conf:1: \"port\" stands before any section",
		"bode.conf:3: unknown key \"hostnam\" in [server]",
		"bode.conf:4: \"state_dir\" has no value",
		"bode.conf:5: [server] loops must be a number from 1 to 256",
		"bode.conf:6: a section's name ends with \"]\"",
		"bode.conf:7: unknown section [limit]",
		"bode.conf:10: [limits] recipients must be a number from 100 to 10000",
		"bode.conf: [server] hostname is missing",
	};
	assert_null(o.config);
	for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
		if (!strstr(o.errors, wanted[i]))
			fail_msg("\"%s\" is missing from:\n%s", wanted[i], o.errors);
	assert_int_equal(count_lines(o.errors), ARRAY_LEN(wanted));
	drop(&o);
}

static void refuses_what_it_must(void **state)
{
	assert_refused("hostname = b.example\n",
		       ":3: [server] hostname is given already in line 2");
	assert_refused("[listen]\nimap = localhost:143\n",
		       ":4: [listen] imap must be ADDRESS:PORT");
	assert_refused("[listen]\nimap = ::1:143\n", "must be ADDRESS:PORT");
	assert_refused("[listen]\nimap = [127.0.0.1]:143\n", "must be ADDRESS:PORT");
	assert_refused("[listen]\nimap = 127.0.0.1:65536\n", "must be ADDRESS:PORT");
	assert_refused("[listen]\nimap = 127.0.0.1:0\n", "must be ADDRESS:PORT");
	assert_refused("[listen]\nimap = 127.0.0.1\n", "must be ADDRESS:PORT");
	assert_refused("[listen]\nimap = 127.0.0.1:143\npop3 = 127.0.0.1:143\n",
		       ":5: [listen] pop3 has an address and port that are given already");
	assert_refused("[tls]\nkey = a.key\n", ":4: [tls] key is set, certificate is not");
	assert_refused("[limits]\nexempt =\n", ":4: [limits] exempt has no value");
	assert_refused("[auth]\nplaintext = always\n", "must be one of: never loopback");
	assert_refused("[limits]\nmessage_size = 50 MB\n", "must be a size like");
	assert_refused("[limits]\nmessage_size = 99999999999 GiB\n", "must be a size like");
	assert_refused("[limits]\nexempt = 10.0.0.0/33\n", "must be networks like");
	assert_refused("[smtp]\ndns_lists = bl.example:0\n", "must be ZONE, ZONE:WEIGHT or");
	assert_refused("[smtp]\ndns_lists = bl.example:\n", "must be ZONE, ZONE:WEIGHT or");
	assert_refused("[smtp]\ndns_lists = b!l.example\n", "must be ZONE, ZONE:WEIGHT or");
	assert_refused("[smtp]\ndns_lists = bl.example=::1:2\n", "must be ZONE, ZONE:WEIGHT or");
	assert_refused("[dns]\nforward = 192.0.2.1\n", "must be ADDRESS:PORT");
	assert_refused("[dns]\nforward = one.example:53\n", "must be ADDRESS:PORT");
	assert_refused("[limits]\nexempt = 10.0.0/8\n", "must be networks like");
	assert_refused("[limits]\nidle_imap = 2 weeks\n", "must be a time like");
	assert_refused("[limits]\nconnections = 10\nconnections_per_address = 11\n",
		       ":5: [limits] connections_per_address is more than connections");
}

static void refuses_bad_host_names(void **state)
{
	static const char *const names[] = { "-a.example",  "a-.example", "a..example",
					     ".example",    "a.example.", "m\xc3\xbcller.example",
					     "a_b.example", "a.example b" };
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		char text[128];
		snprintf(text, sizeof(text), "[server]\nhostname = %s\n", names[i]);
		struct outcome o = parse(slice_cstr(text));
		assert_null(o.config);
		assert_non_null(strstr(o.errors, ":2: [server] hostname must"));
		drop(&o);
	}
}

static void survives_strange_files(void **state)
{
	struct outcome o = parse(SLICE("[server]\nhost\0name = a\n"));
	assert_null(o.config);
	assert_non_null(strstr(o.errors, ":2: the line holds a NUL octet"));
	drop(&o);

	static char text[20000];
	memset(text, 'x', sizeof(text));
	o = parse(slice_of(text, sizeof(text)));
	assert_null(o.config);
	assert_non_null(strstr(o.errors, ":1: the line is too long"));
	drop(&o);

	o = parse(SLICE_NONE);
	assert_null(o.config);
	drop(&o);
}

/* The explanation is a configuration itself; with its comment signs taken off, the keys that
 * have a default read as that default. */
static void explanation_is_a_configuration(void **state)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	config_explain(out);
	fclose(out);
	assert_non_null(strstr(text, "#message_size = 50 MiB\n"));
	assert_non_null(strstr(text, "[listen]\n"));
	for (char *at = strstr(text, "\n#"); at; at = strstr(at + 1, "\n#")) {
		const char *value = strchr(at, '=');
		if (at[2] != ' ' && value && value[1] == ' ')
			at[1] = ' ';
	}
	char *hostname = strstr(text, "#hostname =");
	assert_non_null(hostname);
	hostname[0] = ' ';
	hostname[strlen("#hostname =")] = 'a'; /* where the line ended */
	struct outcome o = parse(slice_of(text, len));
	assert_string_equal(o.errors, "");
	assert_non_null(o.config);
	drop(&o);
	free(text);
}

static void reads_how_mail_leaves(void **state)
{
	struct outcome o = parse(SLICE("[server]\nhostname = a\n"));
	assert_int_equal(o.config->relay_port, 25);
	assert_false(o.config->relay_loopback);
	assert_null(o.config->smarthost);
	assert_int_equal(o.config->retry_count, 6);
	assert_int_equal(o.config->retry_seconds[0], 300);
	assert_int_equal(o.config->retry_seconds[5], 4 * 3600);
	assert_int_equal(o.config->expire_seconds, 5 * 86400);
	drop(&o);
	o = parse(SLICE(
		"[server]\nhostname = a\n[relay]\nport = 2525\nloopback = yes\n"
		"smarthost = Mail.Example.org:587\nsmarthost_tls = implicit\n"
		"retry = 1 s,2 min , 3\n"
		"[route Example.COM]\nto = lmtp:[::1]:24\n"
		"[route a-very-long-label-so-that-it-does-not-fit-into-fifty-octets.example]\n"
		"to = smtp:mx.example.net:25\n"));
	assert_string_equal(o.errors, "");
	assert_int_equal(o.config->relay_port, 2525);
	assert_true(o.config->relay_loopback);
	assert_string_equal(o.config->smarthost, "mail.example.org");
	assert_int_equal(o.config->smarthost_port, 587);
	assert_int_equal(o.config->smarthost_tls, SMARTHOST_IMPLICIT);
	assert_int_equal(o.config->retry_count, 3);
	assert_int_equal(o.config->retry_seconds[1], 120);
	assert_int_equal(o.config->route_count, 2);
	assert_string_equal(o.config->routes[0].domain, "example.com");
	assert_true(o.config->routes[0].lmtp);
	assert_string_equal(o.config->routes[0].host, "::1");
	assert_int_equal(o.config->routes[0].port, 24);
	assert_string_equal(o.config->routes[1].domain,
			    "a-very-long-label-so-that-it-does-not-fit-into-fifty-octets.example");
	drop(&o);
	o = parse(SLICE("[server]\nhostname = a\n[relay]\nretry = 1 s,,2\nsmarthost = nohost\n"
			"smarthost_user = me\n[route x_y]\nto = smtp:a:1\n"
			"[route b.example]\nto = http:a:1\n[route b.example]\nto = smtp:a:0\n"));
	assert_null(o.config);
	static const char *const complaints[] = {
		":4: [relay] retry",
		":5: [relay] smarthost must be",
		"smarthost_password_file is not",
		":7: [route DOMAIN]",
		":10: [route b.example] to",
		":12: [route b.example] to",
	};
	for (size_t i = 0; i < ARRAY_LEN(complaints); i++)
		assert_non_null(strstr(o.errors, complaints[i]));
	drop(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_every_kind_of_value),
		cmocka_unit_test(fills_in_defaults),
		cmocka_unit_test(reports_all_errors_with_their_lines),
		cmocka_unit_test(refuses_what_it_must),
		cmocka_unit_test(reads_how_mail_leaves),
		cmocka_unit_test(refuses_bad_host_names),
		cmocka_unit_test(survives_strange_files),
		cmocka_unit_test(explanation_is_a_configuration),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
