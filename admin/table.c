/* admin/table.c - a list for eyes or for programs. */
#include "admin/table.h"

#include <assert.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "admin/shown.h"
#include "base/buffer.h"
#include "base/heap.h"
#include "base/octets.h"

enum { COLUMNS_MAX = 8 };

struct table {
	bool json;
	const char *columns[COLUMNS_MAX];
	unsigned count;
	unsigned at;  /* the column that the next value fills */
	json_t *rows; /* array of objects */
	json_t *row;
	struct buffer cells; /* blocks, row after row */
	size_t widths[COLUMNS_MAX];
	bool is_number[COLUMNS_MAX];
};

struct table *table_new(bool json, const char *const *columns, unsigned count)
{
	assert(count >= 1);
	struct table *table = heap_alloc(sizeof(*table));
	table->json = json;
	table->count = count < COLUMNS_MAX ? count : COLUMNS_MAX;
	for (unsigned i = 0; i < table->count; i++) {
		table->columns[i] = columns[i];
		table->widths[i] = slice_cstr(columns[i]).len;
	}
	table->rows = json_array();
	return table;
}

/* Columns as a terminal counts them: code points, near enough for names and addresses. */
static size_t width_of(struct slice s)
{
	size_t width = 0;
	for (size_t i = 0; i < s.len; i++)
		width += (s.ptr[i] & 0xc0) != 0x80;
	return width;
}

static void add_cell(struct table *table, struct slice text, json_t *value)
{
	struct buffer shown = { 0 };
	add_shown(&shown, text);
	if (table->at == 0)
		json_array_append_new(table->rows, table->row = json_object());
	json_object_set_new(table->row, table->columns[table->at], value);
	if (width_of(buffer_slice(&shown)) > table->widths[table->at])
		table->widths[table->at] = width_of(buffer_slice(&shown));
	buffer_add_block(&table->cells, buffer_slice(&shown));
	buffer_free(&shown);
	table->at = (table->at + 1) % table->count;
}

void table_text(struct table *table, struct slice value)
{
	json_t *text = json_stringn((const char *)value.ptr, value.len);
	add_cell(table, value, text ? text : json_null());
}

void table_number(struct table *table, uint64_t value, const char *shown)
{
	table->is_number[table->at] = true;
	add_cell(table, slice_cstr(shown), json_integer((json_int_t)value));
}

void table_texts(struct table *table, const struct slice *values, unsigned count)
{
	struct buffer shown = { 0 };
	json_t *array = json_array();
	for (unsigned i = 0; i < count; i++) {
		if (i > 0)
			buffer_add_cstr(&shown, ", ");
		buffer_add(&shown, values[i]);
		json_array_append_new(array,
				      json_stringn((const char *)values[i].ptr, values[i].len));
	}
	add_cell(table, buffer_slice(&shown), array);
	buffer_free(&shown);
}

static void print_cell(const struct table *table, unsigned column, struct slice text)
{
	size_t width = width_of(text);
	int pad = width < table->widths[column] ? (int)(table->widths[column] - width) : 0;
	if (column > 0)
		fputs("  ", stdout);
	if (table->is_number[column])
		printf("%*s%.*s", pad, "", SLICE_ARG(text));
	else if (column + 1 < table->count)
		printf("%.*s%*s", SLICE_ARG(text), pad, "");
	else
		printf("%.*s", SLICE_ARG(text));
}

static void print_for_eyes(const struct table *table, const char *none)
{
	struct cursor cells = cursor_of(buffer_slice(&table->cells));
	struct slice cell;
	assert(table->count >= 1);
	if (at_end(&cells)) {
		puts(none);
		return;
	}
	for (unsigned i = 0; i < table->count; i++)
		print_cell(table, i, slice_cstr(table->columns[i]));
	putchar('\n');
	for (unsigned column = 0; take_block(&cells, &cell); column++) {
		print_cell(table, column % table->count, cell);
		if ((column + 1) % table->count == 0)
			putchar('\n');
	}
}

void table_print(struct table *table, const char *none)
{
	if (table->json) {
		json_dumpf(table->rows, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
		putchar('\n');
	} else {
		print_for_eyes(table, none);
	}
	json_decref(table->rows);
	buffer_free(&table->cells);
	free(table);
}
