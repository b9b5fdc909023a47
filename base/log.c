/* base/log.c - formats lines and writes each, or some that were held, in one call. */
#include "base/log.h"

#include <assert.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

enum { LINE_OCTETS = 2048, TEXT_OCTETS = 256 };

static atomic_int least_level = LOG_INFO;
static char process_name[16];

/* What a thread holds back: never more than a pipe takes in one piece (write(2) on pipes). */
static _Thread_local struct {
	unsigned depth;
	size_t len;
	char text[PIPE_BUF];
} held;

struct line {
	char text[LINE_OCTETS];
	size_t len;
};

void log_set_level(enum log_level least)
{
	atomic_store_explicit(&least_level, least, memory_order_relaxed);
}

void log_set_process(const char *name)
{
	snprintf(process_name, sizeof(process_name), "%s", name);
}

const char *log_errno_name(int number)
{
	const char *name = strerrorname_np(number);
	return name ? name : "unknown";
}

static void add_char(struct line *line, char c)
{
	if (line->len < sizeof(line->text) - 1) /* the last octet is the line feed's */
		line->text[line->len++] = c;
}

static void add_text(struct line *line, const char *text)
{
	while (*text)
		add_char(line, *text++);
}

/* Quoted where anything but plain word characters occurs; control characters, quotes,
 * backslashes and octets above ASCII become \xNN, so a line holds only what we mean. */
static void add_escaped(struct line *line, struct slice value)
{
	bool quote = value.len == 0;
	size_t len = value.len < TEXT_OCTETS ? value.len : TEXT_OCTETS;
	for (size_t i = 0; i < len; i++)
		if (value.ptr[i] <= ' ' || value.ptr[i] == '=' || value.ptr[i] == '"')
			quote = true;
	if (quote)
		add_char(line, '"');
	for (size_t i = 0; i < len; i++) {
		uint8_t c = value.ptr[i];
		if (c >= ' ' && c < 0x7f && c != '"' && c != '\\') {
			add_char(line, (char)c);
		} else {
			static const char digits[] = "0123456789abcdef";
			add_text(line, "\\x");
			add_char(line, digits[c >> 4]);
			add_char(line, digits[c & 15]);
		}
	}
	if (len < value.len)
		add_text(line, "...");
	if (quote)
		add_char(line, '"');
}

static void write_out(const char *text, size_t len)
{
	/* A log that cannot be written must not stop the mail. */
	ssize_t written = write(STDERR_FILENO, text, len);
	(void)written;
}

static void write_held(void)
{
	if (held.len > 0)
		write_out(held.text, held.len);
	held.len = 0;
}

void log_write(enum log_level level, const struct log *about, const struct log_field *fields,
	       size_t count)
{
	static const char *const level_names[] = { "error", "warning", "info", "debug" };
	if ((int)level > atomic_load_explicit(&least_level, memory_order_relaxed))
		return;
	struct line line = { .len = 0 };
	int64_t now_ms = clock_unix_ms();
	time_t seconds = now_ms / 1000;
	struct tm tm;
	char stamp[48];
	gmtime_r(&seconds, &tm);
	size_t len = strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(stamp + len, sizeof(stamp) - len, ".%03dZ ", (int)(now_ms % 1000));
	add_text(&line, stamp);
	add_text(&line, level_names[level]);
	if (process_name[0]) {
		add_text(&line, " process=");
		add_text(&line, process_name);
	}
	if (about && about->conn[0]) {
		add_text(&line, " conn=");
		add_escaped(&line, slice_cstr(about->conn));
	}
	for (size_t i = 0; i < count; i++) {
		char number[24];
		add_char(&line, ' ');
		add_text(&line, fields[i].key);
		add_char(&line, '=');
		switch (fields[i].kind) {
		case LOG_FIELD_TEXT:
		case LOG_FIELD_WORD: add_escaped(&line, fields[i].text); break;
		case LOG_FIELD_NUMBER:
			snprintf(number, sizeof(number), "%lld", (long long)fields[i].number);
			add_text(&line, number);
			break;
		case LOG_FIELD_HEX:
			snprintf(number, sizeof(number), "%llx",
				 (unsigned long long)fields[i].number);
			add_text(&line, number);
			break;
		}
	}
	line.text[line.len++] = '\n';
	if (held.depth == 0) {
		write_out(line.text, line.len);
		return;
	}
	if (line.len > sizeof(held.text) - held.len)
		write_held();
	memcpy(held.text + held.len, line.text, line.len);
	held.len += line.len;
	if (level <= LOG_WARNING)
		write_held();
}

void log_hold(void)
{
	held.depth++;
}

void log_release(void)
{
	assert(held.depth > 0);
	if (--held.depth == 0)
		write_held();
}
