/* imapd/qresync.c - what a client that comes back must be told. In the back.
 *
 * RFC 7162 sections 3.1.8 (CONDSTORE), 3.2.5 (QRESYNC parameter of SELECT) and 3.2.6 (VANISHED
 * of UID FETCH). The mailbox's change log answers, in time that depends on what changed, not on
 * how much the mailbox holds; who was away for longer is told all UIDs that are not there, as
 * the RFC wants it, but for those that its sequence match data shows it to know. */
#include "imapd/qresync_priv.h"

static bool is_known_set(const struct sequence_set *set)
{
	if (set->has_saved_result)
		return false;
	for (size_t i = 0; i < set->count; i++)
		if (set->items[i].first == 0 || set->items[i].last == 0)
			return false;
	return true;
}

/* known-sequence-set, known-uid-set, known-uids: a sequence-set without "*" and "$" */
static bool take_known_set(struct cursor *at, struct arena *arena, struct sequence_set *set_out)
{
	struct cursor c = *at;
	if (!take_sequence_set(&c, arena, set_out) || !is_known_set(set_out))
		return false;
	*at = c;
	return true;
}

/* seq-match-data = "(" known-sequence-set SP known-uid-set ")" */
static bool take_match(struct cursor *c, struct arena *arena, struct select_parameters *p)
{
	p->has_match = true;
	return take_byte(c, '(') && take_known_set(c, arena, &p->match_seqnums) && take_space(c) &&
	       take_known_set(c, arena, &p->match_uids) && take_byte(c, ')');
}

/* "(" uidvalidity SP mod-sequence-value [SP known-uids] [SP seq-match-data] ")" */
static bool take_qresync(struct cursor *c, struct arena *arena, struct select_parameters *p)
{
	p->has_qresync = true;
	if (!take_space(c) || !take_byte(c, '(') || !take_nz_number(c, &p->uidvalidity) ||
	    !take_space(c) || !take_number64(c, &p->modseq) || p->modseq == 0)
		return false;
	bool more = take_space(c);
	if (more && !next_is(c, '(')) {
		p->has_known_uids = true;
		if (!take_known_set(c, arena, &p->known_uids))
			return false;
		more = take_space(c);
	}
	return (!more || take_match(c, arena, p)) && take_byte(c, ')');
}

bool take_select_parameters(struct cursor *at, struct arena *arena,
			    struct select_parameters *parameters_out)
{
	struct cursor c = *at;
	struct select_parameters p = { 0 };
	if (take_space(&c)) {
		if (!take_byte(&c, '('))
			return false;
		do {
			if (take_keyword(&c, "CONDSTORE"))
				p.condstore = true;
			else if (p.has_qresync || !take_keyword(&c, "QRESYNC") ||
				 !take_qresync(&c, arena, &p))
				return false;
		} while (take_space(&c));
		if (!take_byte(&c, ')'))
			return false;
	}
	if (!at_end(&c))
		return false;
	*parameters_out = p;
	*at = c;
	return true;
}

/* ---- from the change log ---- */

/* All UIDs that the mailbox has given and does not hold. */
static void all_missing(const struct imap_view *view, struct ranges *missing_out)
{
	if (view->uidnext <= 1)
		return;
	uint32_t next = 1;
	for (uint32_t i = 0; i < view->uids.count; i++) {
		if (view->uids.runs[i].first > next)
			ranges_add(missing_out, next, view->uids.runs[i].first - 1);
		next = view->uids.runs[i].last + 1;
	}
	if (next != 0 && next < view->uidnext)
		ranges_add(missing_out, next, view->uidnext - 1);
}

enum err qresync_note_vanished(struct imap_view *view, struct read *read, uint64_t since_modseq,
			       const struct ranges *uids, uint32_t matched_uid)
{
	struct ranges changed = { 0 }, vanished = { 0 }, asked = { 0 };
	enum err err = message_changes(read, view->mailbox_id, since_modseq, &changed, &vanished);
	if (err == ERR_GONE) {
		ranges_clear(&vanished);
		all_missing(view, &vanished);
		if (matched_uid > 0)
			ranges_remove(&vanished, 0, matched_uid);
		err = ERR_OK;
	}
	ranges_intersect(&vanished, uids, &asked);
	/* What this client has not been told to be gone it is told as such, not as EARLIER. */
	ranges_drop(&asked, &view->uids);
	ranges_free(&view->earlier);
	if (err == ERR_OK)
		view->earlier = asked;
	else
		ranges_free(&asked);
	ranges_free(&changed);
	ranges_free(&vanished);
	return err;
}

/* Notes those of `known` whose MODSEQ is above `since_modseq`. ERR_GONE: the log does not tell. */
static enum err note_changed(struct imap_view *view, struct read *read, uint64_t since_modseq,
			     const struct ranges *known)
{
	struct ranges changed = { 0 }, vanished = { 0 }, asked = { 0 };
	enum err err = message_changes(read, view->mailbox_id, since_modseq, &changed, &vanished);
	if (err == ERR_OK) {
		ranges_intersect(&changed, known, &asked);
		view_note_flags(view, &asked);
	}
	ranges_free(&changed);
	ranges_free(&vanished);
	ranges_free(&asked);
	return err;
}

enum err qresync_walk_on(struct imap_view *view, struct qresync_walk *walk)
{
	struct ranges newer = { 0 }, asked = { 0 };
	enum err err = view_look_for_newer(view, walk->since_modseq, &walk->next_uid, &newer);
	ranges_intersect(&newer, &walk->known, &asked);
	view_note_flags(view, &asked);
	ranges_free(&newer);
	ranges_free(&asked);
	return err;
}

void qresync_walk_fini(struct qresync_walk *walk)
{
	ranges_free(&walk->known);
	walk->next_uid = 0;
}

/* ---- the parameter of SELECT ---- */

/* Walks the numbers of a set in ascending order. */
struct set_walk {
	const struct ranges *set;
	uint32_t run, number; /* 0: not begun */
};
static bool set_walk_next(struct set_walk *walk)
{
	if (walk->run >= walk->set->count)
		return false;
	const struct range *run = &walk->set->runs[walk->run];
	if (walk->number < run->first) {
		walk->number = run->first;
		return true;
	}
	if (walk->number < run->last) {
		walk->number++;
		return true;
	}
	if (++walk->run >= walk->set->count)
		return false;
	walk->number = walk->set->runs[walk->run].first;
	return true;
}

/* The last UID up to which the client's pairs of sequence number and UID hold (section
 * 3.2.5.2): it has heard of everything that vanished below. */
static uint32_t matched_uid(const struct imap_view *view, const struct select_parameters *p)
{
	struct ranges seqnums = { 0 }, uids = { 0 };
	uint32_t matched = 0, run = 0, before = 0;
	if (!p->has_match)
		return 0;
	sequence_set_numbers(&p->match_seqnums, 0, &seqnums);
	sequence_set_numbers(&p->match_uids, 0, &uids);
	struct set_walk seqnum = { .set = &seqnums }, uid = { .set = &uids };
	while (set_walk_next(&seqnum) && set_walk_next(&uid)) {
		const struct ranges *all = &view->uids;
		while (run < all->count &&
		       seqnum.number > before + (all->runs[run].last - all->runs[run].first + 1)) {
			before += all->runs[run].last - all->runs[run].first + 1;
			run++;
		}
		if (run == all->count ||
		    all->runs[run].first + (seqnum.number - before - 1) != uid.number)
			break;
		matched = uid.number;
	}
	ranges_free(&seqnums);
	ranges_free(&uids);
	return matched;
}

enum err qresync_note(struct imap_view *view, struct read *read,
		      const struct select_parameters *parameters, struct qresync_walk *walk_out)
{
	struct ranges known = { 0 };
	if (!parameters->has_qresync || parameters->uidvalidity != view->uidvalidity ||
	    parameters->modseq >= view->modseq)
		return ERR_OK;
	if (parameters->has_known_uids)
		sequence_set_numbers(&parameters->known_uids, 0, &known);
	else if (view->uidnext > 1)
		ranges_add(&known, 1, view->uidnext - 1);
	enum err err = qresync_note_vanished(view, read, parameters->modseq, &known,
					     matched_uid(view, parameters));
	if (err == ERR_OK)
		err = note_changed(view, read, parameters->modseq, &known);
	if (err != ERR_GONE) {
		ranges_free(&known);
		return err;
	}
	*walk_out = (struct qresync_walk){ parameters->modseq, known, 1 };
	return ERR_OK;
}
