/* imapd/sorted_results.c - the results of a SORT that goes on. In the back.
 *
 * RFC 5267 sections 4.3.3 and 4.3.4. What a message is sorted by never changes, so it is kept with
 * the result and nothing is read again. Removals are told from the end on and insertions from the
 * beginning, so that the places of the others hold; each is one pass over the results. */
#include "imapd/sorted_results_priv.h"

#include <stdlib.h>

#include "base/heap.h"
#include "imapd/respond_priv.h"

static bool is_text(const struct sort_criteria *criteria, size_t i)
{
	return sort_key_is_text(criteria->items[i].key);
}

/* Its own block. */
static union collected_value *copy_values(const struct sort_criteria *criteria,
					  const union collected_value *from)
{
	size_t octets = criteria->count * sizeof(*from);
	for (size_t i = 0; i < criteria->count; i++)
		octets += is_text(criteria, i) ? from[i].text.len : 0;
	union collected_value *values = heap_alloc(octets);
	uint8_t *at = (uint8_t *)(values + criteria->count);
	for (size_t i = 0; i < criteria->count; i++) {
		values[i] = from[i];
		if (!is_text(criteria, i))
			continue;
		if (from[i].text.len > 0)
			memcpy(at, from[i].text.ptr, from[i].text.len);
		values[i].text.ptr = at;
		at += from[i].text.len;
	}
	return values;
}

static struct collected copy_item(const struct sorted_results *results,
				  const struct collected *from)
{
	return (struct collected){ .uid = from->uid,
				   .values = copy_values(&results->criteria, from->values) };
}

static void make_room(struct sorted_results *results, size_t count)
{
	if (count <= results->cap)
		return;
	results->cap = count + count / 4;
	results->items = heap_resize(results->items, results->cap * sizeof(*results->items));
}

void sorted_results_init(struct sorted_results *results, const struct collection *sorted)
{
	*results = (struct sorted_results){ .criteria = *sorted->criteria };
	make_room(results, sorted->count);
	for (size_t i = 0; i < sorted->count; i++)
		results->items[results->count++] = copy_item(results, &sorted->items[i]);
}

void sorted_results_fini(struct sorted_results *results)
{
	for (size_t i = 0; i < results->count; i++)
		free(results->items[i].values);
	free(results->items);
	*results = (struct sorted_results){ 0 };
}

/* "7,5:6" of a block of neighbours, which begins at `place`. */
static void put_block(const struct collected *items, size_t count, size_t place,
		      const struct ranges *numbers_of, struct buffer *pairs)
{
	if (pairs->len > 0)
		buffer_add_byte(pairs, ' ');
	buffer_add_u64(pairs, place);
	for (size_t i = 0; i < count;) {
		uint32_t first = numbers_of ? ranges_rank(numbers_of, items[i].uid) : items[i].uid;
		uint32_t last = first;
		bool is_first = i == 0;
		while (++i < count && (numbers_of ? ranges_rank(numbers_of, items[i].uid)
						  : items[i].uid) == last + 1)
			last++;
		struct range run = { first, last };
		buffer_add_byte(pairs, is_first ? ' ' : ',');
		respond_ranges(pairs, &(struct ranges){ .runs = &run, .count = 1 });
	}
}

void sorted_results_remove(struct sorted_results *results, const struct ranges *uids,
			   const struct ranges *numbers_of, struct buffer *pairs)
{
	size_t end = results->count, kept = 0;
	while (end > 0) {
		size_t start = end;
		while (start > 0 && ranges_contains(uids, results->items[start - 1].uid))
			start--;
		if (start < end)
			put_block(results->items + start, end - start, start + 1, numbers_of,
				  pairs);
		end = start > 0 ? start - 1 : 0;
	}
	for (size_t i = 0; i < results->count; i++)
		if (ranges_contains(uids, results->items[i].uid))
			free(results->items[i].values);
		else
			results->items[kept++] = results->items[i];
	results->count = kept;
}

/* From the last on, so that each of the old ones moves once. */
static void merge(struct sorted_results *results, const struct collected *fresh, size_t count,
		  bool *is_fresh)
{
	size_t old = results->count, at = results->count + count;
	make_room(results, at);
	results->count = at;
	while (count > 0) {
		at--;
		is_fresh[at] =
			old == 0 || collected_compare(&fresh[count - 1], &results->items[old - 1],
						      &results->criteria) > 0;
		results->items[at] = is_fresh[at] ? fresh[--count] : results->items[--old];
	}
}

void sorted_results_insert(struct sorted_results *results, struct collection *incoming,
			   const struct ranges *uids, const struct ranges *numbers_of,
			   struct buffer *pairs)
{
	size_t count = 0;
	struct collected *fresh = heap_alloc((incoming->count + 1) * sizeof(*fresh));
	collection_sort(incoming);
	for (size_t i = 0; i < incoming->count; i++) {
		/* One that came, went and came again before it was told is there twice. */
		bool is_twice = i > 0 && incoming->items[i].uid == incoming->items[i - 1].uid;
		if (!is_twice && ranges_contains(uids, incoming->items[i].uid))
			fresh[count++] = copy_item(results, &incoming->items[i]);
	}
	size_t total = results->count + count;
	bool *is_fresh = heap_alloc(total + 1);
	merge(results, fresh, count, is_fresh);
	for (size_t i = 0; i < total;) {
		size_t start = i;
		while (i < total && is_fresh[i])
			i++;
		if (i > start)
			put_block(results->items + start, i - start, start + 1, numbers_of, pairs);
		else
			i++;
	}
	free(is_fresh);
	free(fresh);
}
