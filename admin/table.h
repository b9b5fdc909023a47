/* admin/table.h - a list for eyes (aligned columns) or for programs (JSON, with --json). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

struct table;
/* Column names as JSON keys; in the text form they head the columns. At most 8. */
struct table *table_new(bool json, const char *const *columns, unsigned count);
void table_text(struct table *table, struct slice value);
/* `shown` is what eyes see; programs get the number. */
void table_number(struct table *table, uint64_t value, const char *shown);
/* A list of texts; eyes see them with commas. */
void table_texts(struct table *table, const struct slice *values, unsigned count);
/* Prints everything to standard output and frees it. `none` is said where there is no row
 * and eyes read. */
void table_print(struct table *table, const char *none);
