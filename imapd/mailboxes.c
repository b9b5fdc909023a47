/* imapd/mailboxes.c - CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE. In the back.
 *
 * RFC 9051 sections 6.3.4 to 6.3.8. What a name may be is the store's to judge
 * (storage/mailbox.h). RFC 6154 section 3 (CREATE with USE): a mailbox has one use, and several
 * mailboxes may have the same. RFC 8474 section 4.1 (MAILBOXID). In others' accounts as far as RFC
 * 4314 section 4 allows; any name may be subscribed, so that tells nothing of who is there. */
#include "imapd/access_priv.h"
#include "imapd/grammar_priv.h"
#include "imapd/list_priv.h"
#include "imapd/notify_priv.h"
#include "imapd/object_id_priv.h"
#include "imapd/respond_priv.h"
#include "mail/text.h"

struct mailboxes_work {
	uint32_t account_id;
	struct slice name, new_name;
	enum special_use use;
	bool subscribed;
	const char *done_text;
	uint64_t mailbox_id; /* of what has been made */
};

static enum err run_create(struct write *write, struct job *job)
{
	struct mailboxes_work *work = imap_session_of_job(job)->job_data;
	struct read *read = write_read(write);
	struct arena arena = { 0 };
	struct access_place place;
	enum err err = access_place_of(read, work->account_id, work->name, &arena, &place);
	if (err == ERR_OK && place.owner_id == work->account_id)
		err = mailbox_create(write, place.owner_id, place.name, work->use,
				     &work->mailbox_id);
	else if (err == ERR_NOT_FOUND ||
		 (err == ERR_OK &&
		  (work->use != USE_NONE || !access_may_create(read, work->account_id, &place))))
		err = ERR_DENIED; /* whether or not there is such an account */
	else if (err == ERR_OK)
		err = mailbox_create_for_other(write, place.owner_id, place.name, USE_NONE,
					       &work->mailbox_id);
	arena_fini(&arena);
	return err;
}

/* A mailbox that may be deleted or get another name. */
static enum err find_to_remove(struct read *read, const struct mailboxes_work *work,
			       struct arena *arena, struct access_place *place_out)
{
	enum err err = access_place_of(read, work->account_id, work->name, arena, place_out);
	if (err != ERR_OK || place_out->owner_id == work->account_id)
		return err;
	struct mailbox *mailbox = arena_alloc(arena, sizeof(*mailbox));
	err = access_find(read, work->account_id, work->name, RIGHT_DELETE_MAILBOX, arena, mailbox,
			  NULL);
	return err == ERR_OK && slice_eq(place_out->name, SLICE("INBOX")) ? ERR_BAD_INPUT : err;
}

static enum err run_delete(struct write *write, struct job *job)
{
	const struct mailboxes_work *work = imap_session_of_job(job)->job_data;
	struct arena arena = { 0 };
	struct access_place place;
	enum err err = find_to_remove(write_read(write), work, &arena, &place);
	if (err == ERR_OK)
		err = mailbox_delete(write, place.owner_id, place.name);
	arena_fini(&arena);
	return err;
}

/* From one account to another a mailbox cannot go by another name: COPY takes its messages there. ERR_DENIED
 * whether or not there is such an account. */
static enum err find_to_rename_to(struct read *read, const struct mailboxes_work *work,
				  uint32_t owner_id, struct arena *arena,
				  struct access_place *place_out)
{
	enum err err = access_place_of(read, work->account_id, work->new_name, arena, place_out);
	if (err == ERR_NOT_FOUND)
		return ERR_DENIED;
	if (err == ERR_OK && (place_out->owner_id != owner_id ||
			      !access_may_create(read, work->account_id, place_out)))
		return ERR_DENIED;
	return err;
}

static enum err run_rename(struct write *write, struct job *job)
{
	const struct mailboxes_work *work = imap_session_of_job(job)->job_data;
	struct read *read = write_read(write);
	struct arena arena = { 0 };
	struct access_place from, to;
	enum err err = find_to_remove(read, work, &arena, &from);
	if (err == ERR_OK)
		err = find_to_rename_to(read, work, from.owner_id, &arena, &to);
	if (err == ERR_OK)
		err = from.owner_id == work->account_id
			      ? mailbox_rename(write, from.owner_id, from.name, to.name)
			      : mailbox_rename_for_other(write, from.owner_id, from.name, to.name);
	arena_fini(&arena);
	return err;
}

static enum err run_subscribe(struct write *write, struct job *job)
{
	const struct mailboxes_work *work = imap_session_of_job(job)->job_data;
	return mailbox_subscribe(write, work->account_id, work->name, work->subscribed);
}

static enum step after_write(struct imap_session *s, enum err outcome)
{
	const struct mailboxes_work *work = s->work;
	return outcome == ERR_OK ? imap_ok(s, work->done_text) : imap_refuse(s, outcome);
}

/* RFC 9051 sections 6.3.4 and 6.3.5: what a name was taken for, where it came in another form. */
static void tell_kept_name(struct imap_session *s, struct slice name)
{
	struct slice kept = text_compose(name, &s->command_arena);
	if (!imap_is_rev2(s) || slice_eq(kept, name))
		return;
	struct read *read = read_begin(s->back->store);
	list_respond_news(s, read, kept, name, NULL);
	read_end(&read);
}

static enum step after_delete(struct imap_session *s, enum err outcome)
{
	const struct mailboxes_work *work = s->work;
	if (outcome == ERR_OK)
		tell_kept_name(s, work->name);
	return after_write(s, outcome);
}

static enum step after_subscribe(struct imap_session *s, enum err outcome)
{
	const struct mailboxes_work *work = s->work;
	notify_subscribed(s, text_compose(work->name, &s->command_arena));
	return after_write(s, outcome);
}

/* RFC 8474 section 4.1 */
static enum step after_create(struct imap_session *s, enum err outcome)
{
	const struct mailboxes_work *work = s->work;
	if (outcome != ERR_OK)
		return imap_refuse(s, outcome);
	tell_kept_name(s, work->name);
	struct buffer text = { 0 };
	buffer_add_cstr(&text, "[MAILBOXID ");
	respond_object_id_list(&text, 'F', work->mailbox_id);
	buffer_add_cstr(&text, "] CREATE completed");
	const char *kept = arena_string(&s->command_arena, buffer_slice(&text));
	buffer_free(&text);
	return imap_ok(s, kept);
}

/* INBOX stays where it is when it is renamed (RFC 9051 section 6.3.6). */
static enum step after_rename(struct imap_session *s, enum err outcome)
{
	const struct mailboxes_work *work = s->work;
	if (outcome == ERR_OK && imap_is_rev2(s) && !slice_eq(work->name, SLICE("INBOX")))
		list_respond_renamed(s, work->name,
				     text_compose(work->new_name, &s->command_arena));
	return after_write(s, outcome);
}

/* A separator at the end only announces that there will be inferiors (section 6.3.4). */
static struct slice without_last_separator(struct slice name)
{
	if (name.len > 1 && name.ptr[name.len - 1] == MAILBOX_SEPARATOR)
		name.len--;
	return name;
}

/* mailbox [SP mailbox], then whatever the caller takes; NULL where it is something else. */
static struct mailboxes_work *take_some_names(struct imap_session *s, struct cursor *args, bool two,
					      const char *done_text)
{
	struct mailboxes_work *work = arena_alloc(&s->command_arena, sizeof(*work));
	bool utf8 = imap_speaks_utf8(s);
	if (!take_mailbox(args, &s->command_arena, utf8, &work->name))
		return NULL;
	if (two &&
	    (!take_space(args) || !take_mailbox(args, &s->command_arena, utf8, &work->new_name)))
		return NULL;
	work->account_id = s->account_id;
	work->done_text = done_text;
	s->work = work;
	return work;
}

static struct mailboxes_work *take_names(struct imap_session *s, struct cursor *args, bool two,
					 const char *done_text)
{
	struct mailboxes_work *work = take_some_names(s, args, two, done_text);
	return work && at_end(args) ? work : NULL;
}

/* "\" atom */
static bool take_use_attribute(struct cursor *at, struct slice *attribute_out)
{
	struct cursor c = *at;
	struct slice atom;
	if (!take_byte(&c, '\\') || !take_atom(&c, &atom))
		return false;
	*attribute_out = slice_of(atom.ptr - 1, atom.len + 1);
	*at = c;
	return true;
}

/* "(" "USE" SP "(" [use-attr *(SP use-attr)] ")" ")"; *why_out: why it cannot be. */
static bool take_create_parameters(struct cursor *c, enum special_use *use_out,
				   const char **why_out)
{
	struct slice attribute;
	size_t count = 0;
	if (!take_byte(c, '(') || !take_keyword(c, "USE") || !take_space(c) || !take_byte(c, '('))
		return false;
	while (!next_is(c, ')')) {
		if ((count > 0 && !take_space(c)) || !take_use_attribute(c, &attribute))
			return false;
		enum special_use use = special_use_of(attribute);
		if (use == USE_NONE)
			*why_out = "[USEATTR] No mailbox here can have that special use";
		else if (count > 0 && use != *use_out)
			*why_out = "[USEATTR] A mailbox has one special use";
		*use_out = use;
		count++;
	}
	return take_byte(c, ')') && take_byte(c, ')') && at_end(c);
}

enum step imap_create(struct imap_session *s, struct cursor *args, bool uid)
{
	struct mailboxes_work *work = take_some_names(s, args, false, NULL);
	const char *why_not = NULL;
	if (!work)
		return imap_bad(s, "A mailbox name, please");
	if (!at_end(args) &&
	    (!take_space(args) || !take_create_parameters(args, &work->use, &why_not)))
		return imap_bad(s, "After the name only (USE (...)) is known");
	if (why_not)
		return imap_no(s, why_not);
	work->name = without_last_separator(work->name);
	return imap_write(s, run_create, work, after_create);
}

enum step imap_delete(struct imap_session *s, struct cursor *args, bool uid)
{
	struct mailboxes_work *work = take_names(s, args, false, "DELETE completed");
	if (!work)
		return imap_bad(s, "A mailbox name, please");
	if (slice_eq(work->name, SLICE("INBOX")))
		return imap_no(s, "[CANNOT] INBOX cannot be deleted");
	return imap_write(s, run_delete, work, after_delete);
}

enum step imap_rename(struct imap_session *s, struct cursor *args, bool uid)
{
	struct mailboxes_work *work = take_names(s, args, true, "RENAME completed");
	if (!work)
		return imap_bad(s, "Two mailbox names, please");
	work->new_name = without_last_separator(work->new_name);
	return imap_write(s, run_rename, work, after_rename);
}

enum step imap_subscribe(struct imap_session *s, struct cursor *args, bool uid)
{
	struct mailboxes_work *work = take_names(s, args, false, "SUBSCRIBE completed");
	if (!work)
		return imap_bad(s, "A mailbox name, please");
	work->subscribed = true;
	return imap_write(s, run_subscribe, work, after_subscribe);
}

enum step imap_unsubscribe(struct imap_session *s, struct cursor *args, bool uid)
{
	struct mailboxes_work *work = take_names(s, args, false, "UNSUBSCRIBE completed");
	if (!work)
		return imap_bad(s, "A mailbox name, please");
	work->subscribed = false;
	return imap_write(s, run_subscribe, work, after_subscribe);
}
