/* imapd/search_keys.c - the grammar of SEARCH behind its result options.
 *
 * The rules search-program and search-key of RFC 9051 section 9, with NEW, OLD and RECENT of
 * RFC 3501 section 6.4.4, MODSEQ of RFC 7162 section 3.1.5, OLDER and YOUNGER of RFC 5032,
 * SAVEDBEFORE and its like of RFC 8514, EMAILID and THREADID of RFC 8474, FILTER of RFC 5466.
 * Strings come out as folded UTF-8. The children of an AND and of an OR are sorted by what they cost,
 * so that FLAGGED spares looking for TEXT. Runs in the back. */
#include "imapd/search_keys_priv.h"

#include "base/clock.h"
#include "imapd/object_id_priv.h"
#include "mail/text.h"
#include "storage/message.h"

enum argument {
	NOTHING,
	STRING,
	FIELD_AND_STRING,
	KEYWORD,
	DATE,
	SIZE,
	SEQUENCE,
	MODSEQ,
	INTERVAL,
	OBJECT_ID,
};

struct key_row {
	const char *word;
	enum search_kind kind;
	enum argument argument;
	bool is_negated;
	int value; /* of the flag, the field, or when */
};

static const struct key_row key_rows[] = {
	{ "ALL", SEARCH_ALL },
	{ "ANSWERED", SEARCH_FLAG, NOTHING, false, FLAG_ANSWERED },
	{ "DELETED", SEARCH_FLAG, NOTHING, false, FLAG_DELETED },
	{ "DRAFT", SEARCH_FLAG, NOTHING, false, FLAG_DRAFT },
	{ "FLAGGED", SEARCH_FLAG, NOTHING, false, FLAG_FLAGGED },
	{ "SEEN", SEARCH_FLAG, NOTHING, false, FLAG_SEEN },
	{ "UNANSWERED", SEARCH_FLAG, NOTHING, true, FLAG_ANSWERED },
	{ "UNDELETED", SEARCH_FLAG, NOTHING, true, FLAG_DELETED },
	{ "UNDRAFT", SEARCH_FLAG, NOTHING, true, FLAG_DRAFT },
	{ "UNFLAGGED", SEARCH_FLAG, NOTHING, true, FLAG_FLAGGED },
	{ "UNSEEN", SEARCH_FLAG, NOTHING, true, FLAG_SEEN },
	{ "KEYWORD", SEARCH_KEYWORD, KEYWORD, false },
	{ "UNKEYWORD", SEARCH_KEYWORD, KEYWORD, true },
	{ "LARGER", SEARCH_LARGER, SIZE },
	{ "SMALLER", SEARCH_SMALLER, SIZE },
	{ "BEFORE", SEARCH_DATE, DATE, false, WHEN_BEFORE },
	{ "ON", SEARCH_DATE, DATE, false, WHEN_ON },
	{ "SINCE", SEARCH_DATE, DATE, false, WHEN_SINCE },
	{ "SENTBEFORE", SEARCH_SENT, DATE, false, WHEN_BEFORE },
	{ "SENTON", SEARCH_SENT, DATE, false, WHEN_ON },
	{ "SENTSINCE", SEARCH_SENT, DATE, false, WHEN_SINCE },
	{ "SUBJECT", SEARCH_ENVELOPE, STRING, false, FIELD_SUBJECT },
	{ "FROM", SEARCH_ENVELOPE, STRING, false, FIELD_FROM },
	{ "TO", SEARCH_ENVELOPE, STRING, false, FIELD_TO },
	{ "CC", SEARCH_ENVELOPE, STRING, false, FIELD_CC },
	{ "BCC", SEARCH_ENVELOPE, STRING, false, FIELD_BCC },
	{ "HEADER", SEARCH_HEADER, FIELD_AND_STRING },
	{ "BODY", SEARCH_BODY, STRING },
	{ "TEXT", SEARCH_TEXT, STRING },
	{ "UID", SEARCH_UIDS, SEQUENCE },
	{ "MODSEQ", SEARCH_MODSEQ, MODSEQ },
	{ "OLDER", SEARCH_AGE, INTERVAL, false, false },
	{ "YOUNGER", SEARCH_AGE, INTERVAL, false, true },
	{ "SAVEDBEFORE", SEARCH_SAVED, DATE, false, WHEN_BEFORE },
	{ "SAVEDON", SEARCH_SAVED, DATE, false, WHEN_ON },
	{ "SAVEDSINCE", SEARCH_SAVED, DATE, false, WHEN_SINCE },
	{ "SAVEDATESUPPORTED", SEARCH_ALL },
	{ "EMAILID", SEARCH_OBJECT, OBJECT_ID, false, false },
	{ "THREADID", SEARCH_OBJECT, OBJECT_ID, false, true },
};

struct parsing {
	struct arena *arena;
	struct search_program *program;
	struct slice charset; /* empty: none given */
	struct search_filters *filters;
	unsigned filter_depth;
	unsigned depth, keys, strings;
	enum search_parsed failure; /* why a take_ function said false */
};

static bool take_search_key(struct cursor *c, struct parsing *p, struct search_key **key_out);

static bool fail(struct parsing *p, enum search_parsed why)
{
	p->failure = why;
	return false;
}

static enum search_cost cost_of(enum search_kind kind)
{
	switch (kind) {
	case SEARCH_SENT:
	case SEARCH_ENVELOPE: return COST_DIGEST;
	case SEARCH_HEADER:
	case SEARCH_BODY:
	case SEARCH_TEXT: return COST_BODY;
	default: return COST_ENTRY;
	}
}

static struct search_key *key_new(struct parsing *p, enum search_kind kind)
{
	struct search_key *key = arena_alloc(p->arena, sizeof(*key));
	key->kind = kind;
	key->cost = cost_of(kind);
	if (kind == SEARCH_UIDS) {
		key->next_numbers = p->program->numbers;
		p->program->numbers = key;
	}
	return key;
}

static struct search_key *key_not(struct parsing *p, struct search_key *child)
{
	struct search_key *key = key_new(p, SEARCH_NOT);
	key->first_child = child;
	key->cost = child->cost;
	return key;
}

/* Behind those that cost no more. */
static void key_add_child(struct search_key *key, struct search_key *child)
{
	struct search_key **at = &key->first_child;
	while (*at && (*at)->cost <= child->cost)
		at = &(*at)->next;
	child->next = *at;
	*at = child;
	if (child->cost > key->cost)
		key->cost = child->cost;
}

/* None, or one that is UTF-8 as it stands. */
static bool text_charset_is_plain(struct slice charset)
{
	return charset.len == 0 || slice_eq_nocase(charset, SLICE("UTF-8")) ||
	       slice_eq_nocase(charset, SLICE("US-ASCII"));
}

/* astring, in the charset of the program; folded. */
static bool take_needle(struct cursor *c, struct parsing *p, struct search_key *key)
{
	struct buffer utf8 = { 0 }, folded = { 0 };
	struct slice text;

	if (!take_astring(c, p->arena, &text))
		return false;
	if (++p->strings > SEARCH_STRINGS_MAX)
		return fail(p, SEARCH_TOO_COMPLEX);
	if (!text_charset_is_plain(p->charset)) {
		text_decode_charset(p->charset, text, &utf8);
		text = buffer_slice(&utf8);
	}
	bool ok = text_is_utf8(text);
	if (ok) {
		enum comparator comparator = p->program->comparator;
		comparator_fold(comparator, text, &folded);
		struct slice kept = arena_copy(p->arena, buffer_slice(&folded));
		key->text.needle = needle_of(kept, comparator);
		bool is_address =
			key->kind == SEARCH_ENVELOPE && search_field_is_address(key->text.field);
		key->text.word = needle_of(
			is_address ? needle_address_word(kept) : needle_word(kept), comparator);
	}
	buffer_free(&utf8);
	buffer_free(&folded);
	return ok;
}

/* HEADER SP header-fld-name SP astring; where the digest holds that field, it is asked first. */
static bool take_header_argument(struct cursor *c, struct parsing *p, struct search_key *key)
{
	static const struct {
		const char *name;
		enum search_field field;
	} in_digest[] = {
		{ "Subject", FIELD_SUBJECT },
		{ "Message-ID", FIELD_MESSAGE_ID },
		{ "In-Reply-To", FIELD_IN_REPLY_TO },
		{ "References", FIELD_REFERENCES },
	};
	if (!take_astring(c, p->arena, &key->text.header_name) || !take_space(c) ||
	    !take_needle(c, p, key))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(in_digest); i++) {
		if (slice_eq_nocase(key->text.header_name, slice_cstr(in_digest[i].name))) {
			key->text.is_in_digest = true;
			key->text.field = in_digest[i].field;
		}
	}
	return true;
}

/* ["entry-name" SP entry-type-req SP] mod-sequence-valzer. All metadata of a message have one
 * MODSEQ here, so which of them is meant makes no difference. */
static bool take_modseq_argument(struct cursor *c, struct parsing *p, struct search_key *key)
{
	struct slice entry;
	if (next_is(c, '"') &&
	    (!take_quoted(c, p->arena, &entry) || !slice_starts_nocase(entry, SLICE("/flags/")) ||
	     !take_space(c) ||
	     !(take_keyword(c, "all") || take_keyword(c, "priv") || take_keyword(c, "shared")) ||
	     !take_space(c)))
		return false;
	p->program->has_modseq = true;
	return take_number64(c, &key->modseq);
}

/* nz-number, in seconds before now */
static bool take_interval(struct cursor *c, struct parsing *p, struct search_key *key,
			  bool is_younger)
{
	uint32_t seconds;
	if (!take_nz_number(c, &seconds))
		return false;
	p->program->has_age = true;
	key->age.is_younger = is_younger;
	key->age.unix_seconds = clock_unix() - seconds;
	return true;
}

/* objectid = 1*255(ALPHA / DIGIT / "_" / "-"); what is none of ours matches nothing. */
static bool take_object_id(struct cursor *c, struct search_key *key, bool is_thread)
{
	struct slice id;
	if (!take_atom(c, &id) || id.len > 255)
		return false;
	key->object.is_thread = is_thread;
	key->object.number = object_id_parse(is_thread ? 'T' : 'M', id);
	key->cost = is_thread ? COST_BODY : COST_ENTRY;
	return true;
}

static bool take_key_argument(struct cursor *c, struct parsing *p, const struct key_row *row,
			      struct search_key *key)
{
	if (row->argument == NOTHING) {
		key->flag = (uint8_t)row->value;
		return true;
	}
	if (!take_space(c))
		return false;
	switch (row->argument) {
	case STRING:
		key->text.field = (enum search_field)row->value;
		if (!take_needle(c, p, key))
			return false;
		if (row->kind == SEARCH_BODY || row->kind == SEARCH_TEXT) {
			key->text.text_index = p->program->text_count;
			p->program->texts[p->program->text_count++] = key;
		}
		return true;
	case FIELD_AND_STRING: return take_header_argument(c, p, key);
	case KEYWORD: return take_atom(c, &key->keyword.name);
	case DATE:
		key->date.when = (enum search_when)row->value;
		return take_date(c, &key->date.day);
	case SIZE: return take_number64(c, &key->size_octets);
	case SEQUENCE:
		key->numbers.uid = true;
		return take_sequence_set(c, p->arena, &key->numbers.set);
	case MODSEQ: return take_modseq_argument(c, p, key);
	case INTERVAL: return take_interval(c, p, key, row->value);
	case OBJECT_ID: return take_object_id(c, key, row->value);
	case NOTHING: break;
	}
	return false;
}

/* *(SP search-key) behind the first. */
static bool take_search_keys(struct cursor *c, struct parsing *p, struct search_key **key_out)
{
	struct search_key *all = key_new(p, SEARCH_AND), *key;
	do {
		if (!take_search_key(c, p, &key))
			return false;
		key_add_child(all, key);
	} while (take_byte(c, ' '));
	*key_out = all;
	return true;
}

static bool take_nested_key(struct cursor *c, struct parsing *p, struct search_key **key_out)
{
	struct search_key *first, *second;

	if (take_byte(c, '('))
		return take_search_keys(c, p, key_out) && take_byte(c, ')');
	if (take_keyword(c, "NOT")) {
		if (!take_space(c) || !take_search_key(c, p, &first))
			return false;
		*key_out = key_not(p, first);
		return true;
	}
	if (!take_keyword(c, "OR") || !take_space(c) || !take_search_key(c, p, &first) ||
	    !take_space(c) || !take_search_key(c, p, &second))
		return false;
	*key_out = key_new(p, SEARCH_OR);
	key_add_child(*key_out, first);
	key_add_child(*key_out, second);
	return true;
}

/* NEW, OLD and RECENT of RFC 3501. */
static bool take_recent_key(struct cursor *c, struct parsing *p, struct search_key **key_out)
{
	bool is_new = take_keyword(c, "NEW"), is_old = !is_new && take_keyword(c, "OLD");
	if (!is_new && !is_old && !take_keyword(c, "RECENT"))
		return false;
	struct search_key *recent = key_new(p, SEARCH_UIDS);
	recent->numbers.is_recent = true;
	*key_out = recent;
	if (is_old)
		*key_out = key_not(p, recent);
	if (is_new) {
		struct search_key *seen = key_new(p, SEARCH_FLAG);
		seen->flag = FLAG_SEEN;
		*key_out = key_new(p, SEARCH_AND);
		key_add_child(*key_out, recent);
		key_add_child(*key_out, key_not(p, seen));
	}
	return true;
}

static bool take_word_key(struct cursor *c, struct parsing *p, struct search_key **key_out)
{
	for (size_t i = 0; i < ARRAY_LEN(key_rows); i++) {
		const struct key_row *row = &key_rows[i];
		if (!take_keyword(c, row->word))
			continue;
		struct search_key *key = key_new(p, row->kind);
		if (!take_key_argument(c, p, row, key))
			return false;
		*key_out = row->is_negated ? key_not(p, key) : key;
		return true;
	}
	return take_recent_key(c, p, key_out);
}

static bool starts_sequence_set(const struct cursor *c)
{
	return c->at != c->end && (ascii_is_digit(*c->at) || *c->at == '*' || *c->at == '$');
}

static bool starts_nested_key(const struct cursor *c)
{
	struct cursor ahead = *c;
	return next_is(c, '(') || take_keyword(&ahead, "NOT") || take_keyword(&ahead, "OR");
}

/* "FILTER" SP filter-name: the keys of the filter stand there (RFC 5466 section 3.1), and may name
 * other filters themselves. */
static bool take_filter(struct cursor *c, struct parsing *p, struct search_key **key_out)
{
	enum { FILTERS_WITHIN_MAX = 5 };
	struct slice name, keys;
	if (!take_space(c) || !take_atom(c, &name))
		return false;
	if (!at_end(c) && !next_is(c, ' ') && !next_is(c, ')'))
		return false; /* a name goes no further: it is malformed, not unknown */
	if (!text_charset_is_plain(p->charset))
		return fail(p, SEARCH_FILTER_CHARSET);
	char *lower = arena_string(p->arena, name);
	for (size_t i = 0; i < name.len; i++)
		lower[i] = (char)ascii_lower((uint8_t)lower[i]);
	p->program->undefined_filter = name;
	if (p->filter_depth == FILTERS_WITHIN_MAX || !p->filters ||
	    !p->filters->get(p->filters, slice_of(lower, name.len), p->arena, &keys))
		return fail(p, SEARCH_NO_FILTER);
	struct cursor within = cursor_of(keys);
	p->filter_depth++;
	bool ok = take_search_keys(&within, p, key_out);
	p->filter_depth--;
	if (!ok || !at_end(&within))
		return p->failure != SEARCH_MALFORMED ? false : fail(p, SEARCH_NO_FILTER);
	return true;
}

static bool take_search_key(struct cursor *c, struct parsing *p, struct search_key **key_out)
{
	bool ok;

	if (++p->keys > SEARCH_KEYS_MAX || p->depth == SEARCH_DEPTH_MAX)
		return fail(p, SEARCH_TOO_COMPLEX);
	if (starts_sequence_set(c)) {
		*key_out = key_new(p, SEARCH_UIDS);
		return take_sequence_set(c, p->arena, &(*key_out)->numbers.set);
	}
	bool is_filter = take_keyword(c, "FILTER");
	if (!is_filter && !starts_nested_key(c))
		return take_word_key(c, p, key_out);
	p->depth++;
	ok = is_filter ? take_filter(c, p, key_out) : take_nested_key(c, p, key_out);
	p->depth--;
	return ok;
}

/* charset = atom / quoted; astring is what clients send and RFC 3501 has. */
static bool take_charset(struct cursor *c, enum charset_form form, struct parsing *p)
{
	if (form != CHARSET_FIRST) {
		if (!take_keyword(c, "CHARSET"))
			return true;
		if (form == CHARSET_NONE)
			return fail(p, SEARCH_NO_CHARSETS);
		if (!take_space(c))
			return false;
	}
	if (!take_astring(c, p->arena, &p->charset) || !take_space(c))
		return false;
	return text_charset_is_known(p->charset) || fail(p, SEARCH_NO_CHARSET);
}

static void mark_required(struct search_key *key)
{
	key->is_required = true;
	for (struct search_key *child = key->first_child; child && key->kind == SEARCH_AND;
	     child = child->next)
		mark_required(child);
}

enum search_parsed take_search_program(struct cursor *c, enum charset_form form,
				       struct search_filters *filters, struct arena *arena,
				       struct search_program *program_out)
{
	struct parsing p = { .arena = arena,
			     .program = program_out,
			     .filters = filters,
			     .failure = SEARCH_MALFORMED };
	struct cursor ahead = *c;

	*program_out = (struct search_program){ .comparator = program_out->comparator };
	if (!take_charset(&ahead, form, &p) || !take_search_keys(&ahead, &p, &program_out->root))
		return p.failure;
	if (!at_end(&ahead))
		return SEARCH_MALFORMED;
	mark_required(program_out->root);
	*c = ahead;
	return SEARCH_PARSED;
}
