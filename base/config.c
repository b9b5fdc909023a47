/* base/config.c - the configuration file: its lines, its errors, its defaults. Lines are split
 * by inih; config_keys.c has the keys, config_set.c puts their values in place. */
#include "base/config.h"

#include <errno.h>
#include <ini.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "base/config_keys_priv.h"
#include "base/config_value_priv.h"
#include "base/heap.h"
#include "base/log.h"

enum {
	LINE_MAX_OCTETS = 4096,
	FILE_MAX_OCTETS = 1024 * 1024,
};

static const char *const service_names[SERVICE_COUNT] = {
	"smtp", "submission", "submissions", "imap", "imaps", "pop3", "pop3s", "lmtp", "sendmail",
};

struct parse {
	const char *file_name;
	FILE *errors;
	struct slice rest;
	unsigned line;
	bool section_known;
	struct slice route; /* the domain of [route DOMAIN]; empty: another section */
	unsigned error_count;
	unsigned *given_in_line; /* by key; 0: not given */
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

static int section_is_known(struct slice name)
{
	for (size_t i = 0; i < config_key_count; i++)
		if (slice_eq(name, slice_cstr(config_keys[i].section)))
			return true;
	return false;
}

/* " [server] [listen]": as the table has them. */
static const char *section_list(void)
{
	static char list[256];
	size_t len = 0;
	for (size_t i = 0; i < config_key_count && len < sizeof(list); i++)
		if (i == 0 || strcmp(config_keys[i].section, config_keys[i - 1].section) != 0)
			len += (size_t)snprintf(list + len, sizeof(list) - len, " [%s]",
						config_keys[i].section);
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
	const struct config_key *key = NULL;

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
	for (size_t i = 0; i < config_key_count && !key; i++)
		if (strcmp(config_keys[i].section, section) == 0 &&
		    strcmp(config_keys[i].name, name) == 0)
			key = &config_keys[i];
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
	unsigned *given = &parse->given_in_line[key - config_keys];
	if (*given && key->type != KEY_ROUTE) {
		complain(parse, parse->line,
			 "[%s] %s is given already in line %u: remove one of them", section, name,
			 *given);
		return 1;
	}
	*given = parse->line;
	const char *why = config_set(parse->config, key, parse->file_name, parse->route,
				     slice_trim(slice_cstr(value)));
	if (why && key->type == KEY_ROUTE)
		complain(parse, parse->line, "[route %.*s] to %s", SLICE_ARG(parse->route), why);
	else if (why)
		complain(parse, parse->line, "[%s] %s %s", section, name, why);
	return 1;
}

static unsigned processors(void)
{
	cpu_set_t set;
	int count = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
	return count < 1 ? 1 : count > CONFIG_LOOPS_MAX ? CONFIG_LOOPS_MAX : (unsigned)count;
}

static unsigned line_of(const struct parse *parse, const char *name)
{
	for (size_t i = 0; i < config_key_count; i++)
		if (strcmp(config_keys[i].name, name) == 0)
			return parse->given_in_line[i];
	return 0;
}

/* Defaults, and what no single line can show. */
static void complete(struct parse *parse)
{
	struct config *config = parse->config;
	for (size_t i = 0; i < config_key_count; i++) {
		if (parse->given_in_line[i] || !config_keys[i].default_text)
			continue;
		const char *why = config_set(config, &config_keys[i], parse->file_name, SLICE_NONE,
					     slice_cstr(config_keys[i].default_text));
		if (why)
			complain(parse, 0, "default of %s %s", config_keys[i].name, why);
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
		.given_in_line = heap_alloc(config_key_count * sizeof(unsigned)),
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
	free(parse.given_in_line);
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

bool config_parse_size(struct slice text, uint64_t *octets_out)
{
	return value_take_size(text, 0, UINT64_MAX, octets_out) == NULL;
}
