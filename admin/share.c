/* admin/share.c - bode share add|set|list: mailboxes that belong to several, and who may do what with
 * whose (storage/acl.h). */
#include "admin/admin_priv.h"
#include "admin/table.h"
#include "admin/user.h"
#include "mail/login.h"
#include "serve/control.h"
#include "storage/acl.h"

#include <string.h>

struct share_job {
	struct job job;
	struct address address; /* of a new one */
	uint64_t quota_octets;
	uint32_t owner_id;
	struct slice mailbox; /* ptr NULL: all */
	enum acl_change change;
	struct acl_entry entry;
};

/* ---- share add ---- */

static enum err run_add(struct write *write, struct job *job)
{
	struct share_job *share = CONTAINER_OF(job, struct share_job, job);
	enum err err = account_add_shared(write, share->address.local, share->address.domain,
					  &share->owner_id);
	if (err == ERR_OK && share->quota_octets > 0)
		err = account_set_quota(write, share->owner_id, share->quota_octets, 0);
	return err;
}

int admin_share_add(struct admin *admin, int argc, char **argv)
{
	struct admin_options options;
	struct share_job share = { .job.run = run_add };
	if (!admin_parse_options(admin, argc, argv, OPTION_QUOTA, 1, 1, &options))
		return ADMIN_WRONG_USAGE;
	if (options.quota && !admin_parse_size(options.quota, &share.quota_octets))
		return ADMIN_WRONG_USAGE;
	const char *text = argv[optind];
	if (!admin_parse_address(admin, text, &share.address) || !admin_open_store(admin))
		return EXIT_FAILURE;
	enum err err = admin_write(admin, &share.job);
	return err == ERR_OK ? EXIT_SUCCESS
			     : user_fail_add(err, text, &share.address,
					     "the shared mailbox was not added");
}

/* ---- share set ---- */

static enum err set_one(struct write *write, const struct share_job *share, struct slice name,
			struct arena *arena)
{
	struct mailbox *mailbox = arena_alloc(arena, sizeof(*mailbox));
	enum err err = mailbox_find(write_read(write), share->owner_id, name, arena, mailbox);
	return err == ERR_OK ? acl_change(write, mailbox->mailbox_id, share->change, &share->entry)
			     : err;
}

static enum err run_set(struct write *write, struct job *job)
{
	const struct share_job *share = CONTAINER_OF(job, struct share_job, job);
	struct arena arena = { 0 };
	struct mailbox_row row;
	struct buffer after = { 0 };
	enum err err = ERR_OK;
	if (share->mailbox.ptr)
		err = set_one(write, share, share->mailbox, &arena);
	while (!share->mailbox.ptr && err == ERR_OK &&
	       mailbox_next(write_read(write), share->owner_id, buffer_slice(&after), &row)) {
		buffer_clear(&after); /* what the map holds moves under the write */
		buffer_add(&after, row.name);
		if (row.mailbox_id != 0)
			err = set_one(write, share, buffer_slice(&after), &arena);
		arena_reset(&arena);
	}
	buffer_free(&after);
	arena_fini(&arena);
	return err;
}

/* "anyone", an address, or either behind "-". */
static bool find_identifier(struct admin *admin, const char *text, struct acl_entry *entry)
{
	entry->is_negative = text[0] == '-';
	if (entry->is_negative)
		text++;
	if (strcmp(text, "anyone") == 0)
		return true;
	return user_find_id(admin, text, &entry->account_id);
}

int admin_share_set(struct admin *admin, int argc, char **argv)
{
	struct admin_options options;
	struct share_job share = { .job.run = run_set };
	if (!admin_parse_options(admin, argc, argv, OPTION_ALL, 3, 4, &options))
		return ADMIN_WRONG_USAGE;
	if (argc - optind != (options.all ? 3 : 4))
		return admin_usage(admin, "say which mailbox, or --all");
	const char *rights = argv[argc - 1], *who = argv[argc - 2];
	if (strcmp(rights, "none") != 0 &&
	    !acl_text_parse(slice_cstr(rights), &share.change, &share.entry.rights))
		return admin_usage(admin, "the rights are letters of lrswipkxtecda, or none");
	if (!user_find_id(admin, argv[optind], &share.owner_id) ||
	    !find_identifier(admin, who, &share.entry))
		return EXIT_FAILURE;
	if (!options.all)
		share.mailbox = slice_eq_nocase(slice_cstr(argv[optind + 1]), SLICE("INBOX"))
					? SLICE("INBOX")
					: slice_cstr(argv[optind + 1]);
	enum err err = admin_write(admin, &share.job);
	switch (err) {
	case ERR_OK: break;
	case ERR_NOT_FOUND: return admin_fail("%s has no mailbox of that name", argv[optind]);
	case ERR_BAD_INPUT: return admin_fail("the owner has all rights, and keeps them");
	case ERR_LIMIT:
		return admin_fail("the list of rights is full: it names %d users", ACL_ENTRIES_MAX);
	default: return admin_fail_store(err, "the rights were not changed");
	}
	control_notify_rights(admin->config->state_dir, share.owner_id);
	control_notify_rights(admin->config->state_dir, share.entry.account_id);
	return EXIT_SUCCESS;
}

/* ---- share list ---- */

static void list_mailbox(struct admin *admin, struct read *read, const struct account *owner,
			 const struct mailbox_row *row, struct table *table)
{
	struct acl_entry entry;
	for (bool more = acl_next(read, row->mailbox_id, NULL, &entry); more;
	     more = acl_next(read, row->mailbox_id, &entry, &entry)) {
		struct account account = { .login = SLICE("anyone") };
		char rights[ACL_TEXT_OCTETS];
		if (entry.account_id != ACL_ANYONE &&
		    account_get(read, entry.account_id, &admin->arena, &account) != ERR_OK)
			continue;
		acl_text_format(entry.rights, rights);
		table_text(table, owner->login);
		table_text(table, row->name);
		table_text(table, slice_cstr(arena_format(&admin->arena, "%s%.*s",
							  entry.is_negative ? "-" : "",
							  SLICE_ARG(account.login))));
		table_text(table, slice_cstr(rights));
	}
}

static void list_owner(struct admin *admin, struct read *read, const struct account *owner,
		       struct table *table)
{
	struct mailbox_row row;
	struct slice after = SLICE_NONE;
	while (mailbox_next(read, owner->account_id, after, &row)) {
		after = row.name;
		if (row.mailbox_id != 0)
			list_mailbox(admin, read, owner, &row, table);
	}
}

int admin_share_list(struct admin *admin, int argc, char **argv)
{
	static const char *const columns[] = { "owner", "mailbox", "identifier", "rights" };
	struct admin_options options;
	struct account owner;
	uint32_t account_id = 0;
	if (!admin_parse_options(admin, argc, argv, OPTION_JSON, 0, 1, &options))
		return ADMIN_WRONG_USAGE;
	bool has_owner = optind < argc;
	if (has_owner ? !user_find(admin, argv[optind], &owner) : !admin_open_store(admin))
		return EXIT_FAILURE;
	struct table *table = table_new(options.json, columns, ARRAY_LEN(columns));
	struct read *read = read_begin(admin->store);
	if (has_owner)
		list_owner(admin, read, &owner, table);
	while (!has_owner && account_next(read, &account_id, &admin->arena, &owner))
		list_owner(admin, read, &owner, table);
	read_end(&read);
	table_print(table, "nothing is shared; \"bode share set\" does it");
	return EXIT_SUCCESS;
}
