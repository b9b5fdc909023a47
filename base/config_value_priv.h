/* base/config_value_priv.h - one value of the configuration, from its text.
 *
 * Each returns NULL, or what is wrong and what to do, in a few words for the operator; the
 * caller puts file, line and key in front. Results are untouched on failure. */
#pragma once

#include "base/config.h"

/* A whole number from `min` to `max`. */
const char *value_take_number(struct slice text, uint64_t min, uint64_t max, uint64_t *number_out);
/* "52428800", "50 MiB", "4KiB", "1 GiB". */
const char *value_take_size(struct slice text, uint64_t min, uint64_t max, uint64_t *octets_out);
/* "1800", "1800 s", "30 min", "2 h", "5 d". */
const char *value_take_duration(struct slice text, uint64_t min, uint64_t max,
				uint64_t *seconds_out);
/* "5 min, 1 h": at least one, `list_out` is the caller's to free. */
const char *value_take_durations(struct slice text, uint64_t min, uint64_t max, unsigned **list_out,
				 size_t *count_out);
/* "mail.example.org:587", "192.0.2.1:25" or "[2001:db8::1]:25"; *host_out without brackets, in
 * lower case, is the caller's to free. */
const char *value_take_host(struct slice text, char **host_out, uint16_t *port_out);
/* A host name as DNS has it: LDH labels, A-labels for what is not ASCII. */
const char *value_check_hostname(struct slice text);
/* "192.0.2.1:25" or "[2001:db8::1]:25"; *address_out is the caller's to free. */
const char *value_take_listen(struct slice text, char **address_out, uint16_t *port_out);
/* The same of this machine alone, or the path of a socket, whose port is 0. */
const char *value_take_local_listen(struct slice text, char **address_out, uint16_t *port_out);
/* "192.0.2.0/24", "2001:db8::/32", "::1". */
const char *value_check_network(struct slice text);
/* "+", "+-", "none": characters that no local part needs for itself. */
const char *value_check_separators(struct slice text);
/* Something that looks like name@domain. */
const char *value_check_address(struct slice text);
/* "zen.example.org list.example=127.0.0.0/28:-2": at most 32. */
const char *value_check_dns_lists(struct slice text);
/* The next word of a list separated by blanks; false at its end. */
bool value_next_word(struct slice *rest, struct slice *word_out);
