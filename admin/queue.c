/* admin/queue.c - bode queue list|show|retry|hold|release|delete: mail that leaves, looked at and
 * interfered with. Runs in the admin's process, beside a server or without one.
 *
 * What a server has under way at that moment goes on: of an entry that is deleted then, nothing
 * more is sent. */
#include <inttypes.h>
#include <jansson.h>
#include <string.h>
#include <time.h>

#include "admin/admin_priv.h"
#include "admin/queue_priv.h"
#include "admin/shown.h"
#include "admin/table.h"
#include "base/clock.h"
#include "serve/control.h"

enum { BATCH = 200, PAGE_ENTRIES = 100, FILTERS = OPTION_FROM | OPTION_TO | OPTION_DOMAIN };

struct filter {
	struct slice from, to, domain; /* empty: any */
	bool any_sender;
	char **ids;
	int id_count; /* 0: all that fit */
};

/* False: said what is wrong. */
static bool filter_make(struct admin *admin, const struct admin_options *options, int argc,
			char **argv, struct filter *filter)
{
	*filter = (struct filter){ .any_sender = !options->from,
				   .from = slice_cstr(options->from),
				   .to = slice_cstr(options->to),
				   .ids = argv + optind,
				   .id_count = argc - optind };
	for (int i = 0; i < filter->id_count; i++) {
		uint64_t id;
		if (!slice_to_u64(slice_cstr(filter->ids[i]), UINT64_MAX - 1, &id) || id == 0) {
			admin_fail("\"%s\" is no number of the queue; \"bode queue list\" shows "
				   "them",
				   filter->ids[i]);
			return false;
		}
	}
	return !options->domain || admin_parse_domain(admin, options->domain, &filter->domain);
}

static bool has_recipient(const struct queue_entry *entry, struct slice to)
{
	for (size_t i = 0; i < entry->recipient_count; i++)
		if (slice_eq_nocase(entry->recipients[i].forward_path, to))
			return true;
	return to.len == 0;
}

static bool fits(const struct filter *filter, const struct queue_entry *entry)
{
	return has_recipient(entry, filter->to) &&
	       (filter->any_sender ||
		slice_eq_nocase(entry->envelope.reverse_path, filter->from)) &&
	       (filter->domain.len == 0 || slice_eq(entry->destination, filter->domain));
}

/* ---- looking ---- */

static void format_when(int64_t at_unix, char out[32])
{
	struct tm tm;
	time_t t = (time_t)at_unix;
	if (!localtime_r(&t, &tm) || strftime(out, 32, "%Y-%m-%d %H:%M:%S", &tm) == 0)
		snprintf(out, 32, "%" PRId64, at_unix);
}

static const char *state_of(const struct queue_entry *entry, char out[48])
{
	int64_t wait = entry->next_unix_ms / 1000 - clock_unix();
	if (entry->is_held)
		return "held";
	if (wait <= 0)
		return "due";
	if (wait < 120)
		snprintf(out, 48, "in %" PRId64 " s", wait);
	else if (wait < 7200)
		snprintf(out, 48, "in %" PRId64 " min", wait / 60);
	else
		snprintf(out, 48, "in %" PRId64 " h", wait / 3600);
	return out;
}

static void add_row(struct table *table, const struct queue_entry *entry, struct arena *arena)
{
	char state[48], size[16];
	struct slice *to = arena_alloc_array(arena, entry->recipient_count, sizeof(*to));
	for (size_t i = 0; i < entry->recipient_count; i++)
		to[i] = entry->recipients[i].forward_path;
	admin_format_size(entry->size_octets, size);
	table_number(table, entry->queue_id, arena_format(arena, "%" PRIu64, entry->queue_id));
	table_text(table,
		   entry->envelope.reverse_path.len ? entry->envelope.reverse_path : SLICE("<>"));
	table_texts(table, to, (unsigned)entry->recipient_count);
	table_number(table, entry->size_octets, size);
	table_number(table, entry->attempts_made,
		     arena_format(arena, "%u", (unsigned)entry->attempts_made));
	table_text(table, slice_cstr(arena_format(arena, "%s", state_of(entry, state))));
	table_text(table, entry->attempt_count > 0 ? entry->attempts[entry->attempt_count - 1].words
						   : SLICE("not tried yet"));
}

/* Rows from the entry after *queue_id on, at most `limit`. True: there are more. */
static bool add_page(struct admin *admin, struct table *table, const struct filter *filter,
		     uint64_t *queue_id, uint64_t limit)
{
	struct queue_entry entry;
	for (;;) {
		struct arena arena = { 0 };
		bool more = true, is_full = false;
		uint64_t last = *queue_id;
		struct read *read = read_begin(admin->store);
		for (int i = 0; i < BATCH && more && !is_full; i++) {
			more = queue_next(read, &last, &arena, &entry);
			if (more && fits(filter, &entry)) {
				is_full = limit-- == 0;
				if (!is_full)
					add_row(table, &entry, &arena);
			}
			if (more && !is_full)
				*queue_id = last;
		}
		read_end(&read);
		arena_fini(&arena);
		if (!more || is_full)
			return is_full;
	}
}

int admin_queue_list(struct admin *admin, int argc, char **argv)
{
	static const char *const columns[] = { "id",	   "from",  "to", "size",
					       "attempts", "state", "why" };
	struct admin_options options;
	struct filter filter;
	uint64_t queue_id = 0, limit;
	if (!admin_parse_options(admin, argc, argv,
				 OPTION_JSON | OPTION_LIMIT | OPTION_AFTER | FILTERS, 0, 0,
				 &options))
		return ADMIN_WRONG_USAGE;
	/* Programs get all of it, eyes a page. */
	limit = options.json ? UINT64_MAX : PAGE_ENTRIES;
	if (options.limit &&
	    (!slice_to_u64(slice_cstr(options.limit), UINT32_MAX, &limit) || limit == 0))
		return admin_usage(admin, "--limit is a number of entries");
	if (options.after && !slice_to_u64(slice_cstr(options.after), UINT64_MAX - 1, &queue_id))
		return admin_usage(admin, "--after is the number of an entry");
	if (!filter_make(admin, &options, argc, argv, &filter) || !admin_open_existing_store(admin))
		return EXIT_FAILURE;
	struct table *table = table_new(options.json, columns, ARRAY_LEN(columns));
	bool has_more = add_page(admin, table, &filter, &queue_id, limit);
	table_print(table, "the queue is empty");
	if (has_more && !options.json)
		printf("(more: --after %" PRIu64 ", or --limit N)\n", queue_id);
	return EXIT_SUCCESS;
}

static json_t *text_of(struct slice s)
{
	json_t *text = json_stringn((const char *)s.ptr, s.len);
	return text ? text : json_string("?"); /* no UTF-8 */
}

static void show_json(const struct queue_entry *entry)
{
	json_t *recipients = json_array(), *attempts = json_array();
	for (size_t i = 0; i < entry->recipient_count; i++)
		json_array_append_new(recipients, text_of(entry->recipients[i].forward_path));
	for (size_t i = 0; i < entry->attempt_count; i++)
		json_array_append_new(attempts,
				      json_pack("{s:I, s:o, s:o}", "at_unix",
						(json_int_t)entry->attempts[i].at_unix, "remote",
						text_of(entry->attempts[i].remote), "words",
						text_of(entry->attempts[i].words)));
	json_t *all = json_pack(
		"{s:I, s:I, s:o, s:o, s:o, s:I, s:I, s:I, s:b, s:b, s:i, s:I, s:o}", "id",
		(json_int_t)entry->queue_id, "message", (json_int_t)entry->blob_id, "from",
		text_of(entry->envelope.reverse_path), "to", recipients, "destination",
		text_of(entry->destination), "size", (json_int_t)entry->size_octets, "arrived_unix",
		(json_int_t)entry->arrived_unix, "next_unix_ms", (json_int_t)entry->next_unix_ms,
		"held", entry->is_held, "warned", entry->was_warned, "priority",
		entry->envelope.priority, "attempts_made", (json_int_t)entry->attempts_made,
		"attempts", attempts);
	json_dumpf(all, stdout, JSON_INDENT(1) | JSON_ENSURE_ASCII);
	putchar('\n');
	json_decref(all);
}

static void print_slice(const char *name, struct slice s)
{
	fputs(name, stdout);
	print_shown(stdout, s);
	putchar('\n');
}

static void show_text(const struct queue_entry *entry)
{
	char when[32], state[48];
	format_when(entry->arrived_unix, when);
	printf("entry    %" PRIu64 ", message %" PRIx64 ", %" PRIu64 " octets\n", entry->queue_id,
	       entry->blob_id, entry->size_octets);
	print_slice("from     ",
		    entry->envelope.reverse_path.len ? entry->envelope.reverse_path : SLICE("<>"));
	for (size_t i = 0; i < entry->recipient_count; i++)
		print_slice("to       ", entry->recipients[i].forward_path);
	printf("arrived  %s\n", when);
	printf("next     %s\n", state_of(entry, state));
	printf("attempts %u\n", (unsigned)entry->attempts_made);
	for (size_t i = 0; i < entry->attempt_count; i++) {
		format_when(entry->attempts[i].at_unix, when);
		printf("\n%s  ", when);
		print_slice("", entry->attempts[i].remote.len ? entry->attempts[i].remote
							      : SLICE("(nobody was reached)"));
		print_slice("    ", entry->attempts[i].words);
	}
}

int admin_queue_show(struct admin *admin, int argc, char **argv)
{
	struct admin_options options;
	struct filter filter;
	struct queue_entry entry;
	uint64_t queue_id = 0;
	if (!admin_parse_options(admin, argc, argv, OPTION_JSON, 1, 1, &options))
		return ADMIN_WRONG_USAGE;
	if (!filter_make(admin, &options, argc, argv, &filter) || !admin_open_existing_store(admin))
		return EXIT_FAILURE;
	(void)slice_to_u64(slice_cstr(filter.ids[0]), UINT64_MAX, &queue_id);
	struct read *read = read_begin(admin->store);
	enum err err = queue_get(read, queue_id, &admin->arena, &entry);
	read_end(&read);
	if (err == ERR_NOT_FOUND)
		return admin_fail("there is no entry %s in the queue (any more)", filter.ids[0]);
	if (err != ERR_OK)
		return admin_fail_store(err, "the entry cannot be read");
	if (options.json)
		show_json(&entry);
	else
		show_text(&entry);
	return EXIT_SUCCESS;
}

/* ---- changing ---- */

enum change { CHANGE_RETRY, CHANGE_HOLD, CHANGE_RELEASE, CHANGE_DELETE };

struct changing {
	struct job job;
	enum change change;
	uint64_t queue_ids[BATCH];
	size_t count, changed;
};

static enum err change_one(struct write *write, enum change change, uint64_t queue_id,
			   struct arena *arena)
{
	struct queue_entry entry;
	if (change == CHANGE_DELETE)
		return queue_remove(write, queue_id);
	enum err err = queue_get(write_read(write), queue_id, arena, &entry);
	if (err != ERR_OK)
		return err;
	if (change == CHANGE_HOLD || change == CHANGE_RELEASE)
		entry.is_held = change == CHANGE_HOLD;
	/* Who runs the queue looks at each; of one that is held, when its sender has to be told. */
	entry.next_unix_ms = clock_unix_ms();
	if (change == CHANGE_RELEASE && queue_start_unix(&entry) * 1000 > entry.next_unix_ms)
		entry.next_unix_ms = queue_start_unix(&entry) * 1000;
	return queue_put(write, &entry);
}

static enum err run_changes(struct write *write, struct job *job)
{
	struct changing *changing = CONTAINER_OF(job, struct changing, job);
	struct arena arena = { 0 };
	enum err err = ERR_OK;
	changing->changed = 0;
	for (size_t i = 0; i < changing->count && err == ERR_OK; i++) {
		err = change_one(write, changing->change, changing->queue_ids[i], &arena);
		if (err == ERR_NOT_FOUND) /* sent meanwhile */
			err = ERR_OK;
		else if (err == ERR_OK)
			changing->changed++;
		arena_reset(&arena);
	}
	arena_fini(&arena);
	return err;
}

/* The next ones that fit, after *queue_id. */
static size_t collect(struct admin *admin, const struct filter *filter, uint64_t *queue_id,
		      uint64_t ids[BATCH])
{
	struct arena arena = { 0 };
	struct queue_entry entry;
	size_t count = 0;
	struct read *read = read_begin(admin->store);
	while (count < BATCH && queue_next(read, queue_id, &arena, &entry)) {
		if (fits(filter, &entry))
			ids[count++] = *queue_id;
		arena_reset(&arena);
	}
	read_end(&read);
	arena_fini(&arena);
	return count;
}

static int change(struct admin *admin, int argc, char **argv, enum change change,
		  unsigned more_options, const char *done)
{
	struct admin_options options;
	struct filter filter;
	struct changing changing = { .job.run = run_changes, .change = change };
	uint64_t queue_id = 0;
	size_t total = 0;
	enum err err = ERR_OK;
	if (!admin_parse_options(admin, argc, argv, FILTERS | OPTION_ALL | more_options, 0,
				 INT32_MAX, &options))
		return ADMIN_WRONG_USAGE;
	if (!filter_make(admin, &options, argc, argv, &filter))
		return EXIT_FAILURE;
	if (filter.id_count == 0 && !options.all && !options.from && !options.to && !options.domain)
		return admin_usage(admin, "nothing was chosen");
	if (!admin_open_existing_store(admin))
		return EXIT_FAILURE;
	if (options.bounce)
		store_start_writer(admin->store);
	for (int at = 0;;) {
		if (filter.id_count == 0) {
			changing.count = collect(admin, &filter, &queue_id, changing.queue_ids);
		} else {
			for (changing.count = 0; at < filter.id_count && changing.count < BATCH;)
				(void)slice_to_u64(slice_cstr(filter.ids[at++]), UINT64_MAX,
						   &changing.queue_ids[changing.count++]);
		}
		if (changing.count == 0)
			break;
		for (size_t i = 0; options.bounce && i < changing.count; i++)
			total += queue_bounce(admin, changing.queue_ids[i]);
		if (!options.bounce)
			err = admin_write(admin, &changing.job);
		if (err != ERR_OK)
			return admin_fail_store(err, "the queue was not changed");
		total += options.bounce ? 0 : changing.changed;
	}
	control_notify_queue(admin->config->state_dir);
	printf("%zu %s %s\n", total, total == 1 ? "entry" : "entries", done);
	return total > 0 || filter.id_count == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int admin_queue_retry(struct admin *admin, int argc, char **argv)
{
	return change(admin, argc, argv, CHANGE_RETRY, 0, "will be tried now");
}

int admin_queue_hold(struct admin *admin, int argc, char **argv)
{
	return change(admin, argc, argv, CHANGE_HOLD, 0, "held");
}

int admin_queue_release(struct admin *admin, int argc, char **argv)
{
	return change(admin, argc, argv, CHANGE_RELEASE, 0, "released");
}

int admin_queue_delete(struct admin *admin, int argc, char **argv)
{
	return change(admin, argc, argv, CHANGE_DELETE, OPTION_BOUNCE, "deleted");
}
