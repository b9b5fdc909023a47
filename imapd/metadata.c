/* imapd/metadata.c - GETMETADATA and SETMETADATA: what clients note about mailboxes and about
 * themselves. In the back.
 *
 * RFC 5464; RFC 6154 section 4 (/private/specialuse); its LIST form is RFC 9590's. The private
 * annotations of a mailbox are its owner's; on others' mailboxes there are only shared ones, for those
 * with the rights of section 3.3, and to set them the one to write. Of the server, an
 * account has private annotations, and nobody sets shared ones. Unsolicited METADATA
 * responses are NOTIFY's (notify_news.c). */
#include "imapd/metadata_priv.h"

#include "imapd/list_priv.h"
#include "imapd/respond_priv.h"

static const struct slice special_use_entry = SLICE("/private/specialuse");

enum { DEPTH_ALL = INT32_MAX };

static const char too_many[] = "[METADATA TOOMANY] There is no room for more annotations";
static const char too_large[] = "[METADATA MAXSIZE 16384] A value is too large";
_Static_assert(ANNOTATION_VALUE_MAX_OCTETS == 16384, "as too_large says");

/* ---- the arguments ---- */

/* Paths of printable ASCII, private or shared, without empty levels; case does not matter
 * (section 3.1). */
static bool entry_name_is_good(struct slice name)
{
	if (!slice_starts_nocase(name, SLICE("/private/")) &&
	    !slice_starts_nocase(name, SLICE("/shared/")))
		return false;
	if (name.len > ANNOTATION_NAME_MAX_OCTETS)
		return false;
	for (size_t i = 0; i < name.len; i++) {
		uint8_t c = name.ptr[i];
		bool is_last = i + 1 == name.len;
		if (c < ' ' || c > '~' || c == '*' || c == '%' ||
		    (c == '/' && (is_last || name.ptr[i + 1] == '/')))
			return false;
	}
	return true;
}

/* `may_be_top`: what is above all entries may be asked for, with DEPTH. */
static bool take_entry(struct cursor *c, struct arena *arena, bool may_be_top,
		       struct slice *name_out)
{
	struct slice name;
	if (!take_astring(c, arena, &name))
		return false;
	bool is_top =
		slice_eq_nocase(name, SLICE("/private")) || slice_eq_nocase(name, SLICE("/shared"));
	if (!entry_name_is_good(name) && !(may_be_top && is_top))
		return false;
	uint8_t *lower = (uint8_t *)arena_string(arena, name);
	for (size_t i = 0; i < name.len; i++)
		lower[i] = ascii_lower(lower[i]);
	*name_out = slice_of(lower, name.len);
	return true;
}

/* entry *(SP entry) */
static bool take_entry_names(struct cursor *c, struct arena *arena, struct entry_list *list_out)
{
	struct slice name;
	list_out->names = arena_alloc_array(arena, ANNOTATIONS_MAX, sizeof(*list_out->names));
	list_out->count = 0;
	list_out->is_cut = false;
	do {
		size_t i = 0;
		if (!take_entry(c, arena, true, &name))
			return false;
		while (i < list_out->count && !slice_eq(list_out->names[i], name))
			i++;
		if (i == ANNOTATIONS_MAX)
			list_out->is_cut = true;
		else if (i == list_out->count)
			list_out->names[list_out->count++] = name;
	} while (take_space(c));
	return true;
}

bool take_entry_list(struct cursor *at, struct arena *arena, struct entry_list *list_out)
{
	struct cursor c = *at;
	if (!take_byte(&c, '(') || !take_entry_names(&c, arena, list_out) || !take_byte(&c, ')'))
		return false;
	*at = c;
	return true;
}

/* entries; several may also stand without parentheses, as in the examples of section 4.4.1 */
static bool take_entries(struct cursor *c, struct arena *arena, struct entry_list *list_out)
{
	return next_is(c, '(') ? take_entry_list(c, arena, list_out)
			       : take_entry_names(c, arena, list_out);
}

struct get_options {
	bool has_max_octets;
	uint32_t max_octets;
	int depth;
};

/* "(" getmetadata-option *(SP getmetadata-option) ")" */
static bool take_get_options(struct cursor *at, struct get_options *options)
{
	struct cursor c = *at;
	if (!take_byte(&c, '('))
		return false;
	do {
		if (take_keyword(&c, "MAXSIZE")) {
			options->has_max_octets = true;
			if (!take_space(&c) || !take_number32(&c, &options->max_octets))
				return false;
			continue;
		}
		if (!take_keyword(&c, "DEPTH") || !take_space(&c))
			return false;
		if (take_keyword(&c, "INFINITY"))
			options->depth = DEPTH_ALL;
		else if (take_keyword(&c, "1"))
			options->depth = 1;
		else if (take_keyword(&c, "0"))
			options->depth = 0;
		else
			return false;
	} while (take_space(&c));
	if (!take_byte(&c, ')'))
		return false;
	*at = c;
	return true;
}

/* mailbox; the empty string stands for the server, `name_out` is empty then. */
static bool take_owner(struct imap_session *s, struct cursor *c, struct slice *name_out)
{
	struct cursor at = *c;
	struct slice text;
	if (take_astring(&at, &s->command_arena, &text) && text.len == 0) {
		*c = at;
		*name_out = SLICE_NONE;
		return true;
	}
	return take_mailbox(c, &s->command_arena, imap_speaks_utf8(s), name_out);
}

/* ---- reading ---- */

/* One METADATA line being made: nothing is said as long as it has no entry. */
struct line {
	struct imap_session *s;
	struct slice mailbox; /* empty: the server */
	const struct get_options *options;
	bool is_begun;
	size_t longest_octets; /* of what exceeds MAXSIZE */
};

static void add_value(struct buffer *out, struct slice value, bool utf8)
{
	if (value.ptr && slice_find_byte(value, 0, 0) < value.len) {
		buffer_add_byte(out, '~'); /* literal8 */
		respond_literal_header(out, value.len);
		buffer_add(out, value);
		return;
	}
	respond_nstring(out, value, utf8);
}

static void line_add(struct line *line, struct slice name, struct slice value)
{
	struct buffer *out = &line->s->session.out;
	bool utf8 = imap_speaks_utf8(line->s);
	if (line->options && line->options->has_max_octets &&
	    value.len > line->options->max_octets) {
		if (value.len > line->longest_octets)
			line->longest_octets = value.len;
		return;
	}
	buffer_add_cstr(out, line->is_begun ? " " : "* METADATA ");
	if (!line->is_begun) {
		if (line->mailbox.len > 0)
			respond_mailbox(out, line->mailbox, utf8);
		else
			buffer_add_cstr(out, "\"\"");
		buffer_add_cstr(out, " (");
	}
	line->is_begun = true;
	respond_astring(out, name, utf8);
	buffer_add_byte(out, ' ');
	add_value(out, value, utf8);
}

static void line_end(struct line *line)
{
	if (line->is_begun)
		buffer_add_cstr(&line->s->session.out, ")\r\n");
}

static bool is_private(struct slice name)
{
	return slice_starts_nocase(name, SLICE("/private/"));
}

/* SLICE_NONE: there is none. */
static struct slice entry_value(struct read *read, uint32_t account_id,
				const struct mailbox *mailbox, struct slice name)
{
	struct slice value = SLICE_NONE;
	if (mailbox && mailbox->account_id != account_id && is_private(name))
		return SLICE_NONE;
	if (mailbox && slice_eq(name, special_use_entry)) {
		const char *use = special_use_name(mailbox->special_use);
		return use ? slice_cstr(use) : SLICE_NONE;
	}
	enum err err = annotation_get(read, mailbox ? mailbox->account_id : account_id,
				      mailbox ? mailbox->mailbox_id : 0, name, &value);
	return err == ERR_OK ? value : SLICE_NONE;
}

void respond_metadata(struct imap_session *s, struct read *read, const struct mailbox *mailbox,
		      const struct entry_list *list)
{
	struct line line = { .s = s, .mailbox = mailbox->name };
	for (size_t i = 0; i < list->count; i++)
		line_add(&line, list->names[i],
			 entry_value(read, s->account_id, mailbox, list->names[i]));
	line_end(&line);
}

void respond_metadata_changed(struct imap_session *s, struct slice mailbox, struct slice name)
{
	struct buffer *out = &s->session.out;
	buffer_add_cstr(out, "* METADATA ");
	if (mailbox.len > 0)
		respond_mailbox(out, mailbox, imap_speaks_utf8(s));
	else
		buffer_add_cstr(out, "\"\"");
	buffer_add_byte(out, ' ');
	respond_astring(out, name, false);
	buffer_add_cstr(out, "\r\n");
}

/* How many levels `name` is below `above`; 0: it is not. */
static int levels_below(struct slice name, struct slice above)
{
	int levels = 0;
	if (name.len <= above.len || memcmp(name.ptr, above.ptr, above.len) != 0 ||
	    name.ptr[above.len] != '/')
		return 0;
	for (size_t i = above.len; i < name.len; i++)
		levels += name.ptr[i] == '/';
	return levels;
}

static bool is_asked_for(const struct entry_list *list, int depth, struct slice name)
{
	for (size_t i = 0; i < list->count; i++) {
		int levels = levels_below(name, list->names[i]);
		if (slice_eq(name, list->names[i]) || (levels > 0 && levels <= depth))
			return true;
	}
	return false;
}

/* DEPTH: what is there of the entries that were named, and below them. */
static void add_deep(struct line *line, struct read *read, const struct mailbox *mailbox,
		     const struct entry_list *list)
{
	struct annotation annotation;
	struct slice after = SLICE_NONE;
	uint64_t mailbox_id = mailbox ? mailbox->mailbox_id : 0;
	int depth = line->options->depth;
	uint32_t account_id = line->s->account_id;
	uint32_t owner_id = mailbox ? mailbox->account_id : account_id;
	if (mailbox && owner_id == account_id && mailbox->special_use != USE_NONE &&
	    is_asked_for(list, depth, special_use_entry))
		line_add(line, special_use_entry,
			 entry_value(read, account_id, mailbox, special_use_entry));
	while (annotation_next(read, owner_id, mailbox_id, after, &annotation)) {
		if ((owner_id == account_id || !is_private(annotation.name)) &&
		    is_asked_for(list, depth, annotation.name))
			line_add(line, annotation.name, annotation.value);
		after = annotation.name;
	}
}

/* The mailbox, where the rights are there for its annotations; with those to set them. */
static enum err find_mailbox(struct read *read, uint32_t account_id, struct slice name, bool to_set,
			     struct arena *arena, struct mailbox *mailbox_out)
{
	unsigned rights;
	unsigned needs = to_set ? RIGHT_LOOKUP | RIGHT_WRITE : RIGHT_LOOKUP;
	enum err err = access_find(read, account_id, name, needs, arena, mailbox_out, &rights);
	return err == ERR_OK && !(rights & METADATA_RIGHTS) ? ERR_DENIED : err;
}

/* An entry that was named is answered, be it with NIL; below it only what is there. */
static enum step get(struct imap_session *s, struct slice owner, const struct get_options *options,
		     const struct entry_list *list)
{
	struct line line = { .s = s, .mailbox = owner, .options = options };
	struct mailbox *mailbox = NULL;
	enum err err = ERR_OK;
	struct read *read = read_begin(s->back->store);
	if (owner.len > 0) {
		mailbox = arena_alloc(&s->command_arena, sizeof(*mailbox));
		err = find_mailbox(read, s->account_id, owner, false, &s->command_arena, mailbox);
	}
	if (err == ERR_OK && options->depth > 0)
		add_deep(&line, read, mailbox, list);
	for (size_t i = 0; i < list->count && err == ERR_OK && options->depth == 0; i++)
		line_add(&line, list->names[i],
			 entry_value(read, s->account_id, mailbox, list->names[i]));
	line_end(&line);
	if (err == ERR_OK)
		err = read_failure(read);
	read_end(&read);
	if (err != ERR_OK)
		return imap_refuse(s, err);
	if (line.longest_octets == 0)
		return imap_ok(s, "GETMETADATA completed");
	return imap_ok(s, arena_format(&s->command_arena,
				       "[METADATA LONGENTRIES %zu] GETMETADATA completed",
				       line.longest_octets));
}

/* The grammar has the options before the mailbox, the examples after it: both are taken. */
enum step imap_getmetadata(struct imap_session *s, struct cursor *args, bool uid)
{
	struct get_options options = { 0 };
	struct entry_list list;
	struct slice owner;
	bool has_options = next_is(args, '(');
	if (has_options && (!take_get_options(args, &options) || !take_space(args)))
		return imap_bad(s, "The options are MAXSIZE and DEPTH");
	if (!take_owner(s, args, &owner) || !take_space(args))
		return imap_bad(s, "A mailbox name or \"\", please");
	if (!has_options && take_get_options(args, &options) && !take_space(args))
		return imap_bad(s, "Names of entries, please");
	if (!take_entries(args, &s->command_arena, &list) || !at_end(args))
		return imap_bad(s, "Names of entries, please: /private/... or /shared/...");
	if (list.is_cut)
		return imap_refuse(s, ERR_LIMIT);
	return get(s, owner, &options, &list);
}

/* ---- writing ---- */

struct set_work {
	uint32_t account_id;
	struct slice owner;
	struct entry_list list;
	struct slice *values; /* ptr NULL: to be removed */
	bool lacks_private;   /* of another's mailbox (result) */
};

static enum err set_entry(struct write *write, struct set_work *work, const struct mailbox *mailbox,
			  struct slice name, struct slice value)
{
	if (!mailbox)
		return annotation_set(write, work->account_id, 0, name, value);
	if (slice_eq(name, special_use_entry))
		return mailbox_set_special_use(write, work->account_id, work->owner,
					       special_use_of(value));
	return annotation_set(write, mailbox->account_id, mailbox->mailbox_id, name, value);
}

/* value = nstring / literal8 */
static bool take_value(struct cursor *at, struct arena *arena, struct slice *value_out)
{
	struct cursor c = *at;
	bool is_literal8 = take_byte(&c, '~');
	if (is_literal8 ? !take_literal(&c, value_out) : !take_nstring(&c, arena, value_out))
		return false;
	*at = c;
	return true;
}

/* entry-values */
static bool take_entry_values(struct cursor *c, struct arena *arena, struct set_work *work)
{
	if (!take_byte(c, '('))
		return false;
	work->list.names = arena_alloc_array(arena, ANNOTATIONS_MAX, sizeof(*work->list.names));
	work->values = arena_alloc_array(arena, ANNOTATIONS_MAX, sizeof(*work->values));
	do {
		struct slice name, value;
		if (!take_entry(c, arena, false, &name) || !take_space(c) ||
		    !take_value(c, arena, &value))
			return false;
		if (work->list.count == ANNOTATIONS_MAX) {
			work->list.is_cut = true;
			continue;
		}
		work->list.names[work->list.count] = name;
		work->values[work->list.count++] = value;
	} while (take_space(c));
	return take_byte(c, ')');
}

/* NULL: it can be set. */
static const char *why_not_set(const struct set_work *work)
{
	if (work->list.is_cut)
		return too_many;
	for (size_t i = 0; i < work->list.count; i++) {
		struct slice name = work->list.names[i], value = work->values[i];
		if (value.len > ANNOTATION_VALUE_MAX_OCTETS)
			return too_large;
		if (work->owner.len == 0 && slice_starts_nocase(name, SLICE("/shared/")))
			return "[NOPERM] What is shared by all is not for one user to set";
		if (work->owner.len > 0 && slice_eq(name, special_use_entry) && value.len > 0 &&
		    special_use_of(value) == USE_NONE)
			return "[USEATTR] No mailbox here can have that special use";
	}
	return NULL;
}

static enum err run_set(struct write *write, struct job *job)
{
	struct set_work *work = imap_session_of_job(job)->job_data;
	struct arena arena = { 0 };
	struct mailbox *mailbox = NULL;
	enum err err = ERR_OK;
	if (work->owner.len > 0) {
		mailbox = arena_alloc(&arena, sizeof(*mailbox));
		err = find_mailbox(write_read(write), work->account_id, work->owner, true, &arena,
				   mailbox);
	}
	bool is_others = err == ERR_OK && mailbox && mailbox->account_id != work->account_id;
	work->lacks_private = false;
	for (size_t i = 0; is_others && i < work->list.count; i++)
		work->lacks_private |= is_private(work->list.names[i]);
	if (work->lacks_private)
		err = ERR_BAD_INPUT;
	for (size_t i = 0; i < work->list.count && err == ERR_OK; i++)
		err = set_entry(write, work, mailbox, work->list.names[i], work->values[i]);
	arena_fini(&arena);
	return err;
}

static enum step after_set(struct imap_session *s, enum err outcome)
{
	const struct set_work *work = s->job_data;
	if (outcome == ERR_BAD_INPUT && work->lacks_private)
		return imap_no(s, "[METADATA NOPRIVATE] Here only /shared/ entries can be set");
	if (outcome == ERR_LIMIT)
		return imap_no(s, too_many);
	return outcome == ERR_OK ? imap_ok(s, "SETMETADATA completed") : imap_refuse(s, outcome);
}

enum step imap_setmetadata(struct imap_session *s, struct cursor *args, bool uid)
{
	struct set_work *work = arena_alloc(&s->command_arena, sizeof(*work));
	work->account_id = s->account_id;
	if (!take_owner(s, args, &work->owner) || !take_space(args) ||
	    !take_entry_values(args, &s->command_arena, work) || !at_end(args))
		return imap_bad(s,
				"A mailbox name or \"\", please, and a list of entries and values");
	const char *why = why_not_set(work);
	if (why)
		return imap_no(s, why);
	return imap_write(s, run_set, work, after_set);
}

bool imap_metadata_meets_literal(struct imap_session *s, const char **why_not_out)
{
	struct cursor c = cursor_of(framing_command(&s->framing));
	struct slice tag;
	if (!take_tag(&c, &tag) || !take_space(&c) || !take_keyword(&c, "SETMETADATA"))
		return false;
	*why_not_out = NULL;
	if (s->framing.literal.size_octets > ANNOTATION_VALUE_MAX_OCTETS)
		*why_not_out = too_large;
	return true;
}
