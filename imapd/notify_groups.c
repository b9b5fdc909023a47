/* imapd/notify_groups.c - the arguments of NOTIFY. In the back.
 *
 * RFC 5465 section 8; which events go together: section 5. The selectors of mailboxes are those of
 * ESEARCH (search_sources.c), and matched as there. */
#include "imapd/grammar_priv.h"
#include "imapd/notify_priv.h"

enum {
	GROUPS_MAX = 100,
	NAMES_MAX = 1000, /* of all groups: each is looked at with each event */
};

static const struct {
	const char *word;
	enum notify_event event;
} events[] = {
	{ "MessageNew", NOTIFY_MESSAGE_NEW },
	{ "MessageExpunge", NOTIFY_MESSAGE_EXPUNGE },
	{ "FlagChange", NOTIFY_FLAG_CHANGE },
	{ "AnnotationChange", NOTIFY_ANNOTATION_CHANGE },
	{ "MailboxName", NOTIFY_MAILBOX_NAME },
	{ "SubscriptionChange", NOTIFY_SUBSCRIPTION_CHANGE },
	{ "MailboxMetadataChange", NOTIFY_MAILBOX_METADATA_CHANGE },
	{ "ServerMetadataChange", NOTIFY_SERVER_METADATA_CHANGE },
};

/* An event group as it is read. */
struct reading {
	struct arena *arena;
	struct notify_request *request;
	unsigned events;
	bool has_unknown_event, has_items;
	struct fetch_items items;
	size_t group_count, name_count;
	bool has_selected;
};

/* event; its fetch-att list is allowed only with SELECTED, which is checked later. */
static bool take_event(struct cursor *c, struct reading *r)
{
	struct slice word;
	struct cursor ahead;
	if (!take_atom(c, &word))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(events); i++) {
		if (!slice_eq_nocase(word, slice_cstr(events[i].word)))
			continue;
		r->events |= events[i].event;
		ahead = *c;
		if (events[i].event != NOTIFY_MESSAGE_NEW || !take_space(&ahead) ||
		    !next_is(&ahead, '('))
			return true;
		if (r->has_items || !take_fetch_list(&ahead, r->arena, &r->items))
			return false;
		r->has_items = true;
		*c = ahead;
		return true;
	}
	r->has_unknown_event = true;
	return true;
}

/* events = ("(" event *(SP event) ")") / "NONE" */
static bool take_events(struct cursor *c, struct reading *r)
{
	r->events = 0;
	r->has_items = false;
	if (take_keyword(c, "NONE"))
		return true;
	if (!take_byte(c, '('))
		return false;
	do {
		if (!take_event(c, r))
			return false;
	} while (take_space(c));
	return take_byte(c, ')');
}

/* Section 5: MessageNew and MessageExpunge come together, and the others of messages with them. */
static bool events_go_together(unsigned given)
{
	unsigned both = NOTIFY_MESSAGE_NEW | NOTIFY_MESSAGE_EXPUNGE;
	return (given & NOTIFY_MESSAGE_EVENTS) == 0 || (given & both) == both;
}

static bool take_selected(struct cursor *c, struct reading *r)
{
	struct notify_request *request = r->request;
	if (r->has_selected || !take_space(c) || !take_events(c, r) ||
	    (r->events & ~(unsigned)NOTIFY_MESSAGE_EVENTS))
		return false;
	r->has_selected = true;
	request->selected_events = r->events;
	request->has_items = r->has_items;
	request->items = r->items;
	return true;
}

static bool take_others(struct cursor *c, struct reading *r, bool utf8, struct notify_group **group)
{
	struct notify_group *g = arena_alloc(r->arena, sizeof(*g));
	if (!take_search_source(c, r->arena, utf8, &g->source) ||
	    g->source.kind == SOURCE_SELECTED || g->source.kind == SOURCE_SUBTREE_ONE ||
	    !take_space(c) || !take_events(c, r) || r->has_items)
		return false;
	g->events = r->events;
	r->request->other_events |= r->events;
	r->name_count += g->source.name_count;
	*group = g;
	return true;
}

/* event-group = "(" filter-mailboxes SP events ")" */
static bool take_group(struct cursor *c, struct reading *r, bool utf8, struct notify_group **group)
{
	*group = NULL;
	if (!take_byte(c, '('))
		return false;
	bool is_delayed = take_keyword(c, "SELECTED-DELAYED");
	bool is_good;
	if (is_delayed || take_keyword(c, "SELECTED"))
		is_good = take_selected(c, r);
	else
		is_good = take_others(c, r, utf8, group);
	r->request->is_delayed |= is_delayed;
	return is_good && events_go_together(r->events) && take_byte(c, ')');
}

enum notify_parsed take_notify_request(struct cursor *c, struct arena *arena, bool utf8,
				       struct notify_request *request_out)
{
	struct notify_request request = { 0 };
	struct reading r = { .arena = arena, .request = &request };
	struct notify_group **last = &request.groups;
	*request_out = request;
	if (take_keyword(c, "NONE"))
		return at_end(c) ? NOTIFY_PARSED : NOTIFY_MALFORMED;
	if (!take_keyword(c, "SET") || !take_space(c))
		return NOTIFY_MALFORMED;
	if (take_keyword(c, "STATUS")) {
		request.wants_status = true;
		if (!take_space(c))
			return NOTIFY_MALFORMED;
	}
	do {
		if (!take_group(c, &r, utf8, last))
			return NOTIFY_MALFORMED;
		if (*last)
			last = &(*last)->next;
		r.group_count++;
	} while (take_space(c));
	if (!at_end(c))
		return NOTIFY_MALFORMED;
	if (r.has_unknown_event)
		return NOTIFY_UNKNOWN_EVENT;
	if (r.group_count > GROUPS_MAX || r.name_count > NAMES_MAX)
		return NOTIFY_TOO_MUCH;
	*request_out = request;
	return NOTIFY_PARSED;
}

bool notify_reaches(const struct notify_request *request, struct slice top, bool has_subscribed)
{
	for (const struct notify_group *g = request->groups; g; g = g->next)
		if (g->events != 0 && g->source.kind != SOURCE_PERSONAL &&
		    search_source_reaches(&g->source, top, has_subscribed))
			return true;
	return false;
}

unsigned notify_events_of(const struct notify_request *request, struct slice name,
			  bool is_subscribed, bool is_others)
{
	unsigned wanted = 0;
	for (const struct notify_group *g = request->groups; g; g = g->next)
		if (!(is_others && g->source.kind == SOURCE_PERSONAL) &&
		    search_source_has(&g->source, name, is_subscribed))
			wanted |= g->events;
	return wanted;
}
