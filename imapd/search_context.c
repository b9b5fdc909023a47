/* imapd/search_context.c - searches whose results are kept up to date. In the back.
 *
 * RFC 5267 section 4.3 (UPDATE) and 4.3.5 (CANCELUPDATE), for SEARCH. The view says which
 * messages have changed; those alone are looked at again, so a context costs nothing while
 * nothing happens. Positions are 0: a search's results are in mailbox order. Sequence numbers in
 * the program mean what they meant when it came. Refused are programs that read messages
 * themselves, and sorted ones. */
#include "imapd/search_context_priv.h"

#include <stdlib.h>

#include "base/heap.h"
#include "imapd/respond_priv.h"
#include "imapd/search_filters_priv.h"
#include "imapd/search_match_priv.h"
#include "imapd/walk_priv.h"

enum {
	CONTEXTS_MAX = 16,
	/* Where envelopes are asked, so that a change of all messages does not hold the loop. */
	ENVELOPES_MAX = 10 * 1000,
};

struct search_context {
	struct search_context *next;
	struct arena arena;
	struct slice tag;
	bool uid;
	struct search_program program;
	struct ranges results; /* UIDs */
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
	arena_fini(&context->arena);
	free(context);
}

void search_context_cancel(struct imap_view *view, struct slice tag)
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
		search_context_cancel(view, view->contexts->tag);
}

static unsigned count_contexts(const struct imap_view *view)
{
	unsigned count = 0;
	for (const struct search_context *c = view->contexts; c; c = c->next)
		count++;
	return count;
}

bool search_context_add(struct imap_view *view, struct slice tag, bool uid, struct slice text,
			const struct search_program *program, const struct ranges *found)
{
	static const struct mailbox no_keywords;
	enum search_cost cost = program->root->cost;
	if (count_contexts(view) >= CONTEXTS_MAX || cost == COST_BODY ||
	    (cost == COST_DIGEST && view_count(view) > ENVELOPES_MAX))
		return false;
	struct search_context *context = heap_alloc(sizeof(*context));
	context->tag = arena_copy(&context->arena, tag);
	context->uid = uid;
	/* The command's own program ends with the command. */
	struct cursor c = cursor_of(arena_copy(&context->arena, text));
	struct account_filters own = account_filters_of(view->s);
	context->program.comparator = program->comparator;
	if (take_search_program(&c, CHARSET_NAMED, &own.filters, &context->arena,
				&context->program) != SEARCH_PARSED) {
		context_free(context);
		return false;
	}
	search_program_bind(&context->program, view, &no_keywords);
	ranges_copy(found, &context->results);
	*find(&view->contexts, SLICE_NONE) = context;
	return true;
}

/* ---- telling ---- */

static void tell(struct imap_view *view, const struct search_context *context, const char *what,
		 const struct ranges *uids)
{
	struct buffer *out = &view->s->session.out;
	struct ranges numbers = { 0 };
	if (uids->count == 0)
		return;
	if (context->uid)
		ranges_copy(uids, &numbers);
	else
		members_to_ranks(&view->uids, uids, &numbers);
	buffer_add(out, SLICE("* ESEARCH (TAG "));
	respond_string(out, context->tag, false);
	buffer_add_format(out, ")%s %s (0 ", context->uid ? " UID" : "", what);
	respond_ranges(out, &numbers);
	buffer_add(out, SLICE(")\r\n"));
	ranges_free(&numbers);
}

void search_contexts_tell_vanished(struct imap_view *view)
{
	if (view->vanished.count == 0)
		return;
	for (struct search_context *c = view->contexts; c; c = c->next) {
		struct ranges gone = { 0 };
		ranges_intersect(&c->results, &view->vanished, &gone);
		tell(view, c, "REMOVEFROM", &gone);
		ranges_drop(&c->results, &gone);
		ranges_free(&gone);
	}
}

/* Looks at those messages again: what has become a match, and what is none any more. */
static void look_again(struct search_context *context, struct imap_view *view, struct read *read,
		       struct ranges *added, struct ranges *removed)
{
	struct content_blob blob = { 0 };
	struct matcher matcher;
	uint32_t uid = 0;
	matcher_init(&matcher, &context->program);
	while (ranges_next(&view->unsearched, uid + 1, &uid)) {
		struct message_entry entry;
		bool matches = false, has_matched = ranges_contains(&context->results, uid);
		if (message_get(read, view->mailbox_id, uid, &entry) == ERR_OK) {
			content_blob_set(&blob, read, entry.blob_id);
			if (matcher_match(&matcher, &entry, &blob.source, &matches) != ERR_OK)
				matches = false;
			if (matches != has_matched)
				ranges_add(matches ? added : removed, uid, uid);
		}
		if (uid == UINT32_MAX)
			break;
	}
	matcher_fini(&matcher);
	content_blob_fini(&blob);
}

void search_contexts_tell_changed(struct imap_view *view)
{
	struct arena arena = { 0 };
	struct mailbox *mailbox = arena_alloc(&arena, sizeof(*mailbox));
	if (!view->contexts || view->unsearched.count == 0) {
		ranges_free(&view->unsearched);
		arena_fini(&arena);
		return;
	}
	struct read *read = read_begin(view->s->back->store);
	if (mailbox_get(read, view->mailbox_id, &arena, mailbox) == ERR_OK) {
		for (struct search_context *c = view->contexts; c; c = c->next) {
			struct ranges added = { 0 }, removed = { 0 };
			search_program_bind_keywords(&c->program, mailbox);
			look_again(c, view, read, &added, &removed);
			tell(view, c, "REMOVEFROM", &removed);
			tell(view, c, "ADDTO", &added);
			ranges_drop(&c->results, &removed);
			ranges_join(&c->results, &added);
			ranges_free(&added);
			ranges_free(&removed);
		}
	}
	read_end(&read);
	ranges_free(&view->unsearched);
	arena_fini(&arena);
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
		search_context_cancel(s->view, tag);
	} while (take_space(args));
	return imap_ok(s, "No further updates");
}
