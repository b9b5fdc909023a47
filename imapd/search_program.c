/* imapd/search_program.c - the program that a SEARCH has become, bound to a mailbox as its view shows
 * it: which messages its sets stand for, which bits its keywords have. Runs in the back. */
#include "imapd/search_keys_priv.h"

#include "imapd/view_priv.h"
#include "imapd/walk_priv.h"

bool search_program_has_seqnums(const struct search_program *program)
{
	for (const struct search_key *key = program->numbers; key; key = key->next_numbers)
		if (!key->numbers.uid && !key->numbers.is_recent && key->numbers.set.count > 0)
			return true;
	return false;
}

uint32_t search_program_open_from(const struct search_program *program)
{
	uint32_t highest = 0;
	for (const struct search_key *key = program->numbers; key; key = key->next_numbers)
		for (size_t i = 0; key->numbers.uid && i < key->numbers.set.count; i++) {
			const struct range *item = &key->numbers.set.items[i];
			uint32_t from = item->first ? item->first : item->last;
			if (item->first != 0 && item->last != 0)
				continue;
			if (from == 0)
				return UINT32_MAX;
			if (from > highest)
				highest = from;
		}
	return highest;
}

/* A sequence number beyond the mailbox is the client's mistake in FETCH; here it matches nothing,
 * so that SEARCH 1:* works in an empty mailbox too. */
static void bind_numbers(const struct search_program *program, struct search_key *key,
			 const struct imap_view *view)
{
	const struct sequence_set *set = &key->numbers.set;
	struct ranges named = { 0 }, *uids = &key->numbers.uids;
	bool are_ranks = !key->numbers.uid && !key->numbers.is_recent;
	uint32_t last_uid = program->is_kept ? UINT32_MAX : ranges_last(&view->uids);

	ranges_clear(uids);
	if (!key->numbers.is_recent)
		sequence_set_numbers(set, are_ranks ? view_count(view) : last_uid, &named);
	else if (view->recent_from_uid != UINT32_MAX)
		ranges_add(&named, view->recent_from_uid, UINT32_MAX);
	if (are_ranks)
		ranks_to_members(&view->uids, &named, uids);
	else if (program->is_kept)
		ranges_copy(&named, uids);
	else
		ranges_intersect(&view->uids, &named, uids);
	view_join_saved(view, set, uids);
	ranges_free(&named);
}

static void bind_keywords(struct search_key *key, const struct mailbox *mailbox)
{
	if (key->kind == SEARCH_KEYWORD) {
		int bit = keyword_bit(mailbox, key->keyword.name);
		key->keyword.bit = bit < 0 ? 0 : (uint64_t)1 << bit;
	}
	for (struct search_key *child = key->first_child; child; child = child->next)
		bind_keywords(child, mailbox);
}

void search_program_bind_begin(struct search_program *program, const struct mailbox *mailbox)
{
	program->unbound = program->numbers;
	search_program_fini(program);
	bind_keywords(program->root, mailbox);
}

enum search_binding search_program_bind_more(struct search_program *program,
					     const struct imap_view *view, uint64_t runs_max)
{
	uint64_t runs = search_program_runs(program), looked_at = 0;
	while (program->unbound) {
		struct search_key *key = program->unbound;
		if (runs > runs_max)
			return BINDING_TOO_LARGE;
		if (looked_at >= SEARCH_BIND_RUNS)
			return BINDING_MORE;
		bind_numbers(program, key, view);
		runs += key->numbers.uids.count;
		looked_at += view->uids.count + key->numbers.set.count;
		program->unbound = key->next_numbers;
	}
	return BINDING_DONE;
}

bool search_program_bind(struct search_program *program, const struct imap_view *view,
			 const struct mailbox *mailbox, uint64_t runs_max)
{
	enum search_binding binding = BINDING_MORE;
	search_program_bind_begin(program, mailbox);
	for (unsigned i = 0; binding == BINDING_MORE && i < SEARCH_BIND_SLICES_MAX; i++)
		binding = search_program_bind_more(program, view, runs_max);
	return binding == BINDING_DONE;
}

uint64_t search_program_runs(const struct search_program *program)
{
	uint64_t runs = 0;
	for (const struct search_key *key = program->numbers; key; key = key->next_numbers)
		runs += key->numbers.uids.count;
	return runs;
}

void search_program_bind_keywords(struct search_program *program, const struct mailbox *mailbox)
{
	bind_keywords(program->root, mailbox);
}

void search_program_fini(struct search_program *program)
{
	for (struct search_key *key = program->numbers; key; key = key->next_numbers)
		ranges_free(&key->numbers.uids);
}
