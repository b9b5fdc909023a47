/* imapd/thread.c - THREAD=ORDEREDSUBJECT, and the choice of the algorithm. In the back, on a
 * worker. RFC 5256 section 3. */
#include <stdlib.h>

#include "imapd/collect_priv.h"

int collected_compare_sent(const struct collected *a, const struct collected *b)
{
	if (a->sent_unix != b->sent_unix)
		return a->sent_unix < b->sent_unix ? -1 : 1;
	return (a->uid > b->uid) - (a->uid < b->uid);
}

static int compare_subjects(const void *x, const void *y)
{
	const struct collected *a = x, *b = y;
	int order = slice_compare(a->subject, b->subject);
	return order != 0 ? order : collected_compare_sent(a, b);
}

/* Of the collection, sorted: a thread's messages stand side by side. */
struct subject_thread {
	const struct collected *first;
	size_t count;
};

static int compare_threads(const void *x, const void *y)
{
	const struct subject_thread *a = x, *b = y;
	return collected_compare_sent(a->first, b->first);
}

/* "(1)", "(1 2)", "(1 (2)(3))" */
static void put_thread(struct buffer *out, const struct subject_thread *thread)
{
	buffer_add_format(out, "(%u", thread->first->number);
	if (thread->count > 1)
		buffer_add_byte(out, ' ');
	for (size_t i = 1; i < thread->count; i++)
		buffer_add_format(out, thread->count == 2 ? "%u" : "(%u)", thread->first[i].number);
	buffer_add_byte(out, ')');
}

static void thread_by_subject(struct collection *c, struct buffer *out)
{
	struct subject_thread *threads;
	size_t count = 0;
	if (c->count == 0)
		return;
	qsort(c->items, c->count, sizeof(*c->items), compare_subjects);
	threads = arena_alloc_array(&c->arena, c->count, sizeof(*threads));
	for (size_t i = 0; i < c->count; i++) {
		if (i == 0 || !slice_eq(c->items[i].subject, c->items[i - 1].subject))
			threads[count++].first = &c->items[i];
		threads[count - 1].count++;
	}
	qsort(threads, count, sizeof(*threads), compare_threads);
	for (size_t i = 0; i < count; i++)
		put_thread(out, &threads[i]);
}

void collection_thread(struct collection *collection, struct buffer *out)
{
	if (collection->algorithm == THREAD_REFERENCES)
		thread_references(collection, out);
	else
		thread_by_subject(collection, out);
}
