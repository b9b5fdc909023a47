/* admin/undelete.c - bode undelete list|restore: what was expunged, shown or brought back.
 *
 * Both walk through it in short reads; restoring writes a few messages at a time, so that the
 * server beside it goes on. Runs in the admin's process. */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "admin/admin_priv.h"
#include "admin/table.h"
#include "admin/user.h"
#include "base/clock.h"
#include "mail/digest.h"
#include "mail/text.h"
#include "serve/control.h"
#include "storage/expunged.h"

enum { BATCH = 100 /* messages of one read, and of one write */ };

struct choice {
	struct account account;
	struct slice mailbox; /* empty: any */
	struct buffer sender; /* folded; empty: any */
	int64_t since_unix, until_unix;
	char **ids; /* "MAILBOX.UID" */
	int id_count;
};

struct restoring {
	struct job job;
	uint32_t account_id;
	const struct expunged *messages;
	size_t count, restored;
	enum err refused; /* of the one behind those restored */
};

/* The exit status of what is wrong; -1 where nothing is. */
static int choose(struct admin *admin, const char *user, const struct admin_options *options,
		  struct choice *choice)
{
	*choice = (struct choice){ .until_unix = INT64_MAX };
	if (options->mailbox)
		choice->mailbox = slice_cstr(options->mailbox);
	if (slice_eq_nocase(choice->mailbox, SLICE("INBOX")))
		choice->mailbox = SLICE("INBOX");
	if (options->sender)
		text_fold(slice_cstr(options->sender), &choice->sender);
	if ((options->since && !admin_parse_time(options->since, &choice->since_unix)) ||
	    (options->until && !admin_parse_time(options->until, &choice->until_unix)))
		return ADMIN_WRONG_USAGE;
	return user_find(admin, user, &choice->account) ? -1 : EXIT_FAILURE;
}

static void id_format(const struct expunged *message, char out[48])
{
	snprintf(out, 48, "%" PRIu64 ".%" PRIu32, message->mailbox_id, message->entry.uid);
}

static bool is_named(const struct choice *choice, const struct expunged *message)
{
	char id[48];
	id_format(message, id);
	for (int i = 0; i < choice->id_count; i++)
		if (strcmp(choice->ids[i], id) == 0)
			return true;
	return choice->id_count == 0;
}

/* "Bob <bob@example.net>", and the subject, as people read them. Empty where the digest is lost. */
static void describe(struct read *read, const struct expunged *message, struct arena *arena,
		     struct buffer *sender, struct buffer *subject)
{
	struct slice record;
	struct mime_envelope envelope;
	buffer_clear(sender);
	buffer_clear(subject);
	if (blob_digest(read, message->entry.blob_id, arena, &record) != ERR_OK ||
	    !digest_decode_envelope(record, arena, &envelope))
		return;
	text_decode_header(envelope.subject, subject);
	for (size_t i = 0; i < envelope.from_count && sender->len == 0; i++) {
		const struct header_address *from = &envelope.from[i];
		if (from->mailbox.len == 0)
			continue;
		text_decode_header(from->name, sender);
		buffer_add_format(sender, "%s%.*s@%.*s%s", from->name.len ? " <" : "",
				  SLICE_ARG(from->mailbox), SLICE_ARG(from->host),
				  from->name.len ? ">" : "");
	}
}

static bool contains(struct slice text, struct slice part)
{
	for (size_t i = 0; i + part.len <= text.len; i++)
		if (memcmp(text.ptr + i, part.ptr, part.len) == 0)
			return true;
	return part.len == 0;
}

static bool is_chosen(const struct choice *choice, const struct expunged *message,
		      struct slice sender)
{
	if (message->expunged_unix < choice->since_unix ||
	    message->expunged_unix > choice->until_unix || !is_named(choice, message) ||
	    (choice->mailbox.len > 0 && !slice_eq(choice->mailbox, message->mailbox_name)))
		return false;
	if (choice->sender.len == 0)
		return true;
	struct buffer folded = { 0 };
	text_fold(sender, &folded);
	bool is = contains(buffer_slice(&folded), buffer_slice(&choice->sender));
	buffer_free(&folded);
	return is;
}

static void table_row(struct table *table, const struct expunged *message, struct slice sender,
		      struct slice subject)
{
	char id[48], when[32] = "", size[16];
	struct tm tm;
	time_t expunged = (time_t)message->expunged_unix;
	if (localtime_r(&expunged, &tm))
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M", &tm);
	id_format(message, id);
	admin_format_size(message->entry.size_octets, size);
	table_text(table, slice_cstr(id));
	table_number(table, (uint64_t)message->expunged_unix, when);
	table_text(table, message->mailbox_name);
	table_text(table, sender);
	table_text(table, subject);
	table_number(table, message->entry.size_octets, size);
}

/* The next messages that are chosen, at most BATCH, their slices in `arena`; into the table where
 * there is one. False: that was all. */
static bool batch_next(struct admin *admin, const struct choice *choice,
		       struct expunged_place *place, struct arena *arena, struct table *table,
		       struct expunged messages[BATCH], size_t *count_out)
{
	struct buffer sender = { 0 }, subject = { 0 };
	struct expunged message;
	bool more = true;
	size_t count = 0;
	struct read *read = read_begin(admin->store);
	for (int looked_at = 0; looked_at < BATCH && more; looked_at++) {
		more = expunged_next(read, choice->account.account_id, place, arena, &message);
		if (!more)
			break;
		describe(read, &message, arena, &sender, &subject);
		if (!is_chosen(choice, &message, buffer_slice(&sender)))
			continue;
		if (table)
			table_row(table, &message, buffer_slice(&sender), buffer_slice(&subject));
		messages[count++] = message;
	}
	read_end(&read);
	buffer_free(&sender);
	buffer_free(&subject);
	*count_out = count;
	return more;
}

int admin_undelete_list(struct admin *admin, int argc, char **argv)
{
	static const char *const columns[] = { "id",	 "expunged", "mailbox",
					       "sender", "subject",  "size_octets" };
	struct admin_options options;
	struct choice choice;
	struct expunged messages[BATCH];
	size_t count;
	if (!admin_parse_options(admin, argc, argv,
				 OPTION_MAILBOX | OPTION_SENDER | OPTION_SINCE | OPTION_UNTIL |
					 OPTION_JSON,
				 1, 1, &options))
		return ADMIN_WRONG_USAGE;
	int status = choose(admin, argv[optind], &options, &choice);
	if (status < 0) {
		struct table *table = table_new(options.json, columns, ARRAY_LEN(columns));
		struct expunged_place place = { .from_unix = choice.since_unix };
		struct arena arena = { 0 };
		while (batch_next(admin, &choice, &place, &arena, table, messages, &count))
			arena_reset(&arena);
		arena_fini(&arena);
		table_print(table, "nothing was expunged that could be had back");
		status = EXIT_SUCCESS;
	}
	buffer_free(&choice.sender);
	return status;
}

static enum err restore_run(struct write *write, struct job *job)
{
	struct restoring *restoring = CONTAINER_OF(job, struct restoring, job);
	restoring->refused = ERR_OK;
	restoring->restored = 0;
	for (size_t i = 0; i < restoring->count; i++) {
		enum err err =
			expunged_restore(write, restoring->account_id, &restoring->messages[i]);
		if (err == ERR_NOT_FOUND)
			continue; /* its time was over just now */
		if (err != ERR_OK) {
			restoring->refused = err;
			return restoring->restored > 0 && (err == ERR_QUOTA || err == ERR_LIMIT)
				       ? ERR_OK
				       : err;
		}
		restoring->restored++;
	}
	return ERR_OK;
}

static int restore_refused(enum err err, const char *user)
{
	switch (err) {
	case ERR_QUOTA:
		return admin_fail("the rest would be more than the quota of %s allows; raise it "
				  "(\"bode user quota\") and run this again",
				  user);
	case ERR_LIMIT:
		return admin_fail("the rest does not fit into its mailbox (too many keywords, or "
				  "too many mailboxes)");
	default: return admin_fail_store(err, "not everything was restored");
	}
}

int admin_undelete_restore(struct admin *admin, int argc, char **argv)
{
	struct admin_options options;
	struct choice choice;
	struct expunged messages[BATCH];
	if (!admin_parse_options(admin, argc, argv,
				 OPTION_MAILBOX | OPTION_SENDER | OPTION_SINCE | OPTION_UNTIL |
					 OPTION_ALL | OPTION_JSON,
				 1, 1 << 20, &options))
		return ADMIN_WRONG_USAGE;
	bool is_given = options.mailbox || options.sender || options.since || options.until ||
			argc - optind > 1;
	if (is_given == options.all)
		return admin_usage(admin, "say which messages, or --all");
	const char *user = argv[optind];
	int status = choose(admin, user, &options, &choice);
	choice.ids = argv + optind + 1;
	choice.id_count = argc - optind - 1;
	if (status < 0) {
		struct expunged_place place = { .from_unix = choice.since_unix };
		struct arena arena = { 0 };
		struct restoring restoring = { .job.run = restore_run,
					       .account_id = choice.account.account_id,
					       .messages = messages };
		uint64_t total = 0;
		enum err err = ERR_OK;
		for (bool more = true; more && err == ERR_OK;) {
			more = batch_next(admin, &choice, &place, &arena, NULL, messages,
					  &restoring.count);
			if (restoring.count > 0) {
				err = admin_write(admin, &restoring.job);
				total += err == ERR_OK ? restoring.restored : 0;
				err = err == ERR_OK ? restoring.refused : err;
				control_notify_account(admin->config->state_dir,
						       choice.account.account_id);
			}
			arena_reset(&arena);
		}
		arena_fini(&arena);
		if (options.json)
			printf("{\"restored\": %" PRIu64 "}\n", total);
		else
			printf("%" PRIu64 " message%s restored\n", total, total == 1 ? "" : "s");
		status = err == ERR_OK ? EXIT_SUCCESS : restore_refused(err, user);
	}
	buffer_free(&choice.sender);
	return status;
}
