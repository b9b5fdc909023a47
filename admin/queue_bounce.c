/* admin/queue_bounce.c - bode queue delete --bounce: an entry goes, and its sender hears of it. Runs
 * in the admin's process. */
#include "admin/queue_priv.h"
#include "base/clock.h"
#include "mda/filing.h"
#include "mda/report.h"
#include "storage/blob.h"

struct bounce {
	struct admin *admin;
	struct queue_entry entry;
	bool is_filed;
	enum err outcome;
};

static enum err remove_entry(struct write *write, void *user)
{
	return queue_remove(write, ((struct bounce *)user)->entry.queue_id);
}

static void on_filed(void *user, enum err outcome, uint64_t blob_id)
{
	struct bounce *bounce = user;
	bounce->is_filed = true;
	bounce->outcome = outcome;
}

static void format(struct bounce *bounce, struct report_recipient *told, size_t count,
		   struct buffer *text)
{
	const struct queue_entry *entry = &bounce->entry;
	struct buffer content = { 0 };
	struct read *read = read_begin(bounce->admin->store);
	bool whole = report_wants_whole(&entry->envelope, told, count, entry->size_octets);
	if (blob_read(read, entry->blob_id, 0, whole ? UINT64_MAX : REPORT_CONTENT_MAX_OCTETS,
		      &content) != ERR_OK)
		buffer_clear(&content);
	read_end(&read);
	if (slice_starts_nocase(buffer_slice(&content), SLICE("return-path:")))
		buffer_drop_front(&content, slice_find_byte(buffer_slice(&content), 0, '\n') + 1);
	const struct report report = {
		.hostname = slice_cstr(bounce->admin->config->hostname),
		.envelope = &entry->envelope,
		.arrived_unix = entry->arrived_unix,
		.now_unix = clock_unix(),
		.recipients = told,
		.recipient_count = count,
		.content = buffer_slice(&content),
		.is_whole = whole,
	};
	report_format(&report, text);
	buffer_free(&content);
}

/* False: there is nobody to tell, or nobody wants to be told. */
static bool file(struct bounce *bounce)
{
	struct admin *admin = bounce->admin;
	const struct queue_entry *entry = &bounce->entry;
	const struct envelope envelope = { .body = ENVELOPE_8BITMIME, .recipient_count = 1 };
	const struct envelope_recipient recipient = { .forward_path = entry->envelope.reverse_path,
						      .notify = DSN_NEVER };
	const struct sender sender = { .config = admin->config, .may_relay = true };
	struct buffer text = { 0 };
	size_t count = 0;
	struct report_recipient *told =
		arena_alloc_array(&admin->arena, entry->recipient_count, sizeof(*told));
	for (size_t i = 0; i < entry->recipient_count; i++)
		if (report_is_wanted(entry->recipients[i].notify, REPORT_FAILED))
			told[count++] = (struct report_recipient){
				.forward_path = entry->recipients[i].forward_path,
				.orcpt = entry->recipients[i].orcpt,
				.action = REPORT_FAILED,
				.status = SLICE("5.7.0"),
				.words = SLICE("an administrator took it off the queue"),
			};
	if (entry->envelope.reverse_path.len == 0 || count == 0)
		return false;
	struct loop *loop = loop_new(0);
	struct filing *filing = filing_new(admin->store, loop, &envelope, on_filed, NULL, bounce);
	struct read *read = read_begin(admin->store);
	enum err err = filing_add_recipient(filing, read, &sender, &recipient);
	read_end(&read);
	if (err == ERR_OK) {
		format(bounce, told, count, &text);
		filing_set_also(filing, remove_entry);
		(void)filing_feed(filing, buffer_slice(&text));
		filing_commit(filing);
		while (!bounce->is_filed)
			loop_run_once(loop, 1000);
	}
	filing_free(&filing);
	loop_free(loop);
	buffer_free(&text);
	return err == ERR_OK;
}

struct removal {
	struct job job;
	uint64_t queue_id;
};
static enum err run_removal(struct write *write, struct job *job)
{
	return queue_remove(write, CONTAINER_OF(job, struct removal, job)->queue_id);
}

bool queue_bounce(struct admin *admin, uint64_t queue_id)
{
	struct bounce bounce = { .admin = admin };
	struct removal removal = { .job.run = run_removal, .queue_id = queue_id };
	struct read *read = read_begin(admin->store);
	enum err err = queue_get(read, queue_id, &admin->arena, &bounce.entry);
	read_end(&read);
	if (err != ERR_OK)
		return false;
	err = file(&bounce) ? bounce.outcome : admin_write(admin, &removal.job);
	if (err != ERR_OK && err != ERR_NOT_FOUND)
		admin_fail("entry %llu was not deleted: its sender could not be told (%s)",
			   (unsigned long long)queue_id, err_word(err));
	return err == ERR_OK;
}
