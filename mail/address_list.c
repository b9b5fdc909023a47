/* mail/address_list.c - the address lists of header fields, leniently.
 *
 * RFC 5322 sections 3.4 and 4.4, RFC 6532, in the shape of RFC 9051 section 7.5.2; broken ones
 * as RFC 7103 section 7.1 reads them. One pass, in time linear in the text. Encoded words stay
 * as they are. Runs in both.
 *
 * The words of an entry are first written one behind the other, as a display name would read,
 * and white space or a comment between two of them as a mark; what they were (a name, an
 * address, a group) shows only at the "<", "," or ":" behind them. */
#include <stdlib.h>

#include "base/heap.h"
#include "mail/address.h"
#include "mail/header.h"

/* Stands for CFWS among written words. No value holds a NUL (header_unfold). */
enum { GAP = '\0' };

struct list_parser {
	struct cursor c;
	/* Everything written goes here; no entry gets longer than its text was. */
	uint8_t *out;
	/* Words of the entry so far. */
	uint8_t *words;
	uint8_t *at_sign;     /* the last "@" that was not quoted; NULL: none */
	bool gap_pending;     /* CFWS came since the last word */
	struct slice comment; /* the last one; ptr NULL: none */
	/* The rest of the text has no closing one: an opening one means nothing any more. */
	bool no_quotes, no_comments, no_brackets;
	const uint8_t *no_encoded_before; /* no encoded word starts before here */
	bool in_group;
	struct header_address *entries; /* on the heap while the list grows */
	size_t count, cap;
};

static void add_entry(struct list_parser *p, struct header_address entry)
{
	if (p->count == p->cap) {
		p->cap = p->cap ? p->cap * 2 : 8;
		p->entries = heap_resize(p->entries, p->cap * sizeof(*p->entries));
	}
	p->entries[p->count++] = entry;
}

/* One place is kept for the end of a group. */
static bool is_full(const struct list_parser *p)
{
	return p->count >= ADDRESS_LIST_MAX - 1;
}

static void start_words(struct list_parser *p)
{
	p->words = p->out;
	p->at_sign = NULL;
	p->gap_pending = false;
	p->comment = SLICE_NONE;
}

static void write_gap(struct list_parser *p)
{
	if (p->gap_pending && p->out != p->words)
		*p->out++ = GAP;
	p->gap_pending = false;
}

static void write_octet(struct list_parser *p, uint8_t octet)
{
	write_gap(p);
	*p->out++ = octet;
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

/* comment = "(" *([FWS] ccontent) [FWS] ")"; kept, since many write a name there. */
static bool take_comment(struct list_parser *p)
{
	const uint8_t *at = p->c.at + 1;
	size_t depth = 1;
	if (!next_is(&p->c, '(') || p->no_comments)
		return false;
	for (; at != p->c.end && depth; at++) {
		if (*at == '\\' && at + 1 != p->c.end)
			at++;
		else if (*at == '(')
			depth++;
		else if (*at == ')')
			depth--;
	}
	if (depth) {
		p->no_comments = true;
		return false;
	}
	p->comment = slice_trim(slice_of(p->c.at + 1, (size_t)(at - p->c.at) - 2));
	p->c.at = at;
	return true;
}

static void take_gap(struct list_parser *p)
{
	for (;;) {
		const uint8_t *start = p->c.at;
		skip_blanks(&p->c);
		if (p->c.at == start && !take_comment(p))
			return;
		p->gap_pending = true;
	}
}

/* quoted-string. One that is never closed is no quote (RFC 7103 section 7.1.6). */
static bool take_quoted(struct list_parser *p)
{
	const uint8_t *start = p->c.at + 1, *at = start;
	if (!next_is(&p->c, '"') || p->no_quotes)
		return false;
	while (at != p->c.end && *at != '"')
		at += *at == '\\' && p->c.end - at > 1 ? 2 : 1;
	if (at == p->c.end) {
		p->no_quotes = true;
		return false;
	}
	write_gap(p);
	for (const uint8_t *octet = start; octet != at; octet++) {
		if (*octet == '\\')
			octet++;
		*p->out++ = *octet;
	}
	p->c.at = at + 1;
	return true;
}

/* domain-literal, right behind an "@" */
static bool take_bracketed(struct list_parser *p)
{
	if (!next_is(&p->c, '[') || p->no_brackets || !p->at_sign || p->out != p->at_sign + 1)
		return false;
	const uint8_t *close = memchr(p->c.at, ']', cursor_left(&p->c));
	if (!close) {
		p->no_brackets = true;
		return false;
	}
	while (p->c.at <= close) {
		if (!is_blank(*p->c.at))
			*p->out++ = *p->c.at;
		p->c.at++;
	}
	return true;
}

/* encoded-word of RFC 2047, whole: senders forget that a comma in it had to be encoded. */
static bool take_encoded_word(struct list_parser *p)
{
	const uint8_t *at = p->c.at;
	if (at < p->no_encoded_before || cursor_left(&p->c) < 2 || at[0] != '=' || at[1] != '?')
		return false;
	int question_marks = 1;
	for (at += 2; at != p->c.end && !is_blank(*at) && *at != '"'; at++) {
		if (*at == '?')
			question_marks++;
		else if (*at == '=' && at[-1] == '?' && question_marks >= 4)
			break;
	}
	if (at == p->c.end || *at != '=') {
		p->no_encoded_before = at;
		return false;
	}
	write_gap(p);
	size_t len = (size_t)(at + 1 - p->c.at);
	memcpy(p->out, p->c.at, len);
	p->out += len;
	p->c.at = at + 1;
	return true;
}

/* Takes words up to one of `stops`, or the end. */
static void take_words(struct list_parser *p, const char *stops)
{
	for (;;) {
		take_gap(p);
		if (at_end(&p->c) || (*p->c.at != '\0' && strchr(stops, *p->c.at)))
			return;
		if (take_quoted(p) || take_bracketed(p) || take_encoded_word(p))
			continue;
		uint8_t octet = *p->c.at++;
		/* Signs that opened or closed nothing. */
		if (octet == '"' || octet == '>' || (octet == '(' && p->no_comments)) {
			p->gap_pending = true;
			continue;
		}
		write_octet(p, octet);
		if (octet == '@')
			p->at_sign = p->out - 1;
	}
}

/* What was written from `start` on, each gap as one space. */
static struct slice as_text(uint8_t *start, uint8_t *end)
{
	for (uint8_t *at = start; at != end; at++)
		if (*at == GAP)
			*at = ' ';
	return slice_of(start, (size_t)(end - start));
}

/* Without the gaps at both ends and around dots: obs-local-part and obs-domain allow them. */
static struct slice join_dots(uint8_t *start, uint8_t *end)
{
	uint8_t *to = start;
	for (uint8_t *at = start; at != end; at++)
		if (*at != GAP || (to != start && to[-1] != '.' && at + 1 != end && at[1] != '.'))
			*to++ = *at;
	return slice_of(start, (size_t)(to - start));
}

/* Makes an address of words with an "@". Words before the local part become a name, words
 * behind the domain are dropped. */
static void split_address(struct list_parser *p, struct header_address *entry)
{
	struct slice local = join_dots(p->words, p->at_sign);
	struct slice host = join_dots(p->at_sign + 1, p->out);
	const uint8_t *gap = local.len ? memrchr(local.ptr, GAP, local.len) : NULL;
	if (gap) {
		size_t name_len = (size_t)(gap - local.ptr);
		if (!entry->name.ptr)
			entry->name = as_text(p->words, p->words + name_len);
		local = slice_sub(local, name_len + 1, local.len);
	}
	entry->mailbox = local;
	entry->host = slice_sub(host, 0, slice_find_byte(host, 0, GAP));
}

/* The words are a whole entry: an address, or a local part alone. */
static void set_address(struct list_parser *p, struct header_address *entry)
{
	if (p->at_sign) {
		split_address(p, entry);
	} else {
		entry->mailbox = as_text(p->words, p->out);
		entry->host = SLICE("");
	}
}

/* The inside of a comment as a name: quoted pairs resolved. */
static struct slice comment_name(struct list_parser *p)
{
	const uint8_t *end = p->comment.ptr + p->comment.len;
	uint8_t *start = p->out;
	for (const uint8_t *at = p->comment.ptr; at != end; at++) {
		if (*at == '\\' && end - at > 1)
			at++;
		*p->out++ = *at;
	}
	return slice_of(start, (size_t)(p->out - start));
}

static void add_address(struct list_parser *p, struct header_address *entry)
{
	if (!entry->name.ptr && p->comment.len)
		entry->name = comment_name(p);
	if (entry->name.len == 0)
		entry->name = SLICE_NONE;
	add_entry(p, *entry);
}

/* obs-route = obs-domain-list ":", behind a "<". Written without blanks. */
static struct slice take_route(struct list_parser *p)
{
	const uint8_t *at = p->c.at;
	while (at != p->c.end && (*at == '@' || *at == ',' || is_blank(*at)))
		at++;
	if (at == p->c.at || memchr(p->c.at, '@', (size_t)(at - p->c.at)) == NULL)
		return SLICE_NONE;
	while (at != p->c.end && !strchr(":<>;\"()", *at))
		at++;
	if (at == p->c.end || *at != ':')
		return SLICE_NONE;
	uint8_t *start = p->out;
	for (; p->c.at != at; p->c.at++)
		if (!is_blank(*p->c.at))
			*p->out++ = *p->c.at;
	p->c.at++;
	return slice_of(start, (size_t)(p->out - start));
}

/* angle-addr, with the words before it as the name */
static void take_angle_address(struct list_parser *p)
{
	struct header_address entry = { .name = as_text(p->words, p->out) };
	struct slice comment_before = p->comment;
	if (entry.name.len == 0)
		entry.name = SLICE_NONE;
	do /* "<<<a@b>>>": RFC 7103 section 7.1.2 */
		take_gap(p);
	while (take_byte(&p->c, '<'));
	start_words(p);
	entry.route = take_route(p);
	start_words(p);
	take_words(p, "<>,;");
	set_address(p, &entry);
	while (take_byte(&p->c, '>'))
		;
	/* Names in comments stand behind the address; nothing else has a meaning there. */
	struct slice inside = p->comment;
	uint8_t *end = p->out;
	start_words(p);
	take_words(p, "<,;");
	p->out = p->words = end;
	if (!p->comment.ptr)
		p->comment = inside.ptr ? inside : comment_before;
	add_address(p, &entry);
}

static void start_group(struct list_parser *p)
{
	struct slice name = as_text(p->words, p->out);
	p->c.at++;
	if (name.len == 0)
		return;
	add_entry(p, (struct header_address){ .mailbox = name });
	p->in_group = true;
}

static void end_group(struct list_parser *p)
{
	if (p->in_group)
		add_entry(p, (struct header_address){ 0 });
	p->in_group = false;
}

/* One mailbox, the start or the end of a group, or nothing before a comma. */
static void take_entry(struct list_parser *p)
{
	start_words(p);
	take_words(p, p->in_group ? "<,;" : "<,;:");
	if (next_is(&p->c, '<')) {
		take_angle_address(p);
	} else if (next_is(&p->c, ':')) {
		start_group(p);
		return;
	} else if (p->out != p->words) {
		struct header_address entry = { 0 };
		set_address(p, &entry);
		add_address(p, &entry);
	}
	if (take_byte(&p->c, ';'))
		end_group(p);
	else
		take_byte(&p->c, ',');
}

struct header_address *address_list_parse(struct slice value, struct arena *arena,
					  size_t *count_out)
{
	value = header_unfold(value, arena);
	/* No octet of the text is written twice, and each gap stands for one at least. */
	struct list_parser p = { .c = cursor_of(value), .out = arena_alloc(arena, value.len) };
	p.no_encoded_before = value.ptr;
	while (!at_end(&p.c) && !is_full(&p))
		take_entry(&p);
	end_group(&p);
	struct header_address *list = NULL;
	if (p.count) {
		list = arena_alloc_array(arena, p.count, sizeof(*list));
		memcpy(list, p.entries, p.count * sizeof(*list));
	}
	free(p.entries);
	*count_out = p.count;
	return list;
}
