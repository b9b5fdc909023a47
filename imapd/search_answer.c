/* imapd/search_answer.c - the responses SEARCH, ESEARCH, SORT and THREAD. In the back.
 *
 * RFC 9051 section 7.3.4, RFC 3501 section 7.2.5, RFC 4731, RFC 5256 section 4, RFC 5267 section
 * 3 (ESORT), RFC 7377 (ESEARCH of several mailboxes), RFC 7162 section 3.1.6 (MODSEQ), RFC 9394
 * (PARTIAL), RFC 5182 (SAVE). Lists are made piece by piece, as the output takes them. */
#include <stdlib.h>

#include "base/heap.h"
#include "imapd/grammar_priv.h"
#include "imapd/respond_priv.h"
#include "imapd/search_priv.h"
#include "imapd/walk_priv.h"

enum { MODSEQ_MESSAGES = 10 * 1000 /* looked at at a time: about a millisecond */ };

static struct collection *sorted(struct search *search)
{
	return &search->lanes[0].collection;
}

static uint64_t result_count(struct search *search)
{
	return search->verb == VERB_SORT ? sorted(search)->count : ranges_total(&search->found);
}

/* ---- "$" ---- */

/* The UIDs of the places first..last, from 1 on. */
static void add_places(struct search *search, uint64_t first, uint64_t last, struct ranges *uids)
{
	if (search->verb == VERB_SORT) {
		struct sequence_set set = { .count = (size_t)(last - first + 1) };
		set.items = heap_alloc_array(set.count, sizeof(*set.items));
		for (size_t i = 0; i < set.count; i++) {
			uint32_t uid = sorted(search)->items[first - 1 + i].uid;
			set.items[i] = (struct range){ uid, uid };
		}
		sequence_set_numbers(&set, 0, uids);
		free(set.items);
		return;
	}
	struct range run = { (uint32_t)first, (uint32_t)last };
	struct ranges places = { .runs = &run, .count = 1 }, members = { 0 };
	ranks_to_members(&search->found, &places, &members);
	ranges_join(uids, &members);
	ranges_free(&members);
}

/* RFC 9051 section 6.4.4.1, table 4; RFC 9394 section 3.2, table 1: whether all that was found is meant by
 * what is returned; else add_returned() says what. */
static bool returns_all(unsigned returns)
{
	return (returns & (RETURN_ALL | RETURN_COUNT)) ||
	       !(returns & (RETURN_MIN | RETURN_MAX | RETURN_PARTIAL));
}

static void add_returned(struct search *search, struct ranges *uids)
{
	unsigned returns = search->options.returns;
	uint64_t total = result_count(search), first, last;
	if (total == 0)
		return;
	if (returns & RETURN_MIN)
		add_places(search, 1, 1, uids);
	if (returns & RETURN_MAX)
		add_places(search, total, total, uids);
	if ((returns & RETURN_PARTIAL) &&
	    partial_range_clip(&search->options.partial, total, &first, &last))
		add_places(search, first, last, uids);
}

void search_save(struct search *search)
{
	struct ranges *saved = &search->view->saved_result;
	if (!(search->options.returns & RETURN_SAVE))
		return;
	ranges_clear(saved);
	if (returns_all(search->options.returns))
		ranges_copy(&search->found, saved);
	else
		add_returned(search, saved);
}

/* ---- the response ---- */

static uint64_t number_at(struct search *search, uint64_t place)
{
	if (search->verb == VERB_SORT)
		return sorted(search)->items[place - 1].number;
	return ranges_at_rank(&search->numbers, (uint32_t)place);
}

static void put_number_item(struct buffer *out, const char *name, uint64_t number)
{
	buffer_add_byte(out, ' ');
	buffer_add_cstr(out, name);
	buffer_add_byte(out, ' ');
	buffer_add_u64(out, number);
}

/* Leaves of the result what the list will tell: the places first..last. */
static void narrow(struct search *search, uint64_t first, uint64_t last)
{
	search->next_item = (size_t)(first - 1);
	search->end_item = (size_t)last;
	struct range run = { (uint32_t)first, (uint32_t)last };
	struct ranges places = { .runs = &run, .count = 1 }, members = { 0 };
	ranks_to_members(&search->numbers, &places, &members);
	ranges_free(&search->numbers);
	search->numbers = members;
}

static void nothing_to_list(struct search *search)
{
	search->end_item = 0;
	search->next_run = search->numbers.count;
}

static void begin_esearch(struct search *search, struct buffer *out)
{
	unsigned returns = search->options.returns;
	uint64_t total = result_count(search), first, last;
	bool has_list = total > 0 && (returns & RETURN_ALL);

	buffer_add(out, SLICE("* ESEARCH (TAG "));
	respond_string(out, search->s->tag, false);
	if (search->mailboxes)
		respond_correlators(out, search->mailbox->name, search->mailbox->uidvalidity,
				    imap_speaks_utf8(search->s));
	buffer_add_byte(out, ')');
	if (search_tells_uids(search))
		buffer_add(out, SLICE(" UID"));
	if (total > 0 && (returns & RETURN_MIN))
		put_number_item(out, "MIN", number_at(search, 1));
	if (total > 0 && (returns & RETURN_MAX))
		put_number_item(out, "MAX", number_at(search, total));
	if (returns & RETURN_COUNT)
		put_number_item(out, "COUNT", total);
	if (has_list)
		buffer_add(out, SLICE(" ALL "));
	if (returns & RETURN_PARTIAL) {
		buffer_add(out, SLICE(" PARTIAL ("));
		respond_partial_range(out, &search->options.partial);
		buffer_add_byte(out, ' ');
		has_list = partial_range_clip(&search->options.partial, total, &first, &last);
		if (has_list)
			narrow(search, first, last);
		else
			buffer_add(out, SLICE("NIL"));
	}
	if (!has_list)
		nothing_to_list(search);
}

/* The highest MODSEQ of what is told (RFC 7162 sections 3.1.6 and 3.1.10, RFC 4731 section 3.2), if that was
 * asked for. */
static void begin_modseq(struct search *search)
{
	if (!search->program.has_modseq || search->verb == VERB_THREAD)
		return;
	if (search->uses_esearch && !returns_all(search->options.returns))
		add_returned(search, &search->returned);
	else
		search->told_modseq = search->highest_modseq;
}

void search_answer_begin(struct search *search)
{
	struct buffer *out = &search->s->session.out;

	begin_modseq(search);
	search->end_item = sorted(search)->count;
	if (search->verb == VERB_SEARCH && search_tells_uids(search))
		ranges_copy(&search->found, &search->numbers);
	else if (search->verb == VERB_SEARCH)
		members_to_ranks(&search->view->uids, &search->found, &search->numbers);
	if (search->uses_esearch)
		begin_esearch(search, out);
	else if (search->verb == VERB_SEARCH)
		buffer_add(out, SLICE("* SEARCH"));
	else if (search->verb == VERB_SORT)
		buffer_add(out, SLICE("* SORT"));
	else
		buffer_add(out, SLICE("* THREAD"));
}

static void put_run(struct search *search, struct range run)
{
	struct buffer *out = &search->s->session.out;
	struct ranges one = { .runs = &run, .count = 1 };
	if (search->has_told_one)
		buffer_add_byte(out, ',');
	search->has_told_one = true;
	respond_ranges(out, &one);
}

/* The ranges of a search's result. */
static bool put_set(struct search *search)
{
	struct session *session = &search->s->session;
	const struct ranges *numbers = &search->numbers;
	for (; search->next_run < numbers->count; search->next_run++, search->next_number = 0) {
		const struct range *run = &numbers->runs[search->next_run];
		if (session_out_is_full(session))
			return false;
		if (search->uses_esearch) {
			put_run(search, *run);
			continue;
		}
		for (uint64_t n = search->next_number ? search->next_number : run->first;
		     n <= run->last; n++) {
			if (session_out_is_full(session)) {
				search->next_number = (uint32_t)n;
				return false;
			}
			buffer_add_byte(&session->out, ' ');
			buffer_add_u64(&session->out, n);
		}
	}
	return true;
}

/* A sort's result; ranges only where numbers ascend (RFC 5267 section 3.2). */
static bool put_sorted(struct search *search)
{
	struct session *session = &search->s->session;
	const struct collected *items = sorted(search)->items;
	while (search->next_item < search->end_item) {
		struct range run = { items[search->next_item].number,
				     items[search->next_item].number };
		if (session_out_is_full(session))
			return false;
		search->next_item++;
		if (!search->uses_esearch) {
			buffer_add_byte(&session->out, ' ');
			buffer_add_u64(&session->out, run.first);
			continue;
		}
		while (search->next_item < search->end_item &&
		       items[search->next_item].number == run.last + 1) {
			run.last++;
			search->next_item++;
		}
		put_run(search, run);
	}
	return true;
}

static bool put_threads(struct search *search)
{
	struct session *session = &search->s->session;
	if (search->next_octet == 0 && search->threads.len > 0)
		buffer_add_byte(&session->out, ' ');
	while (search->next_octet < search->threads.len) {
		if (session_out_is_full(session))
			return false;
		struct slice piece = slice_sub(buffer_slice(&search->threads), search->next_octet,
					       SESSION_OUT_HIGH_OCTETS / 4);
		buffer_add(&session->out, piece);
		search->next_octet += piece.len;
	}
	return true;
}

/* The highest MODSEQ of what is returned alone, a part at a time; what was changed since it was found is told
 * as news. False: there is more. */
static bool find_modseq(struct search *search)
{
	bool missing = false, has_more = true;
	struct read *read = read_begin(search->s->back->store);
	struct message_walk walk = walk_begin(read, search->view->mailbox_id);
	for (unsigned i = 0; i < MODSEQ_MESSAGES && has_more; i++) {
		has_more = walk_next(&walk, &search->returned, search->next_returned, &missing);
		if (!has_more)
			break;
		if (walk.entry.modseq > search->told_modseq)
			search->told_modseq = walk.entry.modseq;
		search->next_returned = walk.entry.uid + 1;
		has_more = search->next_returned != 0; /* no UID is higher */
	}
	walk_end(&walk);
	read_end(&read);
	if (has_more)
		return false;
	ranges_free(&search->returned);
	if (search->told_modseq > search->highest_modseq)
		search->told_modseq = search->highest_modseq;
	return true;
}

bool search_answer_go_on(struct search *search)
{
	struct buffer *out = &search->s->session.out;
	if (search->returned.count > 0 && !find_modseq(search))
		return false;
	bool is_done = search->verb == VERB_SEARCH ? put_set(search)
		       : search->verb == VERB_SORT ? put_sorted(search)
						   : put_threads(search);
	if (!is_done)
		return false;
	if (search->options.returns & RETURN_PARTIAL)
		buffer_add_byte(out, ')');
	if (search->told_modseq > 0)
		buffer_add_format(out, search->uses_esearch ? " MODSEQ %llu" : " (MODSEQ %llu)",
				  (unsigned long long)search->told_modseq);
	buffer_add(out, SLICE("\r\n"));
	return true;
}
