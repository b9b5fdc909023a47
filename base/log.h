/* base/log.h - one line, one fact, about one connection or message.
 *
 * Lines are written whole, one or some at a time, by a single write(2) to standard error, so
 * those of several threads and processes do not mix. Values are escaped here and nowhere else: no peer can forge
 * a line. No content of messages, no credentials. Any thread.
 *
 *   log_info(&s->log, EVENT("rcpt-refused"), TEXT("to", forward_path),
 *            NUM("code", 550), WORD("why", "no-such-mailbox"));
 *
 * Error wakes an operator, warning means degraded, info is the mail's biography, debug
 * is for a developer and off by default. */
#pragma once

#include "base/slice.h"

/* LOG_NOTHING is no level of a line: log_set_level() drops every line by it. */
enum log_level { LOG_NOTHING = -1, LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

/* What a line is about. Zero-initialised: nothing in particular. */
struct log {
	char conn[24]; /* "smtp-4f2a"; empty: not about a connection */
};

struct log_field {
	const char *key;
	enum { LOG_FIELD_TEXT, LOG_FIELD_NUMBER, LOG_FIELD_WORD, LOG_FIELD_HEX } kind;
	struct slice text;
	int64_t number;
};

#define EVENT(word)                                                         \
	{                                                                   \
		.key = "event", .kind = LOG_FIELD_WORD, .text = SLICE(word) \
	}
/* Text from outside: escaped, cut at 256 octets. */
#define TEXT(name, value)                                              \
	{                                                              \
		.key = (name), .kind = LOG_FIELD_TEXT, .text = (value) \
	}
#define CSTR(name, value)                                                        \
	{                                                                        \
		.key = (name), .kind = LOG_FIELD_TEXT, .text = slice_cstr(value) \
	}
#define NUM(name, value)                                                            \
	{                                                                           \
		.key = (name), .kind = LOG_FIELD_NUMBER, .number = (int64_t)(value) \
	}
/* A word of our own. */
#define WORD(name, value)                                                        \
	{                                                                        \
		.key = (name), .kind = LOG_FIELD_WORD, .text = slice_cstr(value) \
	}
/* Blob and message ids. */
#define HEX(name, value)                                                         \
	{                                                                        \
		.key = (name), .kind = LOG_FIELD_HEX, .number = (int64_t)(value) \
	}
/* errno as a word: WORD("errno", "ENOSPC"). */
#define ERRNO(value)                                                                              \
	{                                                                                         \
		.key = "errno", .kind = LOG_FIELD_WORD, .text = slice_cstr(log_errno_name(value)) \
	}

#define LOG_AT(level, about, ...)                                        \
	do {                                                             \
		const struct log_field log_fields_[] = { __VA_ARGS__ };  \
		log_write(level, about, log_fields_,                     \
			  sizeof(log_fields_) / sizeof(log_fields_[0])); \
	} while (0)
#define log_error(about, ...) LOG_AT(LOG_ERROR, about, __VA_ARGS__)
#define log_warning(about, ...) LOG_AT(LOG_WARNING, about, __VA_ARGS__)
#define log_info(about, ...) LOG_AT(LOG_INFO, about, __VA_ARGS__)
#define log_debug(about, ...) LOG_AT(LOG_DEBUG, about, __VA_ARGS__)

/* `about` may be NULL. */
void log_write(enum log_level level, const struct log *about, const struct log_field *fields,
	       size_t count);
/* Between the two, which may nest, lines of this thread that are not urgent are kept, to leave in
 * one write(2): for the end of many things at once. An urgent line takes them with it. */
void log_hold(void);
void log_release(void);
/* Lines less urgent than `least` are dropped. Default: LOG_INFO. Any thread. */
void log_set_level(enum log_level least);
/* Names the process in each line: "front", "back". At start only. */
void log_set_process(const char *name);
const char *log_errno_name(int number);
