/* storage/resume.c - the numbers of a store that comes back from a backup. In the admin's process.
 *
 * What came after the backup is gone, but clients have seen it: a UID that meant one message to
 * them must not mean another (RFC 9051 section 2.3.1.1), and a MODSEQ that they have must not lie
 * ahead of the store's (RFC 7162 section 3.1.1). So both go on far behind where they were: further
 * than a server gets between two backups. Clients then miss what is gone, and load nothing anew. So
 * do the numbers of mailboxes and bodies, which are MAILBOXIDs and EMAILIDs (RFC 8474 sections 4 and
 * 5.1). */
#include "storage/account.h"
#include "storage/backup_priv.h"

#define MODSEQ_STEP (UINT64_C(1) << 40)
#define ID_STEP (UINT64_C(1) << 32)
enum { UID_STEP = 1000000 };

struct resume {
	struct job job;
	uint32_t account_id;
};

static enum err resume_mailbox(struct write *write, struct account_slot *account,
			       uint64_t mailbox_id)
{
	struct mailbox_slot *slot;
	enum err err = mailbox_slot_get(write, mailbox_id, &slot);
	if (err != ERR_OK)
		return err;
	struct mailbox *mailbox = &slot->record.mailbox;
	if (mailbox->uidnext > MESSAGE_GIVEN_UID_MAX - UID_STEP)
		err = mailbox_renew_uidvalidity(write, mailbox_id);
	else
		err = mailbox_raise_uidnext(write, mailbox_id, mailbox->uidnext + UID_STEP);
	/* No log reaches back to before: who was away compares with the messages themselves. */
	if (err == ERR_OK)
		err = change_log_empty(write, slot);
	mailbox->highest_modseq = account_next_modseq(write, account);
	mailbox->pruned_modseq = mailbox->highest_modseq;
	mailbox_slot_dirty(write, slot);
	return err;
}

static enum err resume_account(struct write *write, struct job *job)
{
	struct resume *resume = CONTAINER_OF(job, struct resume, job);
	struct account_slot *account;
	struct mailbox_row row;
	enum err err = account_slot_get(write, resume->account_id, &account);
	if (err != ERR_OK)
		return err;
	account->row.account.modseq += MODSEQ_STEP;
	for (struct slice after = SLICE_NONE;
	     err == ERR_OK && mailbox_next(write_read(write), resume->account_id, after, &row);) {
		after = arena_copy(&write->arena, row.name);
		if (row.mailbox_id != 0)
			err = resume_mailbox(write, account, row.mailbox_id);
		/* Damage is verify's business, and no reason to leave the rest as it is. */
		if (err == ERR_NOT_FOUND || err == ERR_DAMAGED)
			err = ERR_OK;
	}
	return err;
}

static enum err resume_ids(struct write *write, struct job *job)
{
	(void)job;
	write_touch(write);
	write->head.next_mailbox_id += ID_STEP;
	write->head.next_blob_id += ID_STEP;
	return ERR_OK;
}

enum err backup_resume(struct store *store)
{
	struct resume resume = { .job.run = resume_account };
	struct job ids = { .run = resume_ids };
	struct arena arena = { 0 };
	struct account account;
	enum err err = store_write_now(store, &ids);
	for (bool more = true; more && err == ERR_OK; arena_reset(&arena)) {
		struct read *read = read_begin(store);
		more = account_next(read, &resume.account_id, &arena, &account);
		read_end(&read);
		if (more)
			err = store_write_now(store, &resume.job);
	}
	arena_fini(&arena);
	return err;
}
