/* imapd/search_mailboxes.c - which mailboxes an ESEARCH looks into. In the back.
 *
 * RFC 7377 section 2.2, with the mailbox specifiers of RFC 5465 section 6 (search_sources.c). Names that
 * do not exist, or cannot be selected, are nothing to look into; in others' mailboxes "r" is needed, and
 * "l" where they are not named one by one.
 *
 * One's own are walked by name, those of others gathered as for LIST and then looked at, so many at a
 * time that nobody waits for it: there may be ten thousand of the one and twenty of the other, and each
 * is compared with every name that the client gives. */
#include "imapd/search_mailboxes_priv.h"

#include <stdlib.h>

#include "base/heap.h"
#include "imapd/list_priv.h"
#include "storage/mailbox.h"

enum {
	/* In one turn. */
	NAMES_COMPARED = 32 * 1024,
	/* To look a mailbox up takes as long as to compare so many. */
	LOOKUP_COST = 64,
};

static size_t rows_at_a_time(const struct search_mailboxes *m)
{
	size_t names = 0;
	for (const struct search_source *source = m->sources; source; source = source->next)
		names += 1 + source->name_count;
	return 1 + NAMES_COMPARED / (LOOKUP_COST + names);
}

static void add(struct search_mailboxes *m, uint64_t mailbox_id)
{
	if (m->count == m->cap) {
		m->cap = m->cap ? m->cap * 2 : 16;
		uint64_t *ids = arena_alloc_array(m->arena, m->cap, sizeof(*ids));
		if (m->count > 0)
			memcpy(ids, m->ids, m->count * sizeof(*ids));
		m->ids = ids;
	}
	m->ids[m->count++] = mailbox_id;
}

/* `shared` NULL: it is one's own. What another has shared is no personal mailbox, and where it is not named
 * by itself only what may be looked up is meant. */
static bool is_meant(const struct search_mailboxes *m, const struct mailbox_row *row,
		     const struct access_row *shared)
{
	for (const struct search_source *source = m->sources; source; source = source->next) {
		bool is_one = source->kind == SOURCE_SELECTED || source->kind == SOURCE_MAILBOXES;
		if (shared && (source->kind == SOURCE_PERSONAL ||
			       !(is_one || (shared->rights & RIGHT_LOOKUP))))
			continue;
		if (source->kind == SOURCE_SELECTED
			    ? row->mailbox_id == m->selected_id
			    : search_source_has(source, row->name, row->subscribed))
			return true;
	}
	return false;
}

/* ---- one's own ---- */

/* By number, and those of one number as they stand. */
static int compare_places(const void *a, const void *b)
{
	const uint64_t *left = *(uint64_t *const *)a, *right = *(uint64_t *const *)b;
	if (*left != *right)
		return *left < *right ? -1 : 1;
	return left < right ? -1 : left > right;
}

/* One that was renamed between two turns may have been met under both names: the first counts. */
static void drop_doubles(struct search_mailboxes *m)
{
	size_t kept = 0;
	uint64_t **places = heap_alloc((m->count + 1) * sizeof(*places));
	for (size_t i = 0; i < m->count; i++)
		places[i] = &m->ids[i];
	qsort(places, m->count, sizeof(*places), compare_places);
	for (size_t i = m->count; i > 1; i--)
		if (*places[i - 1] == *places[i - 2])
			*places[i - 1] = 0;
	for (size_t i = 0; i < m->count; i++)
		if (m->ids[i] != 0)
			m->ids[kept++] = m->ids[i];
	m->count = kept;
	free(places);
}

static enum access_wanted wants_owner(struct access_gathering *gathering, struct read *read,
				      uint32_t owner_id, struct slice prefix)
{
	const struct search_mailboxes *m = CONTAINER_OF(gathering, struct search_mailboxes, others);
	bool has_subscribed = list_has_subscribed(read, m->account_id, prefix);
	for (const struct search_source *source = m->sources; source; source = source->next)
		if (source->kind == SOURCE_SELECTED
			    ? owner_id == m->selected_owner_id
			    : source->kind != SOURCE_PERSONAL &&
				      search_source_reaches(source, prefix, has_subscribed))
			return ACCESS_WANTED;
	return ACCESS_NOT_WANTED;
}

static void end_own(struct search_mailboxes *m)
{
	if (m->after.len > 0)
		drop_doubles(m);
	m->has_own = m->is_whole = true;
	for (const struct search_source *source = m->sources; source; source = source->next)
		m->is_whole &= source->kind == SOURCE_PERSONAL;
	m->others = (struct access_gathering){
		.account_id = m->account_id,
		.rights = RIGHT_READ,
		.arena = m->arena,
		.wants_owner = wants_owner,
	};
}

static void find_own(struct search_mailboxes *m, struct read *read)
{
	struct mailbox_row row = { .name = buffer_slice(&m->after) };
	for (size_t i = rows_at_a_time(m); i > 0; i--) {
		if (!mailbox_next(read, m->account_id, row.name, &row)) {
			end_own(m);
			return;
		}
		if (row.mailbox_id != 0 && is_meant(m, &row, NULL))
			add(m, row.mailbox_id);
	}
	buffer_clear(&m->after);
	buffer_add(&m->after, row.name);
}

/* ---- others' ---- */

static void find_others(struct search_mailboxes *m, struct read *read)
{
	const struct access_list *list = &m->others.list;
	for (size_t i = rows_at_a_time(m); i > 0 && m->looked < list->count; i--) {
		const struct access_row *shared = &list->rows[m->looked++];
		struct mailbox_row row = {
			.name = shared->name,
			.mailbox_id = shared->mailbox_id,
			.subscribed = mailbox_is_subscribed(read, m->account_id, shared->name),
		};
		if (is_meant(m, &row, shared))
			add(m, row.mailbox_id);
	}
	m->is_whole = m->looked == list->count;
}

enum err search_mailboxes_find_on(struct search_mailboxes *m, struct read *read)
{
	if (search_sources_are_selected(m->sources)) {
		add(m, m->selected_id);
		m->is_whole = true;
		return ERR_OK;
	}
	if (!m->has_own)
		find_own(m, read);
	else if (!m->others.is_whole)
		return access_gather_on(&m->others, read);
	else
		find_others(m, read);
	return read_failure(read);
}

void search_mailboxes_fini(struct search_mailboxes *m)
{
	access_gathering_fini(&m->others);
	buffer_free(&m->after);
}
