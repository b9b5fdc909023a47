/* imapd/list.c - LIST and LSUB. In the back.
 *
 * RFC 9051 sections 6.3.9, 6.3.10 and 7.3.1; RFC 3501 section 6.3.9 (LSUB); RFC 5258 (several
 * patterns), 5819 (STATUS), 6154 (SPECIAL-USE), 8440 (MYRIGHTS), 9590 (METADATA).
 * The names are walked in order, one's own and those that others have shared as one list; a walk
 * that fills the output, or takes long, goes on behind the last name in its next turn. A superior that is no
 * mailbox itself is met at the first name below it. REMOTE adds nothing, there being no other
 * server. */
#include "imapd/list_priv.h"

#include "imapd/access_priv.h"
#include "imapd/acl_priv.h"
#include "imapd/grammar_priv.h"
#include "imapd/list_options_priv.h"
#include "imapd/respond_priv.h"

enum {
	/* After which others have their turn: about a millisecond, in octets that a pattern is
	 * compared with. */
	TURN_COST = 512 * 1024,
	NAME_COST = 1024, /* to look up the next name */
};

struct list_work {
	bool is_lsub;
	struct list_options options;
	struct buffer after;	   /* the name last walked */
	struct access_list shared; /* what others let us see; none where no pattern means it */
	struct access_gathering gathering; /* of that */
	struct deleted_count deleted;	   /* of the mailbox whose turn it is */
	uint64_t spent;			   /* in this turn */
};

/* One name that may be listed. */
struct list_name {
	struct slice name;
	uint64_t mailbox_id; /* 0: no such mailbox */
	bool subscribed;
	enum special_use special_use;
	unsigned rights;
};

static void list_fini(struct imap_session *s)
{
	struct list_work *work = s->work;
	buffer_free(&work->after);
	access_gathering_fini(&work->gathering);
}

/* ---- the list ---- */

/* The first name behind `after`, of our own or of a mailbox that another has shared; where both have
 * it, ours says only that it is subscribed. What is shared has the uses that its owner gave it, so
 * none here. *rights_out (may be NULL) is what we may do with it. */
static bool name_next(struct imap_session *s, struct read *read, struct slice after,
		      struct mailbox_row *row_out, unsigned *rights_out)
{
	const struct list_work *work = s->work;
	const struct access_row *shared = access_list_next(&work->shared, after);
	bool has_own = mailbox_next(read, s->account_id, after, row_out);
	while (shared && !(shared->rights & RIGHT_LOOKUP))
		shared = access_list_next(&work->shared, shared->name);
	int order = !has_own ? 1 : !shared ? -1 : slice_compare(row_out->name, shared->name);
	if (rights_out)
		*rights_out = RIGHTS_ALL;
	if (order < 0 || (has_own && order == 0 && row_out->mailbox_id != 0))
		return true;
	if (!shared)
		return false;
	*row_out = (struct mailbox_row){
		.name = shared->name,
		.mailbox_id = shared->mailbox_id,
		.subscribed = order == 0 && row_out->subscribed,
	};
	if (rights_out)
		*rights_out = shared->rights;
	return true;
}

/* ---- what is below a name ---- */

static bool meets_selection(const struct list_work *work, const struct mailbox_row *row)
{
	if (work->options.only_subscribed && !row->subscribed)
		return false;
	if (work->options.only_special_use && row->special_use == USE_NONE)
		return false;
	return work->options.only_subscribed || row->mailbox_id != 0;
}

static bool name_meets_selection(const struct list_work *work, const struct list_name *name)
{
	struct mailbox_row row = { name->name, name->mailbox_id, name->subscribed,
				   name->special_use };
	return meets_selection(work, &row);
}

static bool is_mailbox(const struct list_work *work, const struct mailbox_row *row)
{
	return row->mailbox_id != 0;
}

static bool is_any_row(const struct list_work *work, const struct mailbox_row *row)
{
	return true;
}

/* The first row below `name` that is as wanted. */
static bool find_inferior(struct imap_session *s, struct read *read, struct slice name,
			  bool (*is_wanted)(const struct list_work *, const struct mailbox_row *),
			  struct mailbox_row *row_out)
{
	struct list_work *work = s->work;
	struct buffer prefix = { 0 };
	buffer_add(&prefix, name);
	buffer_add_byte(&prefix, MAILBOX_SEPARATOR);
	struct slice after = buffer_slice(&prefix);
	bool is_found = false;
	while (!is_found && name_next(s, read, after, row_out, NULL) &&
	       row_out->name.len > prefix.len &&
	       memcmp(row_out->name.ptr, prefix.data, prefix.len) == 0) {
		is_found = is_wanted(work, row_out);
		after = row_out->name;
		work->spent += NAME_COST;
	}
	buffer_free(&prefix);
	return is_found;
}

static bool has_inferior(struct imap_session *s, struct read *read, struct slice name,
			 bool (*is_wanted)(const struct list_work *, const struct mailbox_row *))
{
	struct mailbox_row row;
	return find_inferior(s, read, name, is_wanted, &row);
}

/* ---- the line ---- */

void list_add_attribute(struct buffer *out, const char *attribute)
{
	if (out->data[out->len - 1] != '(')
		buffer_add_byte(out, ' ');
	buffer_add_cstr(out, attribute);
}

static void add_name(struct buffer *out, struct slice name, bool utf8)
{
	buffer_add_cstr(out, ") \"/\" ");
	respond_mailbox(out, name, utf8);
}

static void respond_lsub(struct imap_session *s, const struct list_name *name)
{
	struct buffer *out = &s->session.out;
	buffer_add_cstr(out, "* LSUB (");
	if (!name->subscribed || name->mailbox_id == 0)
		list_add_attribute(out, "\\Noselect");
	add_name(out, name->name, imap_speaks_utf8(s));
	buffer_add_cstr(out, "\r\n");
}

static void respond_list(struct imap_session *s, const struct list_name *name, bool has_children,
			 bool below_meets)
{
	const struct list_work *work = s->work;
	struct buffer *out = &s->session.out;
	const char *use = special_use_name(name->special_use);
	buffer_add_cstr(out, "* LIST (");
	if (name->mailbox_id == 0) /* \NonExistent is RFC 5258's */
		list_add_attribute(out, work->options.is_extended || imap_is_rev2(s)
						? "\\NonExistent"
						: "\\Noselect");
	else if (!(name->rights & RIGHT_READ))
		list_add_attribute(out, "\\Noselect");
	list_add_attribute(out, has_children ? "\\HasChildren" : "\\HasNoChildren");
	if (work->options.tells_subscribed && name->subscribed)
		list_add_attribute(out, "\\Subscribed");
	if (use)
		list_add_attribute(out, use);
	add_name(out, name->name, imap_speaks_utf8(s));
	if (below_meets && (work->options.only_subscribed || work->options.only_special_use)) {
		buffer_add_cstr(out, " (\"CHILDINFO\" (");
		buffer_add_cstr(out, work->options.only_subscribed ? "\"SUBSCRIBED\"" : "");
		buffer_add_cstr(out, work->options.only_subscribed && work->options.only_special_use
					     ? " "
					     : "");
		buffer_add_cstr(out, work->options.only_special_use ? "\"SPECIAL-USE\"" : "");
		buffer_add_cstr(out, "))");
	}
	buffer_add_cstr(out, "\r\n");
}

static void respond_more(struct imap_session *s, struct read *read, const struct list_name *name)
{
	struct list_work *work = s->work;
	if (work->options.tells_rights)
		respond_myrights(s, name->name, name->rights);
	if (!work->options.status_items && work->options.metadata.count == 0)
		return;
	struct arena arena = { 0 };
	struct mailbox *mailbox = arena_alloc(&arena, sizeof(*mailbox));
	enum err err = mailbox_get(read, name->mailbox_id, &arena, mailbox);
	mailbox->name = name->name;
	if (err == ERR_OK && work->options.status_items && (name->rights & RIGHT_READ))
		respond_status(s, read, mailbox, work->options.status_items, &work->deleted);
	if (err == ERR_OK && work->options.metadata.count > 0 && (name->rights & METADATA_RIGHTS))
		respond_metadata(s, read, mailbox, &work->options.metadata);
	arena_fini(&arena);
}

void list_add_old_name(struct buffer *out, struct slice name, bool utf8)
{
	buffer_add_cstr(out, " (\"OLDNAME\" (");
	respond_mailbox(out, name, utf8);
	buffer_add_cstr(out, "))");
}

void list_respond_selected(struct imap_session *s, struct read *read, const struct mailbox *mailbox,
			   struct slice asked_for)
{
	struct buffer *out = &s->session.out;
	const char *use = special_use_name(mailbox->special_use);
	buffer_add_cstr(out, "* LIST (");
	if (use && mailbox->account_id == s->account_id)
		list_add_attribute(out, use);
	add_name(out, mailbox->name, imap_speaks_utf8(s));
	if (!slice_eq(mailbox->name, asked_for))
		list_add_old_name(out, asked_for, imap_speaks_utf8(s));
	buffer_add_cstr(out, "\r\n");
}

void list_respond_renamed(struct imap_session *s, struct slice from, struct slice to)
{
	struct buffer *out = &s->session.out;
	struct arena arena = { 0 };
	struct mailbox *mailbox = arena_alloc(&arena, sizeof(*mailbox));
	struct read *read = read_begin(s->back->store);
	/* Somebody may have been faster with a second change; then there is nothing to tell. */
	unsigned rights;
	if (access_find(read, s->account_id, to, RIGHT_LOOKUP, &arena, mailbox, &rights) ==
	    ERR_OK) {
		const char *use = mailbox->account_id == s->account_id
					  ? special_use_name(mailbox->special_use)
					  : NULL;
		buffer_add_cstr(out, "* LIST (");
		if (!(rights & RIGHT_READ))
			list_add_attribute(out, "\\Noselect");
		if (mailbox_is_subscribed(read, s->account_id, to))
			list_add_attribute(out, "\\Subscribed");
		if (use)
			list_add_attribute(out, use);
		add_name(out, to, imap_speaks_utf8(s));
		list_add_old_name(out, from, imap_speaks_utf8(s));
		buffer_add_cstr(out, "\r\n");
	}
	read_end(&read);
	arena_fini(&arena);
}

/* ---- the walk ---- */

static bool matches_any(struct list_work *work, struct slice name)
{
	for (size_t i = 0; i < work->options.pattern_count; i++) {
		work->spent += work->options.patterns[i].len * name.len;
		if (list_pattern_matches(work->options.patterns[i], name))
			return true;
	}
	return false;
}

/* RFC 9051 section 6.3.9.3: a name is listed because it meets the selection, or because
 * something below it does and was asked for. */
static void consider(struct imap_session *s, struct read *read, const struct list_name *name)
{
	struct list_work *work = s->work;
	if (!matches_any(work, name->name))
		return;
	bool meets = name_meets_selection(work, name);
	if (work->is_lsub) {
		if (meets || (work->options.has_percent &&
			      has_inferior(s, read, name->name, meets_selection)))
			respond_lsub(s, name);
		return;
	}
	bool selects = work->options.only_subscribed || work->options.only_special_use;
	bool has_children = has_inferior(s, read, name->name, is_mailbox);
	bool below_meets =
		work->options.recursive && has_inferior(s, read, name->name, meets_selection);
	if (!meets && !below_meets && (selects || !has_children))
		return;
	respond_list(s, name, has_children, below_meets);
	/* Of what is listed for its inferiors nothing more is told (RFC 5819 section 3, RFC 8440 section 4). */
	if (name->mailbox_id != 0 && meets)
		respond_more(s, read, name);
}

/* Superiors of `name` that have no row of their own, where this is the first row below them. */
static bool has_row(struct imap_session *s, struct read *read, struct slice name)
{
	const struct list_work *work = s->work;
	const struct access_row *shared = access_list_find(&work->shared, name);
	struct arena arena = { 0 };
	struct mailbox *mailbox = arena_alloc(&arena, sizeof(*mailbox));
	bool has = (shared && (shared->rights & RIGHT_LOOKUP)) ||
		   mailbox_find(read, s->account_id, name, &arena, mailbox) != ERR_NOT_FOUND ||
		   mailbox_is_subscribed(read, s->account_id, name);
	arena_fini(&arena);
	return has;
}

static void consider_superiors(struct imap_session *s, struct read *read, struct slice name)
{
	for (size_t at = slice_find_byte(name, 0, MAILBOX_SEPARATOR); at < name.len;
	     at = slice_find_byte(name, at + 1, MAILBOX_SEPARATOR)) {
		struct slice superior = slice_sub(name, 0, at);
		struct mailbox_row first;
		if (!find_inferior(s, read, superior, is_any_row, &first) ||
		    !slice_eq(first.name, name))
			continue;
		if (!has_row(s, read, superior))
			consider(s, read, &(struct list_name){ .name = superior });
	}
}

static bool tells_status(struct list_work *work, const struct list_name *name)
{
	return name->mailbox_id != 0 && (name->rights & RIGHT_READ) &&
	       matches_any(work, name->name) && name_meets_selection(work, name);
}

/* What STATUS tells of the mailbox and only its entries know. False: it takes another turn. */
static bool is_counted(struct imap_session *s, struct read *read, const struct list_name *name)
{
	struct list_work *work = s->work;
	if (!(work->options.status_items & STATUS_DELETED_STORAGE) || !tells_status(work, name))
		return true;
	struct arena arena = { 0 };
	struct mailbox *mailbox = arena_alloc(&arena, sizeof(*mailbox));
	bool is_done = mailbox_get(read, name->mailbox_id, &arena, mailbox) != ERR_OK ||
		       count_deleted(&work->deleted, read, mailbox);
	if (is_done && mailbox->deleted > 0)
		work->spent += TURN_COST / 4;
	arena_fini(&arena);
	return is_done;
}

static enum step walk(struct imap_session *s, struct cursor *in)
{
	struct list_work *work = s->work;
	struct mailbox_row row;
	struct read *read = read_begin(s->back->store);
	struct slice after = buffer_slice(&work->after);
	bool has_more = true;
	work->spent = 0;
	while (!session_out_is_full(&s->session) && work->spent < TURN_COST) {
		unsigned rights;
		has_more = name_next(s, read, after, &row, &rights);
		if (!has_more)
			break;
		work->spent += NAME_COST;
		struct list_name name = { row.name, row.mailbox_id, row.subscribed, row.special_use,
					  rights };
		if (!is_counted(s, read, &name))
			break;
		consider_superiors(s, read, row.name);
		consider(s, read, &name);
		after = row.name;
	}
	if (has_more) {
		struct buffer copy = { 0 };
		buffer_add(&copy, after);
		buffer_free(&work->after);
		work->after = copy;
	}
	enum err err = read_failure(read);
	read_end(&read);
	if (err != ERR_OK)
		return imap_refuse(s, err);
	if (has_more)
		return STEP_WAIT;
	return imap_ok(s, work->is_lsub ? "LSUB completed" : "LIST completed");
}

/* ---- the commands ---- */

static struct list_work *list_begin(struct imap_session *s)
{
	struct list_work *work = arena_alloc(&s->command_arena, sizeof(*work));
	s->work = work;
	s->work_fini = list_fini;
	return work;
}

/* Whether a name that begins so may match: no wildcard comes before they differ. */
static bool may_match_below(struct slice pattern, struct slice top)
{
	for (size_t i = 0; i < pattern.len && i < top.len; i++) {
		if (pattern.ptr[i] == '*' || pattern.ptr[i] == '%')
			return true;
		if (pattern.ptr[i] != top.ptr[i])
			return false;
	}
	return true;
}

/* What others share, in turns. */
static enum step gather(struct imap_session *s, struct cursor *in)
{
	struct list_work *work = s->work;
	struct read *read = read_begin(s->back->store);
	enum err err = access_gather_on(&work->gathering, read);
	read_end(&read);
	if (err != ERR_OK)
		return imap_refuse(s, err);
	if (!work->gathering.is_whole)
		return STEP_AGAIN;
	work->shared = work->gathering.list;
	s->running = walk;
	return STEP_AGAIN;
}

static enum step list_start(struct imap_session *s)
{
	struct list_work *work = s->work;
	bool may_match = false;
	for (size_t i = 0; i < work->options.pattern_count; i++)
		may_match |= may_match_below(work->options.patterns[i], SLICE(NAMESPACE_OTHERS)) ||
			     may_match_below(work->options.patterns[i], SLICE(NAMESPACE_SHARED));
	work->gathering = (struct access_gathering){
		.account_id = s->account_id,
		.rights = RIGHTS_TO_KNOW,
		.arena = &s->command_arena,
	};
	s->running = may_match ? gather : walk;
	return STEP_AGAIN;
}

enum step imap_list(struct imap_session *s, struct cursor *args, bool uid)
{
	struct list_work *work = list_begin(s);
	struct slice reference;
	bool is_empty;
	if (next_is(args, '(')) {
		work->options.is_extended = true;
		if (!take_selection_options(args, &work->options) || !take_space(args))
			return imap_bad(s, "Unknown selection option, or one that needs another");
	}
	if (!take_astring(args, &s->command_arena, &reference) || !take_space(args) ||
	    !take_list_patterns(s, args, reference, &work->options, &is_empty))
		return imap_bad(s, "A reference and a pattern, please");
	if (take_space(args)) {
		work->options.is_extended = true;
		if (!take_return_options(args, &s->command_arena, &work->options))
			return imap_bad(s, "Unknown return option");
	}
	if (!at_end(args))
		return imap_bad(s, "Too many arguments");
	if (work->options.metadata.is_cut)
		return imap_refuse(s, ERR_LIMIT);
	if (work->options.status_items & STATUS_HIGHESTMODSEQ)
		imap_enable_condstore(s);
	if (is_empty && !work->options.is_extended) { /* asks for the separator */
		buffer_add_cstr(&s->session.out, "* LIST (\\Noselect) \"/\" \"\"\r\n");
		return imap_ok(s, "LIST completed");
	}
	return list_start(s);
}

enum step imap_lsub(struct imap_session *s, struct cursor *args, bool uid)
{
	struct list_work *work = list_begin(s);
	struct slice reference, pattern;
	if (!take_astring(args, &s->command_arena, &reference) || !take_space(args) ||
	    !take_list_mailbox(args, &s->command_arena, &pattern) || !at_end(args))
		return imap_bad(s, "A reference and a pattern, please");
	work->is_lsub = true;
	work->options.only_subscribed = true;
	list_options_add_pattern(s, &work->options, reference, pattern);
	return list_start(s);
}
