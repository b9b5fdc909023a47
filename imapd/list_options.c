/* imapd/list_options.c - what LIST is asked: which names, and what of each. In the back.
 *
 * RFC 9051 sections 6.3.9 and 9 (list-select-opts, list-return-opts), RFC 5258 (several patterns). */
#include "imapd/list_options_priv.h"

#include "imapd/grammar_priv.h"
#include "imapd/list_priv.h"
#include "mail/text.h"

/* list-select-opt; REMOTE adds nothing where there is no other server */
static bool take_selection_option(struct cursor *c, struct list_options *options)
{
	if (take_keyword(c, "SUBSCRIBED"))
		options->only_subscribed = options->tells_subscribed = true;
	else if (take_keyword(c, "SPECIAL-USE"))
		options->only_special_use = true;
	else if (take_keyword(c, "RECURSIVEMATCH"))
		options->recursive = true;
	else
		return take_keyword(c, "REMOTE");
	return true;
}

bool take_selection_options(struct cursor *at, struct list_options *options)
{
	struct cursor c = *at;
	if (!take_byte(&c, '('))
		return false;
	if (!next_is(&c, ')')) {
		do {
			if (!take_selection_option(&c, options))
				return false;
		} while (take_space(&c));
	}
	if (!take_byte(&c, ')'))
		return false;
	*at = c;
	return !options->recursive || options->only_subscribed || options->only_special_use;
}

/* CHILDREN and SPECIAL-USE are told in any case. */
static bool take_return_option(struct cursor *c, struct arena *arena, struct list_options *options)
{
	if (take_keyword(c, "STATUS"))
		return take_space(c) && take_status_items(c, &options->status_items);
	if (take_keyword(c, "METADATA"))
		return take_space(c) && take_entry_list(c, arena, &options->metadata);
	if (take_keyword(c, "SUBSCRIBED"))
		options->tells_subscribed = true;
	else if (take_keyword(c, "MYRIGHTS"))
		options->tells_rights = true;
	else
		return take_keyword(c, "CHILDREN") || take_keyword(c, "SPECIAL-USE");
	return true;
}

bool take_return_options(struct cursor *at, struct arena *arena, struct list_options *options)
{
	struct cursor c = *at;
	if (!take_keyword(&c, "RETURN") || !take_space(&c) || !take_byte(&c, '('))
		return false;
	if (!next_is(&c, ')')) {
		do {
			if (!take_return_option(&c, arena, options))
				return false;
		} while (take_space(&c));
	}
	if (!take_byte(&c, ')'))
		return false;
	*at = c;
	return true;
}

void list_options_add_pattern(struct imap_session *s, struct list_options *options,
			      struct slice reference, struct slice pattern)
{
	struct slice name;
	if (options->pattern_count == LIST_PATTERNS_MAX ||
	    reference.len + pattern.len > PATTERN_MAX_OCTETS)
		return;
	struct buffer wire = { 0 };
	buffer_add(&wire, reference);
	buffer_add(&wire, pattern);
	if (mailbox_name_from_wire(buffer_slice(&wire), &s->command_arena, imap_speaks_utf8(s),
				   &name) &&
	    (name = text_compose(name, &s->command_arena)).len <= PATTERN_MAX_OCTETS) {
		uint8_t *copy = (uint8_t *)arena_string(&s->command_arena, name);
		size_t len = list_pattern_simplify(copy, name.len);
		options->patterns[options->pattern_count++] = slice_of(copy, len);
		options->has_percent |= slice_find_byte(name, 0, '%') < name.len;
	}
	buffer_free(&wire);
}

/* list-mailbox / patterns (RFC 5258: several) */
bool take_list_patterns(struct imap_session *s, struct cursor *c, struct slice reference,
			struct list_options *options, bool *is_empty_out)
{
	struct arena *arena = &s->command_arena;
	struct slice pattern;
	*is_empty_out = false;
	if (!take_byte(c, '(')) {
		if (!take_list_mailbox(c, arena, &pattern))
			return false;
		*is_empty_out = pattern.len == 0;
		if (pattern.len > 0)
			list_options_add_pattern(s, options, reference, pattern);
		return true;
	}
	options->is_extended = true;
	do {
		if (!take_list_mailbox(c, arena, &pattern))
			return false;
		if (pattern.len > 0)
			list_options_add_pattern(s, options, reference, pattern);
	} while (take_space(c));
	return take_byte(c, ')');
}
