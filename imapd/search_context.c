/* imapd/search_context.c - searches whose results are kept up to date. In the back.
 *
 * RFC 5267 section 4.3 (UPDATE) and 4.3.5 (CANCELUPDATE); RFC 5465 section 7 (UPDATE with data
 * items: arrivals.c tells them). The view says which messages have changed; those alone are looked
 * at again, so a context costs nothing while nothing happens. The positions of a SEARCH are 0: its
 * results are in mailbox order; a SORT keeps its results in theirs (sorted_results.c). Sequence
 * numbers in the program mean what they meant when it came, UIDs and RECENT are about what comes, too.
 * Refused are programs that read messages themselves, that go by the time, and by which message is the
 * last; given up is what comes to go by that. */
#include "imapd/search_context_priv.h"

#include <stdlib.h>

#include "base/heap.h"
#include "imapd/respond_priv.h"
#include "imapd/search_filters_priv.h"
#include "imapd/search_match_priv.h"
#include "imapd/sorted_results_priv.h"
#include "imapd/walk_priv.h"

enum {
	CONTEXTS_MAX = 16,
	/* Where envelopes are asked, so that a change of all messages does not hold the loop. */
	ENVELOPES_MAX = 10 * 1000,
	/* Results of a SORT, when it begins: each is kept with what it is sorted by. */
	SORTED_MAX = 20 * 1000,
	/* The same when they have grown. */
	SORTED_GROWN_MAX = 2 * SORTED_MAX,
	/* Of all contexts of a view, before the last: what they found and what they search in. */
	RUNS_MAX = SEARCH_RUNS_MAX,
	/* In one response. */
	RUNS_TOLD_MAX = 1000,
	SORTED_TOLD_MAX = 200,
	/* At a time: about a millisecond, as in search_scan.c. */
	LOOK_SLICE_OCTETS = 1024 * 1024,
	LOOK_COST = 500, /* a lookup of one message */
};

struct search_context {
	struct search_context *next;
	struct arena arena;
	struct slice tag, mailbox_name;
	bool uid;
	struct search_program program;
	uint32_t open_from; /* search_program_open_from() */
	bool has_items;
	struct fetch_items items;
	struct ranges results; /* UIDs, as the client knows them */
	bool is_sorted;
	struct sorted_results sorted;

	/* It can be kept up to date no longer: what it would have to hold has grown too large, or
	 * which message is the last has come to matter. */
	bool is_lost;

	/* What has been looked at and is to be told. */
	struct ranges added, removed;
	struct collection incoming; /* SORT: those of `added` */
	struct collection_limit incoming_limit;
};

static struct search_context **find(struct search_context **at, struct slice tag)
{
	while (*at && !slice_eq((*at)->tag, tag))
		at = &(*at)->next;
	return at;
}

bool search_context_exists(const struct imap_view *view, struct slice tag)
{
	for (const struct search_context *c = view->contexts; c; c = c->next)
		if (slice_eq(c->tag, tag))
			return true;
	return false;
}

static void context_free(struct search_context *context)
{
	search_program_fini(&context->program);
	ranges_free(&context->results);
	ranges_free(&context->added);
	ranges_free(&context->removed);
	sorted_results_fini(&context->sorted);
	collection_fini(&context->incoming);
	arena_fini(&context->arena);
	free(context);
}

static void cancel(struct imap_view *view, struct slice tag)
{
	struct search_context **at = find(&view->contexts, tag), *context = *at;
	if (!context)
		return;
	*at = context->next;
	context_free(context);
}

void search_contexts_free(struct imap_view *view)
{
	while (view->contexts)
		cancel(view, view->contexts->tag);
}

void search_context_refuse(struct imap_view *view, struct slice tag)
{
	struct buffer *out = &view->s->session.out;
	buffer_add(out, SLICE("* NO [NOUPDATE "));
	respond_string(out, tag, false);
	buffer_add_format(out, "] %s\r\n", imap_text(view->s, "Not this one"));
}

static unsigned count_contexts(const struct imap_view *view)
{
	unsigned count = 0;
	for (const struct search_context *c = view->contexts; c; c = c->next)
		count++;
	return count;
}

uint64_t search_contexts_runs(const struct imap_view *view)
{
	uint64_t runs = 0;
	for (const struct search_context *c = view->contexts; c; c = c->next)
		runs += c->results.count + search_program_runs(&c->program);
	return runs;
}

/* The command's own text ends with the command. */
static bool parse_again(struct search_context *context, const struct imap_view *view,
			const struct search_update *update)
{
	struct arena *arena = &context->arena;
	struct cursor c = cursor_of(arena_copy(arena, update->text));
	struct account_filters own = account_filters_of(view->s);
	context->has_items = update->items.ptr != NULL;
	context->program.comparator = update->program->comparator;
	if (take_search_program(&c, update->form, &own.filters, arena, &context->program) !=
	    SEARCH_PARSED)
		return false;
	context->program.is_kept = true;
	c = cursor_of(arena_copy(arena, update->items));
	return !context->has_items || take_fetch_list(&c, arena, &context->items);
}

/* Whether a set "n:*" is the last message now, or will be when one has come. */
static bool follows_last(const struct imap_view *view, uint32_t open_from)
{
	uint32_t last = ranges_last(&view->uids);
	return open_from > view->uidnext || (last > 0 && open_from > last);
}

bool search_context_add(struct imap_view *view, const struct search_update *update)
{
	uint32_t open_from = search_program_open_from(update->program);
	static const struct mailbox no_keywords;
	enum search_cost cost = update->program->root->cost;
	uint64_t runs = search_contexts_runs(view) + update->found->count;
	if (count_contexts(view) >= CONTEXTS_MAX || runs > RUNS_MAX || cost == COST_BODY ||
	    update->program->has_age || follows_last(view, open_from) ||
	    (cost == COST_DIGEST && view_count(view) > ENVELOPES_MAX) ||
	    (update->sorted && update->sorted->count > SORTED_MAX))
		return false;
	struct search_context *context = heap_alloc(sizeof(*context));
	context->tag = arena_copy(&context->arena, update->tag);
	if (update->mailbox_name.ptr)
		context->mailbox_name = arena_copy(&context->arena, update->mailbox_name);
	context->uid = update->uid;
	context->open_from = open_from;
	if (!parse_again(context, view, update) ||
	    !search_program_bind(&context->program, view, &no_keywords, RUNS_MAX - runs)) {
		context_free(context);
		return false;
	}
	ranges_copy(update->found, &context->results);
	context->is_sorted = update->sorted != NULL;
	if (context->is_sorted) {
		sorted_results_init(&context->sorted, update->sorted);
		context->incoming.criteria = &context->sorted.criteria;
		context->incoming.comparator = update->sorted->comparator;
		context->incoming.limit = &context->incoming_limit;
		context->incoming_limit.max_octets = COLLECTION_MAX_OCTETS;
	}
	*find(&view->contexts, SLICE_NONE) = context;
	return true;
}

/* ---- FETCH of what is new ---- */

bool search_contexts_want_items(const struct imap_view *view)
{
	for (const struct search_context *c = view->contexts; c; c = c->next)
		if (c->has_items)
			return true;
	return false;
}

void search_contexts_add_items(const struct imap_view *view, uint32_t uid,
			       struct fetch_items *items, struct arena *arena)
{
	for (const struct search_context *c = view->contexts; c; c = c->next)
		if (c->has_items && ranges_contains(&c->added, uid))
			fetch_items_join(items, &c->items, arena);
}

/* ---- telling ---- */

static void begin_line(struct imap_view *view, const struct search_context *context,
		       const char *what)
{
	struct buffer *out = &view->s->session.out;
	buffer_add(out, SLICE("* ESEARCH (TAG "));
	respond_string(out, context->tag, false);
	if (context->mailbox_name.ptr)
		respond_correlators(out, context->mailbox_name, view->uidvalidity,
				    imap_speaks_utf8(view->s));
	buffer_add_format(out, ")%s %s (", context->uid ? " UID" : "", what);
}

static void tell_set(struct imap_view *view, const struct search_context *context, const char *what,
		     const struct ranges *uids)
{
	struct buffer *out = &view->s->session.out;
	struct ranges numbers = { 0 };
	if (context->uid)
		ranges_copy(uids, &numbers);
	else
		members_to_ranks(&view->uids, uids, &numbers);
	begin_line(view, context, what);
	buffer_add(out, SLICE("0 "));
	respond_ranges(out, &numbers);
	buffer_add(out, SLICE(")\r\n"));
	ranges_free(&numbers);
}

static void tell_pairs(struct imap_view *view, const struct search_context *context,
		       const char *what, struct buffer *pairs)
{
	if (pairs->len > 0) {
		begin_line(view, context, what);
		buffer_add(&view->s->session.out, buffer_slice(pairs));
		buffer_add(&view->s->session.out, SLICE(")\r\n"));
	}
	buffer_free(pairs);
}

static void tell_removed(struct imap_view *view, struct search_context *c,
			 const struct ranges *uids)
{
	struct buffer pairs = { 0 };
	if (c->is_sorted)
		sorted_results_remove(&c->sorted, uids, c->uid ? NULL : &view->uids, &pairs);
	else
		tell_set(view, c, "REMOVEFROM", uids);
	tell_pairs(view, c, "REMOVEFROM", &pairs);
	ranges_drop(&c->results, uids);
}

static void tell_added(struct imap_view *view, struct search_context *c, const struct ranges *uids)
{
	struct buffer pairs = { 0 };
	if (c->is_sorted)
		sorted_results_insert(&c->sorted, &c->incoming, uids, c->uid ? NULL : &view->uids,
				      &pairs);
	else
		tell_set(view, c, "ADDTO", uids);
	tell_pairs(view, c, "ADDTO", &pairs);
	ranges_join(&c->results, uids);
}

/* What one response is about, from the lowest on: runs, or messages where each has a place. */
static void take_part(const struct search_context *c, struct ranges *uids, struct ranges *part)
{
	uint64_t messages = 0;
	for (uint32_t i = 0; i < uids->count && part->count < RUNS_TOLD_MAX; i++) {
		struct range run = uids->runs[i];
		uint64_t left = SORTED_TOLD_MAX - messages;
		if (c->is_sorted && left == 0)
			break;
		if (c->is_sorted && (uint64_t)run.last - run.first >= left)
			run.last = (uint32_t)(run.first + left - 1);
		messages += (uint64_t)run.last - run.first + 1;
		ranges_add(part, run.first, run.last);
	}
	ranges_remove(uids, 0, ranges_last(part));
}

/* Leaves of `uids` what is still to be told. False: the output is full. */
static bool tell_parts(struct imap_view *view, struct search_context *c, struct ranges *uids,
		       void (*tell)(struct imap_view *, struct search_context *,
				    const struct ranges *))
{
	while (uids->count > 0) {
		struct ranges part = { 0 };
		if (session_out_is_full(&view->s->session))
			return false;
		take_part(c, uids, &part);
		tell(view, c, &part);
		ranges_free(&part);
	}
	return true;
}

bool search_contexts_tell_vanished(struct imap_view *view)
{
	bool is_done = true;
	if (view->vanished.count == 0)
		return true;
	for (struct search_context *c = view->contexts; c && is_done; c = c->next) {
		struct ranges gone = { 0 };
		ranges_intersect(&c->results, &view->vanished, &gone);
		is_done = tell_parts(view, c, &gone, tell_removed);
		ranges_drop(&c->added, &view->vanished);
		ranges_drop(&c->removed, &view->vanished);
		ranges_free(&gone);
	}
	return is_done;
}

/* SORT: with what it is sorted by. */
static enum err hold(struct search_context *context, struct matcher *matcher,
		     const struct message_entry *entry)
{
	if (context->sorted.count + context->incoming.count >= SORTED_GROWN_MAX)
		return ERR_LIMIT;
	return collect(&context->incoming, matcher, entry);
}

/* What has become a match, and what is none any more: the one waits to be told until the other
 * responses that go with it have gone out. */
static void note_change(struct search_context *context, struct matcher *matcher,
			const struct message_entry *entry, bool matches)
{
	bool has_matched = ranges_contains(&context->results, entry->uid);
	uint32_t uid = entry->uid;
	if (matches && !has_matched && !ranges_contains(&context->added, uid)) {
		enum err err = ERR_OK;
		if (context->is_sorted)
			err = hold(context, matcher, entry);
		if (err == ERR_LIMIT)
			context->is_lost = true;
		else if (err == ERR_OK)
			ranges_add(&context->added, uid, uid);
	} else if (!matches) {
		ranges_remove(&context->added, uid, uid);
	}
	if (!matches && has_matched)
		ranges_add(&context->removed, uid, uid);
	else
		ranges_remove(&context->removed, uid, uid);
}

/* One message, by all contexts. Returns what that has cost. Where the store cannot be read nothing is
 * known of it. */
static uint64_t look_at(struct imap_view *view, struct read *read, struct matcher *matchers,
			struct content_blob *blob, uint32_t uid)
{
	struct message_entry entry;
	struct matcher *matcher = matchers;
	uint64_t spent = LOOK_COST;
	if (message_get(read, view->mailbox_id, uid, &entry) != ERR_OK)
		return spent;
	content_blob_set(blob, read, entry.blob_id);
	for (struct search_context *c = view->contexts; c; c = c->next, matcher++) {
		bool matches = false;
		matcher->spent = 0;
		if (matcher_match(matcher, &entry, &blob->source, &matches) != ERR_OK)
			matches = false;
		if (read_failure(read) != ERR_OK)
			return spent;
		note_change(c, matcher, &entry, matches);
		spent += matcher->spent;
	}
	return spent;
}

/* Looks at the next messages again. */
static void look_slice(struct imap_view *view, struct read *read, const struct mailbox *mailbox)
{
	struct content_blob blob = { 0 };
	struct matcher matchers[CONTEXTS_MAX];
	unsigned count = 0;
	uint64_t spent = 0;
	uint32_t uid = 0, next;
	for (struct search_context *c = view->contexts; c; c = c->next) {
		search_program_bind_keywords(&c->program, mailbox);
		matcher_init(&matchers[count++], &c->program);
	}
	while (spent < LOOK_SLICE_OCTETS && uid < UINT32_MAX &&
	       ranges_next(&view->unsearched, uid + 1, &next)) {
		spent += look_at(view, read, matchers, &blob, next);
		if (read_failure(read) != ERR_OK)
			break;
		uid = next;
	}
	ranges_remove(&view->unsearched, 0, uid);
	for (unsigned i = 0; i < count; i++)
		matcher_fini(&matchers[i]);
	content_blob_fini(&blob);
}

bool search_contexts_look(struct imap_view *view)
{
	struct arena arena = { 0 };
	struct mailbox *mailbox = arena_alloc(&arena, sizeof(*mailbox));
	struct read *read = read_begin(view->s->back->store);
	if (view->contexts && mailbox_get(read, view->mailbox_id, &arena, mailbox) == ERR_OK)
		look_slice(view, read, mailbox);
	else if (read_failure(read) == ERR_OK)
		ranges_free(&view->unsearched);
	/* A store that fails for a moment is asked again with what is told next. */
	bool is_done = view->unsearched.count == 0 || read_failure(read) != ERR_OK;
	read_end(&read);
	arena_fini(&arena);
	return is_done;
}

/* As if the client had been told so at once (RFC 5267 section 4.3.1): it is not left to believe that
 * nothing has changed. */
static void give_up_lost(struct imap_view *view)
{
	struct search_context **at = &view->contexts;
	while (*at) {
		struct search_context *context = *at;
		if (!context->is_lost && !follows_last(view, context->open_from)) {
			at = &context->next;
			continue;
		}
		search_context_refuse(view, context->tag);
		*at = context->next;
		context_free(context);
	}
}

bool search_contexts_tell_changed(struct imap_view *view)
{
	give_up_lost(view);
	for (struct search_context *c = view->contexts; c; c = c->next) {
		if (!tell_parts(view, c, &c->removed, tell_removed) ||
		    !tell_parts(view, c, &c->added, tell_added))
			return false;
		collection_fini(&c->incoming);
		ranges_free(&c->removed);
		ranges_free(&c->added);
	}
	return true;
}

/* ---- CANCELUPDATE ---- */

enum step imap_cancelupdate(struct imap_session *s, struct cursor *args, bool uid)
{
	struct cursor c = *args;
	struct slice tag;
	do {
		if (!take_quoted(&c, &s->command_arena, &tag))
			return imap_bad(s, "CANCELUPDATE wants quoted tags");
	} while (take_space(&c));
	if (!at_end(&c))
		return imap_bad(s, "CANCELUPDATE wants quoted tags");
	do {
		take_quoted(args, &s->command_arena, &tag);
		cancel(s->view, tag);
	} while (take_space(args));
	return imap_ok(s, "No further updates");
}
