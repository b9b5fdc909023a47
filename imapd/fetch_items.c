/* imapd/fetch_items.c - the grammar of FETCH behind its sequence set.
 *
 * The rules fetch and fetch-att of RFC 9051 section 9, with RFC822, RFC822.HEADER and
 * RFC822.TEXT of RFC 3501 section 6.4.5, which IMAP4rev2 dropped and old clients use. The
 * binary items are those of RFC 3516, MODSEQ and the modifiers those of RFC 7162,
 * SAVEDATE that of RFC 8514, EMAILID and THREADID those of RFC 8474, PREVIEW that of RFC 8970. Runs in the back. */
#include "imapd/fetch_items_priv.h"

enum item_argument { NO_ARGUMENT, SECTION_ARGUMENT, BINARY_ARGUMENT, LAZY_ARGUMENT };

struct item_row {
	const char *word;   /* as the client writes it */
	const char *answer; /* as the answer begins */
	enum fetch_kind kind;
	enum item_argument argument;
	bool takes_partial, sets_seen;
	enum section_text text; /* of the RFC822 forms */
};

static const struct item_row item_rows[] = {
	/* word         answer           kind                 argument         partial seen */
	{ "UID", "UID", FETCH_UID },
	{ "FLAGS", "FLAGS", FETCH_FLAGS },
	{ "INTERNALDATE", "INTERNALDATE", FETCH_INTERNALDATE },
	{ "RFC822.SIZE", "RFC822.SIZE", FETCH_SIZE },
	{ "MODSEQ", "MODSEQ", FETCH_MODSEQ },
	{ "SAVEDATE", "SAVEDATE", FETCH_SAVEDATE },
	{ "EMAILID", "EMAILID", FETCH_EMAILID },
	{ "THREADID", "THREADID", FETCH_THREADID },
	{ "PREVIEW", "PREVIEW", FETCH_PREVIEW, LAZY_ARGUMENT },
	{ "ENVELOPE", "ENVELOPE", FETCH_ENVELOPE },
	{ "BODYSTRUCTURE", "BODYSTRUCTURE", FETCH_BODYSTRUCTURE },
	{ "BODY.PEEK", "BODY", FETCH_SECTION, SECTION_ARGUMENT, true, false },
	{ "BODY", "BODY", FETCH_SECTION, SECTION_ARGUMENT, true, true },
	{ "BODY", "BODY", FETCH_BODY },
	{ "BINARY.PEEK", "BINARY", FETCH_BINARY, BINARY_ARGUMENT, true, false },
	{ "BINARY.SIZE", "BINARY.SIZE", FETCH_BINARY_SIZE, BINARY_ARGUMENT, false, false },
	{ "BINARY", "BINARY", FETCH_BINARY, BINARY_ARGUMENT, true, true },
	{ "RFC822.HEADER", "RFC822.HEADER", FETCH_SECTION, .text = SECTION_HEADER },
	{ "RFC822.TEXT", "RFC822.TEXT", FETCH_SECTION, .sets_seen = true, .text = SECTION_TEXT },
	{ "RFC822", "RFC822", FETCH_SECTION, .sets_seen = true, .text = SECTION_WHOLE },
};

static const struct {
	const char *word;
	const char *items;
} macros[] = {
	{ "ALL", "FLAGS INTERNALDATE RFC822.SIZE ENVELOPE" },
	{ "FAST", "FLAGS INTERNALDATE RFC822.SIZE" },
	{ "FULL", "FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY" },
};

static void items_note(struct fetch_items *items, const struct fetch_item *item)
{
	switch (item->kind) {
	case FETCH_UID: items->has_uid = true; break;
	case FETCH_FLAGS: items->has_flags = true; break;
	case FETCH_MODSEQ: items->has_modseq = true; break;
	case FETCH_INTERNALDATE:
	case FETCH_SAVEDATE:
	case FETCH_EMAILID:
	case FETCH_SIZE: break;
	case FETCH_ENVELOPE: items->needs_envelope = true; break;
	case FETCH_THREADID:
	case FETCH_PREVIEW:
		items->body_count++;
		items->needs_structure = true;
		break;
	case FETCH_BODY:
	case FETCH_BODYSTRUCTURE: items->needs_structure = true; break;
	case FETCH_SECTION:
	case FETCH_BINARY:
	case FETCH_BINARY_SIZE:
		items->body_count++;
		if (item->section.part_count > 0 || item->section.text != SECTION_WHOLE)
			items->needs_structure = true;
		break;
	}
}

static bool items_hold(const struct fetch_items *items, enum fetch_kind kind)
{
	for (size_t i = 0; i < items->count; i++)
		if (items->items[i].kind == kind)
			return true;
	return false;
}

static const struct fetch_item modseq_item = { FETCH_MODSEQ, .name = "MODSEQ" };

static void items_add(struct fetch_items *items, size_t *cap, struct arena *arena,
		      const struct fetch_item *item)
{
	if (item->kind < FETCH_SECTION && items_hold(items, item->kind))
		return;
	if (items->count == *cap) {
		*cap = *cap ? *cap * 2 : 8;
		struct fetch_item *larger = arena_alloc_array(arena, *cap, sizeof(*larger));
		if (items->count)
			memcpy(larger, items->items, items->count * sizeof(*larger));
		items->items = larger;
	}
	items->items[items->count++] = *item;
	items_note(items, item);
}

/* [SP "(" "LAZY" ")"]: what is asked for lazily costs the same here (RFC 8970 section 4). */
static void take_lazy(struct cursor *at)
{
	struct cursor c = *at;
	if (take_space(&c) && take_byte(&c, '(') && take_keyword(&c, "LAZY") && take_byte(&c, ')'))
		*at = c; /* what else is in parentheses are modifiers of FETCH */
}

static bool take_argument(struct cursor *c, struct arena *arena, const struct item_row *row,
			  struct fetch_item *item)
{
	item->section.text = row->text;
	if (row->argument == NO_ARGUMENT)
		return !next_is(c, '[');
	if (row->argument == LAZY_ARGUMENT) {
		take_lazy(c);
		return !next_is(c, '[');
	}
	item->names_section = true;
	if (row->argument == SECTION_ARGUMENT ? !take_section(c, arena, &item->section)
					      : !take_section_binary(c, arena, &item->section))
		return false;
	if (row->takes_partial && next_is(c, '<')) {
		item->is_partial = true;
		return take_partial(c, &item->partial);
	}
	return true;
}

/* fetch-att */
static bool take_fetch_att(struct cursor *c, struct arena *arena, struct fetch_items *items,
			   size_t *cap)
{
	for (size_t i = 0; i < ARRAY_LEN(item_rows); i++) {
		const struct item_row *row = &item_rows[i];
		struct fetch_item item = { .kind = row->kind, .name = row->answer };
		struct cursor ahead = *c;
		if (!take_keyword(&ahead, row->word) || !take_argument(&ahead, arena, row, &item))
			continue;
		if (row->sets_seen)
			items->sets_seen = true;
		items_add(items, cap, arena, &item);
		*c = ahead;
		return true;
	}
	return false;
}

static bool take_att_list(struct cursor *c, struct arena *arena, struct fetch_items *items,
			  size_t *cap)
{
	do {
		if (!take_fetch_att(c, arena, items, cap))
			return false;
	} while (take_byte(c, ' '));
	return true;
}

static bool take_macro(struct cursor *c, struct arena *arena, struct fetch_items *items,
		       size_t *cap)
{
	for (size_t i = 0; i < ARRAY_LEN(macros); i++) {
		if (!take_keyword(c, macros[i].word))
			continue;
		struct cursor list = cursor_of(slice_cstr(macros[i].items));
		return take_att_list(&list, arena, items, cap);
	}
	return false;
}

/* fetch-modifiers = [SP "(" fetch-modifier *(SP fetch-modifier) ")"] */
static bool take_modifiers(struct cursor *c, bool uid, struct fetch_items *items)
{
	if (!take_space(c))
		return true;
	if (!take_byte(c, '('))
		return false;
	do {
		if (take_keyword(c, "CHANGEDSINCE")) {
			/* 0 is not in the grammar, but Thunderbird says it where it has kept no
			 * MODSEQ, and stops reading that mailbox where it is refused. */
			items->has_changed_since = true;
			if (!take_space(c) || !take_number64(c, &items->changed_since))
				return false;
		} else if (uid && take_keyword(c, "VANISHED")) {
			items->wants_vanished = true;
		} else if (uid && !items->has_partial && take_keyword(c, "PARTIAL")) {
			items->has_partial = true;
			if (!take_space(c) || !take_partial_range(c, &items->partial))
				return false;
		} else {
			return false;
		}
	} while (take_space(c));
	return take_byte(c, ')') && (items->has_changed_since || !items->wants_vanished);
}

bool take_fetch_items(struct cursor *c, struct arena *arena, bool uid,
		      struct fetch_items *items_out)
{
	struct cursor ahead = *c;
	struct fetch_items items = { 0 };
	size_t cap = 0;
	bool ok;

	if (uid)
		items_add(&items, &cap, arena, &(struct fetch_item){ FETCH_UID, .name = "UID" });
	if (take_byte(&ahead, '('))
		ok = take_att_list(&ahead, arena, &items, &cap) && take_byte(&ahead, ')');
	else
		ok = take_macro(&ahead, arena, &items, &cap) ||
		     take_fetch_att(&ahead, arena, &items, &cap);
	if (!ok || !take_modifiers(&ahead, uid, &items) || !at_end(&ahead))
		return false;
	if (items.has_changed_since)
		items_add(&items, &cap, arena, &modseq_item);
	*items_out = items;
	*c = ahead;
	return true;
}

bool take_fetch_list(struct cursor *at, struct arena *arena, struct fetch_items *items_out)
{
	struct cursor c = *at;
	struct fetch_items items = { 0 };
	size_t cap = 0;
	items_add(&items, &cap, arena, &(struct fetch_item){ FETCH_UID, .name = "UID" });
	if (!take_byte(&c, '(') || !take_att_list(&c, arena, &items, &cap) || !take_byte(&c, ')'))
		return false;
	*items_out = items;
	*at = c;
	return true;
}

static bool is_same_section(const struct section *a, const struct section *b)
{
	if (a->text != b->text || a->part_count != b->part_count ||
	    a->field_count != b->field_count)
		return false;
	for (size_t i = 0; i < a->part_count; i++)
		if (a->part[i] != b->part[i])
			return false;
	for (size_t i = 0; i < a->field_count; i++)
		if (!slice_eq_nocase(a->fields[i], b->fields[i]))
			return false;
	return true;
}

static bool is_same_item(const struct fetch_item *a, const struct fetch_item *b)
{
	return a->kind == b->kind && strcmp(a->name, b->name) == 0 &&
	       a->is_partial == b->is_partial &&
	       (!a->is_partial ||
		(a->partial.offset == b->partial.offset && a->partial.count == b->partial.count)) &&
	       is_same_section(&a->section, &b->section);
}

void fetch_items_join(struct fetch_items *items, const struct fetch_items *more,
		      struct arena *arena)
{
	size_t cap = 0;
	struct fetch_items joined = { 0 };
	for (size_t i = 0; i < items->count; i++)
		items_add(&joined, &cap, arena, &items->items[i]);
	for (size_t i = 0; i < more->count; i++) {
		size_t at = 0;
		while (at < joined.count && !is_same_item(&joined.items[at], &more->items[i]))
			at++;
		if (at == joined.count)
			items_add(&joined, &cap, arena, &more->items[i]);
	}
	*items = joined;
}

void fetch_items_add_modseq(struct fetch_items *items, struct arena *arena)
{
	struct fetch_item item = modseq_item;
	fetch_items_join(items, &(struct fetch_items){ .items = &item, .count = 1 }, arena);
}
