/* base/config_keys_priv.h - the table of all keys of the configuration file. */
#pragma once

#include "base/config.h"

enum config_key_type {
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

struct config_key {
	const char *section;
	const char *name;
	enum config_key_type type;
	size_t offset; /* in struct config */
	uint64_t min, max;
	const char *const *choices;   /* NULL at the end */
	const char *default_text;     /* as one would write it; NULL: nothing */
	const char *default_in_words; /* where there is no text for it */
	const char *explanation;
};

enum { CONFIG_LOOPS_MAX = 256 };

/* In the order of the explanation, a section's keys in succession. */
extern const struct config_key config_keys[];
extern const size_t config_key_count;

/* Puts a value, blanks trimmed, where `key` says; a KEY_ROUTE takes `domain`. NULL, or what is
 * wrong and what to do. Relative paths start from the folder of `file_name`. */
const char *config_set(struct config *config, const struct config_key *key, const char *file_name,
		       struct slice domain, struct slice text);
