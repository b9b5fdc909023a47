/* base/ranges.c - sorted runs of numbers. */
#include "base/ranges.h"

#include <stdlib.h>

#include "base/heap.h"

/* Index of the first run whose last is >= number, or count. */
static uint32_t find_run(const struct ranges *set, uint32_t number)
{
	uint32_t low = 0, high = set->count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (set->runs[middle].last < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void make_room(struct ranges *set, uint32_t at)
{
	if (set->count == set->cap) {
		set->cap = set->cap ? set->cap * 2 : 1;
		set->runs = heap_resize(set->runs, set->cap * sizeof(*set->runs));
	}
	memmove(set->runs + at + 1, set->runs + at, (set->count - at) * sizeof(*set->runs));
	set->count++;
}

static void drop_runs(struct ranges *set, uint32_t from, uint32_t to)
{
	memmove(set->runs + from, set->runs + to, (set->count - to) * sizeof(*set->runs));
	set->count -= to - from;
}

void ranges_add(struct ranges *set, uint32_t first, uint32_t last)
{
	/* The run that ends just before `first` joins too. */
	uint32_t at = find_run(set, first > 0 ? first - 1 : 0);
	uint32_t to = at;
	while (to < set->count && (last == UINT32_MAX || set->runs[to].first <= last + 1)) {
		if (set->runs[to].first < first)
			first = set->runs[to].first;
		if (set->runs[to].last > last)
			last = set->runs[to].last;
		to++;
	}
	if (to == at)
		make_room(set, at);
	else if (to > at + 1)
		drop_runs(set, at + 1, to);
	set->runs[at] = (struct range){ first, last };
}

void ranges_remove(struct ranges *set, uint32_t first, uint32_t last)
{
	uint32_t at = find_run(set, first);
	if (at == set->count)
		return;
	if (set->runs[at].first < first) {
		uint32_t run_last = set->runs[at].last;
		set->runs[at].last = first - 1;
		at++;
		if (run_last > last) {
			make_room(set, at);
			set->runs[at] = (struct range){ last + 1, run_last };
			return;
		}
	}
	uint32_t to = at;
	while (to < set->count && set->runs[to].last <= last)
		to++;
	drop_runs(set, at, to);
	if (at < set->count && set->runs[at].first <= last)
		set->runs[at].first = last + 1;
}

bool ranges_contains(const struct ranges *set, uint32_t number)
{
	uint32_t at = find_run(set, number);
	return at < set->count && set->runs[at].first <= number;
}

uint64_t ranges_total(const struct ranges *set)
{
	uint64_t total = 0;
	for (uint32_t i = 0; i < set->count; i++)
		total += (uint64_t)set->runs[i].last - set->runs[i].first + 1;
	return total;
}

uint32_t ranges_rank(const struct ranges *set, uint32_t number)
{
	uint32_t before = 0;
	for (uint32_t i = 0; i < set->count && set->runs[i].first <= number; i++) {
		if (number <= set->runs[i].last)
			return before + (number - set->runs[i].first) + 1;
		before += set->runs[i].last - set->runs[i].first + 1;
	}
	return 0;
}

uint32_t ranges_at_rank(const struct ranges *set, uint32_t rank)
{
	if (rank == 0)
		return 0;
	for (uint32_t i = 0; i < set->count; i++) {
		uint32_t size = set->runs[i].last - set->runs[i].first + 1;
		if (rank <= size)
			return set->runs[i].first + rank - 1;
		rank -= size;
	}
	return 0;
}

bool ranges_next(const struct ranges *set, uint32_t number, uint32_t *member_out)
{
	uint32_t at = find_run(set, number);
	if (at == set->count)
		return false;
	*member_out = set->runs[at].first > number ? set->runs[at].first : number;
	return true;
}

uint32_t ranges_last(const struct ranges *set)
{
	return set->count ? set->runs[set->count - 1].last : 0;
}

void ranges_intersect(const struct ranges *a, const struct ranges *b, struct ranges *set_out)
{
	uint32_t i = 0, j = 0;
	while (i < a->count && j < b->count) {
		struct range x = a->runs[i], y = b->runs[j];
		uint32_t first = x.first > y.first ? x.first : y.first;
		uint32_t last = x.last < y.last ? x.last : y.last;
		if (first <= last)
			ranges_add(set_out, first, last);
		if (x.last <= y.last)
			i++;
		if (y.last <= x.last)
			j++;
	}
}

void ranges_copy(const struct ranges *from, struct ranges *set_out)
{
	ranges_clear(set_out);
	if (from->count > set_out->cap) {
		set_out->cap = from->count;
		set_out->runs = heap_resize(set_out->runs, set_out->cap * sizeof(*set_out->runs));
	}
	if (from->count)
		memcpy(set_out->runs, from->runs, from->count * sizeof(*from->runs));
	set_out->count = from->count;
}

void ranges_clear(struct ranges *set)
{
	set->count = 0;
}

void ranges_free(struct ranges *set)
{
	free(set->runs);
	*set = (struct ranges){ 0 };
}

void ranges_subtract(const struct ranges *a, const struct ranges *b, struct ranges *set_out)
{
	uint32_t j = 0;
	for (uint32_t i = 0; i < a->count; i++) {
		uint64_t first = a->runs[i].first, last = a->runs[i].last;
		while (j < b->count && b->runs[j].last < first)
			j++;
		for (uint32_t k = j; first <= last; k++) {
			if (k == b->count || b->runs[k].first > last) {
				ranges_add(set_out, (uint32_t)first, (uint32_t)last);
				break;
			}
			if (b->runs[k].first > first)
				ranges_add(set_out, (uint32_t)first, b->runs[k].first - 1);
			first = (uint64_t)b->runs[k].last + 1;
			j = k;
		}
	}
}

void ranges_drop(struct ranges *set, const struct ranges *b)
{
	struct ranges left = { 0 };
	if (set->count == 0 || b->count == 0)
		return;
	ranges_subtract(set, b, &left);
	ranges_free(set);
	*set = left;
}

/* A few are put in one by one, each of which moves what is behind it; many are merged. */
void ranges_join(struct ranges *set, const struct ranges *more)
{
	enum { FEW = 8 };
	struct ranges both = { 0 };
	uint32_t i = 0, j = 0;
	bool is_behind = set->count == 0 || more->count == 0 ||
			 set->runs[set->count - 1].last < more->runs[0].first;
	if (more->count <= FEW || is_behind) {
		for (; j < more->count; j++)
			ranges_add(set, more->runs[j].first, more->runs[j].last);
		return;
	}
	while (i < set->count || j < more->count) {
		const struct range *next =
			j == more->count || (i < set->count &&
					     set->runs[i].first <= more->runs[j].first)
				? &set->runs[i++]
				: &more->runs[j++];
		ranges_add(&both, next->first, next->last);
	}
	ranges_free(set);
	*set = both;
}
