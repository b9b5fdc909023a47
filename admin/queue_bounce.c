/* admin/queue_bounce.c - bode queue delete --bounce: an entry goes, and its sender hears of it. Runs
 * in the admin's process. */
#include "admin/queue_priv.h"
#include "mda/notice.h"

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

/* False: there is nobody to tell, or nobody wants to be told. */
static bool file(struct bounce *bounce)
{
	struct admin *admin = bounce->admin;
	const struct queue_entry *entry = &bounce->entry;
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
	struct filing *filing;
	const struct notice notice = {
		.store = admin->store,
		.loop = loop,
		.config = admin->config,
		.envelope = &entry->envelope,
		.blob_id = entry->blob_id,
		.size_octets = entry->size_octets,
		.queue_id = entry->queue_id,
		.arrived_unix = entry->arrived_unix,
		.recipients = told,
		.recipient_count = count,
		.filed = on_filed,
		.also = remove_entry,
		.user = bounce,
	};
	enum err err = notice_file(&notice, &filing);
	while (err == ERR_OK && !bounce->is_filed)
		loop_run_once(loop, 1000);
	filing_free(&filing);
	loop_free(loop);
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
