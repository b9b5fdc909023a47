/* imapd/flags.c - flags and keywords, from the wire and onto it. In the back.
 *
 * RFC 9051 section 2.3.2 and, of section 9, flag, flag-list and flag-keyword. \Recent is
 * RFC 3501's: told, never taken. Keywords are the mailbox's own (storage/mailbox.h). */
#include "imapd/view_priv.h"

static const struct {
	enum message_flag flag;
	const char *name; /* without its backslash */
} system_flags[] = {
	{ FLAG_ANSWERED, "Answered" }, { FLAG_FLAGGED, "Flagged" }, { FLAG_DELETED, "Deleted" },
	{ FLAG_SEEN, "Seen" },	       { FLAG_DRAFT, "Draft" },
};

static bool take_flag(struct cursor *at, struct flag_list *list)
{
	struct cursor c = *at;
	struct slice name;
	bool is_system = take_byte(&c, '\\');
	if (!take_atom(&c, &name))
		return false;
	if (!is_system) {
		list->keywords[list->keyword_count++] = name;
		*at = c;
		return true;
	}
	for (size_t i = 0; i < ARRAY_LEN(system_flags); i++) {
		if (!slice_eq_nocase(name, slice_cstr(system_flags[i].name)))
			continue;
		list->flags |= (uint8_t)system_flags[i].flag;
		*at = c;
		return true;
	}
	return false;
}

/* flag *(SP flag) */
static bool take_flag_sequence(struct cursor *at, struct arena *arena, struct flag_list *list)
{
	struct cursor c = *at;
	size_t spaces = 0;
	for (const uint8_t *p = c.at; p != c.end && *p != ')'; p++)
		spaces += *p == ' ';
	list->keywords = arena_alloc_array(arena, spaces + 1, sizeof(*list->keywords));
	do {
		if (!take_flag(&c, list))
			return false;
	} while (take_space(&c));
	*at = c;
	return true;
}

bool take_flag_list(struct cursor *at, struct arena *arena, struct flag_list *list_out)
{
	struct cursor c = *at;
	struct flag_list list = { 0 };
	if (!take_byte(&c, '('))
		return false;
	if (!next_is(&c, ')') && !take_flag_sequence(&c, arena, &list))
		return false;
	if (!take_byte(&c, ')'))
		return false;
	*list_out = list;
	*at = c;
	return true;
}

bool take_flags(struct cursor *at, struct arena *arena, struct flag_list *list_out)
{
	if (next_is(at, '('))
		return take_flag_list(at, arena, list_out);
	struct cursor c = *at;
	struct flag_list list = { 0 };
	if (!take_flag_sequence(&c, arena, &list))
		return false;
	*list_out = list;
	*at = c;
	return true;
}

enum err flag_list_check(const struct flag_list *list)
{
	if (list->keyword_count > MAILBOX_KEYWORDS_MAX)
		return ERR_LIMIT;
	for (size_t i = 0; i < list->keyword_count; i++)
		if (list->keywords[i].len > KEYWORD_MAX_OCTETS)
			return ERR_LIMIT;
	return ERR_OK;
}

static void add_flag(struct buffer *out, size_t start, const char *prefix, struct slice name)
{
	if (out->len > start)
		buffer_add_byte(out, ' ');
	buffer_add_cstr(out, prefix);
	buffer_add(out, name);
}

static void add_keywords(struct buffer *out, size_t start, const struct mailbox *mailbox,
			 uint64_t bits)
{
	for (size_t i = 0; i < mailbox->keyword_count; i++)
		if ((bits & (UINT64_C(1) << i)) && mailbox->keywords[i].ptr)
			add_flag(out, start, "", mailbox->keywords[i]);
}

void respond_flags(struct buffer *out, const struct mailbox *mailbox,
		   const struct message_entry *entry, bool is_recent)
{
	buffer_add_byte(out, '(');
	size_t start = out->len;
	for (size_t i = 0; i < ARRAY_LEN(system_flags); i++)
		if (entry->flags & system_flags[i].flag)
			add_flag(out, start, "\\", slice_cstr(system_flags[i].name));
	if (is_recent)
		add_flag(out, start, "\\", SLICE("Recent"));
	add_keywords(out, start, mailbox, entry->keywords);
	buffer_add_byte(out, ')');
}

void respond_known_flags(struct buffer *out, const struct mailbox *mailbox)
{
	buffer_add_byte(out, '(');
	size_t start = out->len;
	for (size_t i = 0; i < ARRAY_LEN(system_flags); i++)
		add_flag(out, start, "\\", slice_cstr(system_flags[i].name));
	add_keywords(out, start, mailbox, UINT64_MAX);
	buffer_add_byte(out, ')');
}

void respond_permanent_flags(struct buffer *out, const struct mailbox *mailbox,
			     struct flags_withheld withheld)
{
	buffer_add_byte(out, '(');
	size_t start = out->len;
	for (size_t i = 0; i < ARRAY_LEN(system_flags); i++)
		if (!(withheld.flags & system_flags[i].flag))
			add_flag(out, start, "\\", slice_cstr(system_flags[i].name));
	if (!withheld.keywords) {
		add_keywords(out, start, mailbox, UINT64_MAX);
		add_flag(out, start, "\\", SLICE("*")); /* unused ones make room */
	}
	buffer_add_byte(out, ')');
}

int keyword_bit(const struct mailbox *mailbox, struct slice keyword)
{
	for (size_t i = 0; i < mailbox->keyword_count; i++)
		if (mailbox->keywords[i].ptr && slice_eq_nocase(mailbox->keywords[i], keyword))
			return (int)i;
	return -1;
}

/* FNV-1a over the names and where they stand: tells whether FLAGS must be told again. */
uint64_t keywords_hash(const struct mailbox *mailbox)
{
	uint64_t hash = 0xcbf29ce484222325;
	for (size_t i = 0; i < mailbox->keyword_count; i++) {
		struct slice name = mailbox->keywords[i];
		for (size_t j = 0; j < name.len; j++)
			hash = (hash ^ name.ptr[j]) * 0x100000001b3;
		hash = (hash ^ ' ') * 0x100000001b3;
	}
	return hash;
}
