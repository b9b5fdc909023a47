/* imapd/acl.c - SETACL, DELETEACL, GETACL, LISTRIGHTS, MYRIGHTS. In the back.
 *
 * RFC 4314 section 3. Identifiers are
 * accounts by the name they sign in with, and "anyone"; with "-" before it, the rights are taken
 * away. The owner of a mailbox has all rights, always. What rights mean is access.c's. */
#include "imapd/acl_priv.h"

#include "imapd/access_priv.h"
#include "imapd/grammar_priv.h"
#include "imapd/respond_priv.h"
#include "mail/login.h"
#include "mail/text.h"
#include "storage/account.h"

/* Once more in a text for people, which the catalogue knows as a whole (imapd/texts.c). */
#define ALL_RIGHTS_TEXT "lrswipkxtecda"

static void respond_rights(struct buffer *out, unsigned rights)
{
	char text[ACL_TEXT_OCTETS];
	acl_text_format(rights, text);
	buffer_add_cstr(out, text[0] ? text : "\"\"");
}

void respond_myrights(struct imap_session *s, struct slice name, unsigned rights)
{
	struct buffer *out = &s->session.out;
	buffer_add_cstr(out, "* MYRIGHTS ");
	respond_mailbox(out, name, imap_speaks_utf8(s));
	buffer_add_byte(out, ' ');
	respond_rights(out, rights);
	buffer_add_cstr(out, "\r\n");
}

/* ---- identifiers ---- */

struct identifier {
	uint32_t account_id; /* ACL_ANYONE */
	bool is_negative;
};

/* ERR_NOT_FOUND: nobody. */
static enum err identifier_find(struct read *read, struct slice text, struct arena *arena,
				struct identifier *identifier_out)
{
	struct slice login;
	struct account account;
	*identifier_out = (struct identifier){ .account_id = ACL_ANYONE };
	if (text.len > 0 && text.ptr[0] == '-') {
		identifier_out->is_negative = true;
		text = slice_sub(text, 1, text.len);
	}
	if (slice_eq(text, SLICE("anyone")))
		return ERR_OK;
	if (!login_normalise(text, arena, &login))
		return ERR_NOT_FOUND;
	enum err err = account_find(read, login, arena, &account);
	if (err == ERR_OK)
		identifier_out->account_id = account.account_id;
	return err;
}

static void respond_identifier(struct imap_session *s, bool is_negative, struct slice name)
{
	struct buffer text = { 0 };
	if (is_negative)
		buffer_add_byte(&text, '-');
	buffer_add(&text, name);
	respond_string(&s->session.out, buffer_slice(&text), imap_speaks_utf8(s));
	buffer_free(&text);
}

/* ---- SETACL, DELETEACL ---- */

struct acl_work {
	uint32_t account_id; /* whose session it is */
	struct slice name, identifier;
	enum acl_change change;
	unsigned rights;
	/* results */
	bool has_found;
	const char *done_text;
};

/* It keeps all rights; being given them again is no harm. */
static enum err change_owner(const struct acl_work *work, bool is_negative)
{
	return !is_negative && (work->change == ACL_ADD ||
				(work->change == ACL_SET && work->rights == RIGHTS_ALL))
		       ? ERR_OK
		       : ERR_BAD_INPUT;
}

static enum err run_change(struct write *write, struct job *job)
{
	struct acl_work *work = imap_session_of_job(job)->job_data;
	struct read *read = write_read(write);
	struct arena arena = { 0 };
	struct mailbox *mailbox = arena_alloc(&arena, sizeof(*mailbox));
	struct identifier identifier;
	work->has_found = false;
	enum err err = access_find(read, work->account_id, work->name, RIGHT_ADMINISTER, &arena,
				   mailbox, NULL);
	if (err == ERR_OK) {
		work->has_found = true;
		err = identifier_find(read, work->identifier, &arena, &identifier);
	}
	if (err == ERR_OK && identifier.account_id == mailbox->account_id) {
		err = change_owner(work, identifier.is_negative);
	} else if (err == ERR_OK) {
		struct acl_entry entry = { identifier.account_id, identifier.is_negative,
					   work->rights };
		err = acl_change(write, mailbox->mailbox_id, work->change, &entry);
	}
	arena_fini(&arena);
	return err;
}

static enum step after_change(struct imap_session *s, enum err outcome)
{
	const struct acl_work *work = s->work;
	if (outcome == ERR_OK)
		return imap_ok(s, work->done_text);
	if (work->has_found && outcome == ERR_NOT_FOUND)
		return imap_no_such_user(s);
	if (work->has_found && outcome == ERR_BAD_INPUT)
		return imap_no(s, "[CANNOT] The owner has all rights, and keeps them");
	if (outcome == ERR_LIMIT)
		return imap_no(s, "[LIMIT] The list of rights is full");
	return imap_refuse(s, outcome);
}

/* Section 3: one that comes out of its preparation empty, or does not come out, is BAD; what stays and is
 * nobody's is only that. */
static bool identifier_is_good(struct slice text)
{
	if (text.len > 0 && text.ptr[0] == '-')
		text = slice_sub(text, 1, text.len);
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] < ' ' || text.ptr[i] == 0x7f)
			return false;
	return text.len > 0 && text_is_utf8(text);
}

/* mailbox SP identifier; NULL where it is something else. */
static struct acl_work *take_mailbox_and_identifier(struct imap_session *s, struct cursor *args)
{
	struct acl_work *work = arena_alloc(&s->command_arena, sizeof(*work));
	if (!take_mailbox(args, &s->command_arena, imap_speaks_utf8(s), &work->name) ||
	    !take_space(args) || !take_astring(args, &s->command_arena, &work->identifier) ||
	    !identifier_is_good(work->identifier))
		return NULL;
	work->account_id = s->account_id;
	s->work = work;
	return work;
}

enum step imap_setacl(struct imap_session *s, struct cursor *args, bool uid)
{
	struct acl_work *work = take_mailbox_and_identifier(s, args);
	struct slice rights;
	if (!work || !take_space(args) || !take_astring(args, &s->command_arena, &rights) ||
	    !at_end(args))
		return imap_bad(s, "A mailbox name, an identifier and rights, please");
	if (!acl_text_parse(rights, &work->change, &work->rights))
		return imap_bad(s, "The rights are lrswipkxtecda, in small letters");
	work->done_text = "SETACL completed";
	return imap_write(s, run_change, work, after_change);
}

enum step imap_deleteacl(struct imap_session *s, struct cursor *args, bool uid)
{
	struct acl_work *work = take_mailbox_and_identifier(s, args);
	if (!work || !at_end(args))
		return imap_bad(s, "A mailbox name and an identifier, please");
	work->change = ACL_SET;
	work->done_text = "DELETEACL completed";
	return imap_write(s, run_change, work, after_change);
}

/* ---- GETACL, LISTRIGHTS, MYRIGHTS ---- */

static void respond_entry(struct imap_session *s, struct read *read, const struct acl_entry *entry)
{
	struct account account = { .login = SLICE("anyone") };
	if (entry->account_id != ACL_ANYONE &&
	    account_get(read, entry->account_id, &s->command_arena, &account) != ERR_OK)
		return;
	buffer_add_byte(&s->session.out, ' ');
	respond_identifier(s, entry->is_negative, account.login);
	buffer_add_byte(&s->session.out, ' ');
	respond_rights(&s->session.out, entry->rights);
}

/* A list has a limited length (ACL_ENTRIES_MAX). */
enum step imap_getacl(struct imap_session *s, struct cursor *args, bool uid)
{
	struct slice name;
	struct acl_entry entry;
	struct buffer *out = &s->session.out;
	if (!take_mailbox(args, &s->command_arena, imap_speaks_utf8(s), &name) || !at_end(args))
		return imap_bad(s, "A mailbox name, please");
	struct mailbox *mailbox = arena_alloc(&s->command_arena, sizeof(*mailbox));
	struct read *read = read_begin(s->back->store);
	enum err err = access_find(read, s->account_id, name, RIGHT_ADMINISTER, &s->command_arena,
				   mailbox, NULL);
	if (err == ERR_OK) {
		buffer_add_cstr(out, "* ACL ");
		respond_mailbox(out, name, imap_speaks_utf8(s));
		respond_entry(s, read,
			      &(struct acl_entry){ mailbox->account_id, false, RIGHTS_ALL });
		for (bool more = acl_next(read, mailbox->mailbox_id, NULL, &entry); more;
		     more = acl_next(read, mailbox->mailbox_id, &entry, &entry))
			respond_entry(s, read, &entry);
		buffer_add_cstr(out, "\r\n");
	}
	read_end(&read);
	return err == ERR_OK ? imap_ok(s, "GETACL completed") : imap_refuse(s, err);
}

/* The identifier comes back as the client wrote it. No rights are tied to others (section 3.7). */
enum step imap_listrights(struct imap_session *s, struct cursor *args, bool uid)
{
	struct buffer *out = &s->session.out;
	struct identifier identifier;
	struct acl_work *work = take_mailbox_and_identifier(s, args);
	bool has_found = false;
	if (!work || !at_end(args))
		return imap_bad(s, "A mailbox name and an identifier, please");
	struct mailbox *mailbox = arena_alloc(&s->command_arena, sizeof(*mailbox));
	struct read *read = read_begin(s->back->store);
	enum err err = access_find(read, s->account_id, work->name, RIGHT_ADMINISTER,
				   &s->command_arena, mailbox, NULL);
	if (err == ERR_OK) {
		has_found = true;
		err = identifier_find(read, work->identifier, &s->command_arena, &identifier);
	}
	read_end(&read);
	if (err == ERR_NOT_FOUND && has_found)
		return imap_no_such_user(s);
	if (err != ERR_OK)
		return imap_refuse(s, err);
	buffer_add_cstr(out, "* LISTRIGHTS ");
	respond_mailbox(out, work->name, imap_speaks_utf8(s));
	buffer_add_byte(out, ' ');
	respond_identifier(s, false, work->identifier);
	if (identifier.account_id == mailbox->account_id)
		buffer_add_cstr(out, identifier.is_negative ? " \"\"" : " " ALL_RIGHTS_TEXT);
	else
		buffer_add_cstr(out, " \"\" l r s w i p k x t e c d a");
	buffer_add_cstr(out, "\r\n");
	return imap_ok(s, "LISTRIGHTS completed");
}

enum step imap_myrights(struct imap_session *s, struct cursor *args, bool uid)
{
	struct slice name;
	unsigned rights;
	if (!take_mailbox(args, &s->command_arena, imap_speaks_utf8(s), &name) || !at_end(args))
		return imap_bad(s, "A mailbox name, please");
	struct mailbox *mailbox = arena_alloc(&s->command_arena, sizeof(*mailbox));
	struct read *read = read_begin(s->back->store);
	enum err err =
		access_find(read, s->account_id, name, 0, &s->command_arena, mailbox, &rights);
	read_end(&read);
	if (err != ERR_OK)
		return imap_refuse(s, err);
	respond_myrights(s, name, rights);
	return imap_ok(s, "MYRIGHTS completed");
}
