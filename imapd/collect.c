/* imapd/collect.c - what SORT and THREAD compare messages by. In the back, on a worker.
 *
 * RFC 5256 sections 2 and 3, RFC 5957 (DISPLAYFROM, DISPLAYTO), RFC 5255 section 4 (the comparator).
 * All of it comes from the digest; only of messages that an older Bode took in, or whose References
 * are very long, THREAD=REFERENCES reads the header. */
#include "imapd/collect_priv.h"

#include <stdlib.h>

#include "base/heap.h"
#include "imapd/search_text_priv.h"
#include "imapd/thread_id_priv.h"
#include "mail/date.h"
#include "mail/subject.h"
#include "runtime/fingerprint.h"

enum {
	/* Of a References field the first and the last count: software cuts it there, too. */
	REFERENCES_MAX = 100,
	/* What an id takes while threads are made: itself, its place in a sort, its number. */
	ID_OCTETS = 64,
};

static const struct {
	const char *word;
	enum sort_key key;
} sort_words[] = {
	{ "ARRIVAL", SORT_ARRIVAL },
	{ "CC", SORT_CC },
	{ "DATE", SORT_DATE },
	{ "FROM", SORT_FROM },
	{ "SIZE", SORT_SIZE },
	{ "SUBJECT", SORT_SUBJECT },
	{ "TO", SORT_TO },
	{ "DISPLAYFROM", SORT_DISPLAYFROM },
	{ "DISPLAYTO", SORT_DISPLAYTO },
};

static bool take_sort_key(struct cursor *c, enum sort_key *key_out)
{
	for (size_t i = 0; i < ARRAY_LEN(sort_words); i++) {
		if (!take_keyword(c, sort_words[i].word))
			continue;
		*key_out = sort_words[i].key;
		return true;
	}
	return false;
}

bool take_sort_criteria(struct cursor *at, struct sort_criteria *criteria_out)
{
	struct cursor c = *at;
	struct sort_criteria criteria = { 0 };
	unsigned known = 0;
	if (!take_byte(&c, '('))
		return false;
	do {
		enum sort_key key;
		bool is_reversed = take_keyword(&c, "REVERSE");
		if ((is_reversed && !take_space(&c)) || !take_sort_key(&c, &key))
			return false;
		if (known & (1u << key))
			continue;
		known |= 1u << key;
		criteria.items[criteria.count].key = key;
		criteria.items[criteria.count++].is_reversed = is_reversed;
	} while (take_space(&c));
	if (!take_byte(&c, ')'))
		return false;
	*criteria_out = criteria;
	*at = c;
	return true;
}

bool take_thread_algorithm(struct cursor *c, enum thread_algorithm *algorithm_out)
{
	if (take_keyword(c, "ORDEREDSUBJECT"))
		*algorithm_out = THREAD_ORDEREDSUBJECT;
	else if (take_keyword(c, "REFERENCES"))
		*algorithm_out = THREAD_REFERENCES;
	else
		return false;
	return true;
}

/* ---- values ---- */

/* What is too long keeps its beginning, which orders it, and a fingerprint of the whole, which
 * tells it from others with that beginning. */
static void shorten(struct buffer *text)
{
	uint8_t whole[16];
	struct slice all = buffer_slice(text);
	if (text->len <= COLLECTED_TEXT_MAX_OCTETS)
		return;
	fingerprint(&all, 1, whole, sizeof(whole));
	text->len = COLLECTED_TEXT_MAX_OCTETS - sizeof(whole);
	buffer_add(text, slice_of(whole, sizeof(whole)));
}

/* Whether its charset could not be undone: then there are octets that are no UTF-8, or what stands for them. */
static bool is_broken(struct slice utf8)
{
	const struct slice replacement = SLICE("\xef\xbf\xbd");
	return !text_is_ascii(utf8) &&
	       (!text_is_utf8(utf8) || slice_find(utf8, 0, replacement) < utf8.len);
}

/* What is broken comes behind all else, in order of octets (RFC 5255 section 4.6): 0xff is in no UTF-8. */
static struct slice in_order(struct collection *to, struct slice utf8)
{
	struct buffer mapped = { 0 };
	if (is_broken(utf8)) {
		buffer_add_byte(&mapped, 0xff);
		buffer_add(&mapped, utf8);
	} else {
		comparator_order(to->comparator, utf8, &mapped);
	}
	shorten(&mapped);
	to->kept_octets += mapped.len;
	struct slice kept = arena_copy(&to->arena, buffer_slice(&mapped));
	buffer_free(&mapped);
	return kept;
}

static struct slice base_subject(struct collection *to, struct slice subject, bool *is_reply)
{
	struct buffer base = { 0 };
	*is_reply = subject_base(subject, &base);
	struct slice kept = in_order(to, buffer_slice(&base));
	buffer_free(&base);
	return kept;
}

/* addr-mailbox of the first address */
static struct slice first_mailbox(struct collection *to, const struct header_address *addresses,
				  size_t count)
{
	return count > 0 ? in_order(to, addresses[0].mailbox) : SLICE_NONE;
}

/* RFC 5957 section 3 */
static struct slice first_display(struct collection *to, const struct header_address *addresses,
				  size_t count)
{
	struct buffer text = { 0 };
	if (count == 0)
		return SLICE_NONE;
	text_decode_header(addresses[0].name, &text);
	if (text.len == 0) {
		buffer_add(&text, addresses[0].mailbox);
		if (addresses[0].mailbox.ptr && addresses[0].host.ptr) {
			buffer_add_byte(&text, '@');
			buffer_add(&text, addresses[0].host);
		}
	}
	struct slice kept = in_order(to, buffer_slice(&text));
	buffer_free(&text);
	return kept;
}

static int64_t sent_date(const struct mime_envelope *e, const struct message_entry *entry)
{
	enum { DAY_SECONDS = 24 * 60 * 60 };
	int64_t sent_unix;
	int32_t day;
	if (e->date.ptr && date_parse(e->date, &sent_unix))
		return sent_unix;
	/* Without a good time it is the day's beginning (RFC 5256 section 2.2). */
	if (e->date.ptr && date_parse_day(e->date, &day))
		return (int64_t)day * DAY_SECONDS;
	return entry->internal_unix;
}

static bool needs_envelope(const struct collection *c)
{
	if (c->algorithm != THREAD_NONE)
		return true;
	for (size_t i = 0; i < c->criteria->count; i++)
		if (c->criteria->items[i].key != SORT_ARRIVAL &&
		    c->criteria->items[i].key != SORT_SIZE)
			return true;
	return false;
}

static union collected_value value_of(struct collection *c, enum sort_key key,
				      const struct mime_envelope *e,
				      const struct message_entry *entry)
{
	bool is_reply;
	union collected_value value = { 0 };
	switch (key) {
	case SORT_ARRIVAL: value.number = entry->internal_unix; break;
	case SORT_SIZE: value.number = (int64_t)entry->size_octets; break;
	case SORT_DATE: value.number = sent_date(e, entry); break;
	case SORT_SUBJECT: value.text = base_subject(c, e->subject, &is_reply); break;
	case SORT_FROM: value.text = first_mailbox(c, e->from, e->from_count); break;
	case SORT_TO: value.text = first_mailbox(c, e->to, e->to_count); break;
	case SORT_CC: value.text = first_mailbox(c, e->cc, e->cc_count); break;
	case SORT_DISPLAYFROM: value.text = first_display(c, e->from, e->from_count); break;
	case SORT_DISPLAYTO: value.text = first_display(c, e->to, e->to_count); break;
	case SORT_KEYS: break;
	}
	return value;
}

/* ---- references ---- */

static void keep_ids(struct collection *to, struct collected *item, const struct slice *ids,
		     size_t count)
{
	size_t skipped = count > REFERENCES_MAX + 1 ? count - (REFERENCES_MAX + 1) : 0;
	item->ids = arena_alloc_array(&to->arena, count - skipped, sizeof(*item->ids));
	to->kept_octets += (count - skipped) * ID_OCTETS;
	for (size_t i = 0; i < count; i++) {
		if (i >= 2 && i < 2 + skipped)
			continue; /* the message's own, the first reference, then the last */
		struct collected_id *id = &item->ids[item->id_count++];
		id->is_there = ids[i].ptr != NULL;
		if (id->is_there)
			fingerprint(&ids[i], 1, id->fingerprint, sizeof(id->fingerprint));
	}
}

static enum err collect_ids(struct collection *to, struct matcher *m, struct collected *item)
{
	enum { IDS_READ_MAX = 4096 };
	struct thread_fields fields;
	struct arena arena = { 0 };
	size_t count = 1, room = IDS_READ_MAX;
	enum err err = matcher_thread_fields(m, &fields);
	if (err != ERR_OK)
		return err;
	fields.references = slice_sub(fields.references, 0, 64 * 1024);
	if (fields.references.len < room)
		room = fields.references.len; /* each takes more than an octet */
	struct slice *ids = arena_alloc_array(&arena, room + 2, sizeof(*ids));
	struct cursor c = cursor_of(fields.message_id);
	if (!take_message_id(&c, &arena, &ids[0]))
		ids[0] = SLICE_NONE;
	c = cursor_of(fields.references);
	while (count < room && take_message_id(&c, &arena, &ids[count]))
		count++;
	c = cursor_of(fields.in_reply_to);
	if (count == 1)
		count += take_message_id(&c, &arena, &ids[count]);
	keep_ids(to, item, ids, count);
	arena_fini(&arena);
	return ERR_OK;
}

/* ---- the collection ---- */

static void make_room(struct collection *c, size_t more)
{
	if (c->cap - c->count >= more)
		return;
	while (c->cap - c->count < more)
		c->cap = c->cap ? c->cap * 2 : 64;
	c->items = heap_resize(c->items, c->cap * sizeof(*c->items));
}

static struct collected *collection_add(struct collection *c)
{
	make_room(c, 1);
	struct collected *item = &c->items[c->count++];
	*item = (struct collected){ 0 };
	return item;
}

static enum err keep(struct collection *c, struct matcher *m, const struct message_entry *entry)
{
	static const struct mime_envelope nothing;
	const struct mime_envelope *e = &nothing;
	struct collected item = { .uid = entry->uid };
	enum err err = ERR_OK;
	if (needs_envelope(c))
		err = matcher_envelope(m, &e);
	if (err == ERR_OK && c->algorithm == THREAD_REFERENCES)
		err = collect_ids(c, m, &item);
	if (err != ERR_OK)
		return err;
	item.number =
		c->view_uids ? rank_walk_next(&c->rank, c->view_uids, entry->uid) : entry->uid;
	if (c->algorithm != THREAD_NONE) {
		item.subject = base_subject(c, e->subject, &item.is_reply);
		item.sent_unix = sent_date(e, entry);
	} else {
		item.values =
			arena_alloc_array(&c->arena, c->criteria->count, sizeof(*item.values));
		for (size_t i = 0; i < c->criteria->count; i++)
			item.values[i] = value_of(c, c->criteria->items[i].key, e, entry);
		c->kept_octets += c->criteria->count * sizeof(*item.values);
	}
	*collection_add(c) = item;
	c->kept_octets += sizeof(item);
	return ERR_OK;
}

/* Others may pass the limit in the same moment, each by a message. */
enum err collect(struct collection *c, struct matcher *m, const struct message_entry *entry)
{
	uint64_t before = c->kept_octets;
	if (atomic_load(&c->limit->kept_octets) > c->limit->max_octets)
		return ERR_LIMIT;
	enum err err = keep(c, m, entry);
	atomic_fetch_add(&c->limit->kept_octets, c->kept_octets - before);
	return err;
}

void collection_join(struct collection *c, struct collection *more)
{
	size_t left = c->count, end = c->count + more->count;
	make_room(c, more->count);
	c->count = end;
	/* From the last on. */
	while (more->count > 0) {
		bool is_ours =
			left > 0 && c->items[left - 1].uid > more->items[more->count - 1].uid;
		c->items[--end] = is_ours ? c->items[--left] : more->items[--more->count];
	}
}

void collection_fini(struct collection *c)
{
	free(c->items);
	c->items = NULL;
	c->count = c->cap = 0;
	if (c->limit)
		atomic_fetch_sub(&c->limit->kept_octets, c->kept_octets);
	c->kept_octets = 0;
	arena_fini(&c->arena);
}

/* ---- SORT ---- */

bool sort_key_is_text(enum sort_key key)
{
	return key != SORT_ARRIVAL && key != SORT_DATE && key != SORT_SIZE;
}

int collected_compare(const struct collected *a, const struct collected *b,
		      const struct sort_criteria *criteria)
{
	for (size_t i = 0; i < criteria->count; i++) {
		const union collected_value *v = &a->values[i], *w = &b->values[i];
		int order = sort_key_is_text(criteria->items[i].key)
				    ? slice_compare(v->text, w->text)
				    : (v->number > w->number) - (v->number < w->number);
		if (order != 0)
			return criteria->items[i].is_reversed ? -order : order;
	}
	return (a->uid > b->uid) - (a->uid < b->uid);
}

static int compare_items(const void *x, const void *y, void *user)
{
	return collected_compare(x, y, user);
}

void collection_sort(struct collection *c)
{
	struct sort_criteria criteria = *c->criteria;
	if (c->count > 1)
		qsort_r(c->items, c->count, sizeof(*c->items), compare_items, &criteria);
}
