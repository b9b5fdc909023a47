/* imapd/search_sources.c - the sources in IN (...) of ESEARCH, and those of NOTIFY: which names they
 * mean. In the back.
 *
 * RFC 7377 section 2.2, with the mailbox specifiers of RFC 5465 section 6. */
#include "imapd/search_sources_priv.h"

#include "imapd/grammar_priv.h"
#include "mail/text.h"

/* Each mailbox is compared with all of them. */
enum { SOURCES_MAX = 100, NAMES_MAX = 1000 };

/* one-or-more-mailbox = mailbox / "(" mailbox *(SP mailbox) ")" */
static bool take_names(struct cursor *c, struct arena *arena, bool utf8,
		       struct search_source *source)
{
	size_t cap = 1;
	if (!take_space(c))
		return false;
	bool is_list = take_byte(c, '(');
	source->names = arena_alloc_array(arena, cap, sizeof(*source->names));
	do {
		if (source->name_count == cap) {
			struct slice *more = arena_alloc_array(arena, cap * 2, sizeof(*more));
			memcpy(more, source->names, cap * sizeof(*more));
			source->names = more;
			cap *= 2;
		}
		struct slice *name = &source->names[source->name_count++];
		if (!take_mailbox(c, arena, utf8, name))
			return false;
		*name = text_compose(*name, arena);
	} while (is_list && take_space(c));
	return !is_list || take_byte(c, ')');
}

bool take_search_source(struct cursor *c, struct arena *arena, bool utf8,
			struct search_source *source)
{
	static const struct {
		const char *word;
		enum source_kind kind;
	} words[] = {
		{ "selected", SOURCE_SELECTED },   { "inboxes", SOURCE_PERSONAL },
		{ "personal", SOURCE_PERSONAL },   { "subscribed", SOURCE_SUBSCRIBED },
		{ "subtree", SOURCE_SUBTREE },	   { "subtree-one", SOURCE_SUBTREE_ONE },
		{ "mailboxes", SOURCE_MAILBOXES },
	};
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (!take_keyword(c, words[i].word))
			continue;
		source->kind = words[i].kind;
		return source->kind < SOURCE_SUBTREE || take_names(c, arena, utf8, source);
	}
	return false;
}

bool take_search_sources(struct cursor *at, struct arena *arena, bool utf8,
			 struct search_source **sources_out)
{
	struct cursor c = *at;
	struct search_source **last = sources_out;
	size_t source_count = 0, name_count = 0;
	if (!take_keyword(&c, "IN")) {
		*sources_out = arena_alloc(arena, sizeof(**sources_out));
		return true;
	}
	if (!take_space(&c) || !take_byte(&c, '('))
		return false;
	do {
		*last = arena_alloc(arena, sizeof(**last));
		if (!take_search_source(&c, arena, utf8, *last))
			return false;
		name_count += (*last)->name_count;
		if (++source_count > SOURCES_MAX || name_count > NAMES_MAX)
			return false;
		last = &(*last)->next;
	} while (take_space(&c));
	if (!take_byte(&c, ')') || !take_space(&c))
		return false;
	*at = c;
	return true;
}

bool search_sources_are_selected(const struct search_source *sources)
{
	for (; sources; sources = sources->next)
		if (sources->kind != SOURCE_SELECTED)
			return false;
	return true;
}

bool search_sources_have_selected(const struct search_source *sources)
{
	for (; sources; sources = sources->next)
		if (sources->kind == SOURCE_SELECTED)
			return true;
	return false;
}

/* Whether `name` is `top`, or below it: `levels` deep at most. */
static bool is_below(struct slice name, struct slice top, unsigned levels)
{
	if (name.len < top.len || !slice_eq(slice_sub(name, 0, top.len), top))
		return false;
	if (name.len == top.len)
		return true;
	if (name.ptr[top.len] != MAILBOX_SEPARATOR)
		return false;
	unsigned depth = 0;
	for (size_t i = top.len; i < name.len; i++)
		depth += name.ptr[i] == MAILBOX_SEPARATOR;
	return depth <= levels;
}

enum { ALL_LEVELS = MAILBOX_NAME_MAX_OCTETS };

static bool names_match(const struct search_source *source, struct slice name)
{
	unsigned levels = source->kind == SOURCE_MAILBOXES     ? 0
			  : source->kind == SOURCE_SUBTREE_ONE ? 1
							       : ALL_LEVELS;
	for (size_t i = 0; i < source->name_count; i++)
		if (is_below(name, source->names[i], levels))
			return true;
	return false;
}

bool search_source_reaches(const struct search_source *source, struct slice top,
			   bool has_subscribed)
{
	if (search_source_has(source, top, has_subscribed))
		return true;
	for (size_t i = 0; i < source->name_count; i++)
		if (is_below(source->names[i], top, ALL_LEVELS))
			return true;
	return false;
}

bool search_source_has(const struct search_source *source, struct slice name, bool is_subscribed)
{
	switch (source->kind) {
	case SOURCE_SELECTED: break;
	case SOURCE_PERSONAL: return true;
	case SOURCE_SUBSCRIBED: return is_subscribed;
	case SOURCE_SUBTREE:
	case SOURCE_SUBTREE_ONE:
	case SOURCE_MAILBOXES: return names_match(source, name);
	}
	return false;
}
