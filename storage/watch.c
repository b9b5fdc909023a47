/* storage/watch.c - who wants to know of changes, and telling them after the commit. Every
 * watch belongs to an account, whose number is where it is looked for. A watch that keeps news has
 * them in records of a bounded length, so that no writer waits for a slow client.
 * Runs in the back. */
#include <stdlib.h>

#include "base/heap.h"
#include "storage/store_priv.h"

enum {
	BUCKETS = 4096,
	NEWS_MAX_OCTETS = 16 * 1024, /* what one watch keeps; beyond, it is told of anything */
};

/* Outlives its watch while a note to the loop is on its way. */
struct watch_node {
	struct task task;
	struct watch *watch; /* NULL: ended */
	struct watch_table *table;
	struct watch_node *next, **at;
	bool is_posted;
	struct buffer news; /* records: be16 kinds, be64 mailbox, be16 and octets of both names */
};

struct watch_table {
	pthread_mutex_t lock;
	struct watch_node *buckets[BUCKETS];
};

struct watch_table *watch_table_new(void)
{
	struct watch_table *table = heap_alloc(sizeof(*table));
	pthread_mutex_init(&table->lock, NULL);
	return table;
}

void watch_table_free(struct watch_table **table_at)
{
	struct watch_table *table = *table_at;
	if (!table)
		return;
	*table_at = NULL;
	pthread_mutex_destroy(&table->lock);
	free(table);
}

static struct watch_node **bucket(struct watch_table *table, uint32_t account_id)
{
	return &table->buckets[account_id % BUCKETS];
}

static void node_free(struct watch_node *node)
{
	buffer_free(&node->news);
	free(node);
}

/* On the watch's loop. */
static void node_run(struct task *task)
{
	struct watch_node *node = CONTAINER_OF(task, struct watch_node, task);
	pthread_mutex_lock(&node->table->lock);
	node->is_posted = false;
	struct watch *watch = node->watch;
	pthread_mutex_unlock(&node->table->lock);
	if (watch)
		watch->changed(watch);
	else
		node_free(node);
}

void watch_begin(struct store *store, struct watch *watch)
{
	struct watch_table *table = store->watches;
	struct watch_node *node = heap_alloc(sizeof(*node));
	node->watch = watch;
	node->table = table;
	node->task.run = node_run;
	watch->priv = node;
	pthread_mutex_lock(&table->lock);
	node->at = bucket(table, watch->account_id);
	node->next = *node->at;
	if (node->next)
		node->next->at = &node->next;
	*node->at = node;
	pthread_mutex_unlock(&table->lock);
}

void watch_end(struct store *store, struct watch *watch)
{
	struct watch_node *node = watch->priv;
	if (!node)
		return;
	watch->priv = NULL;
	pthread_mutex_lock(&store->watches->lock);
	*node->at = node->next;
	if (node->next)
		node->next->at = node->at;
	node->watch = NULL;
	bool is_posted = node->is_posted;
	pthread_mutex_unlock(&store->watches->lock);
	if (!is_posted)
		node_free(node);
}

/* ---- what has changed ---- */

static bool take_record(struct cursor *at, struct watch_news *news_out)
{
	uint16_t kinds, name_len, old_name_len;
	if (!take_be16(at, &kinds) || !take_be64(at, &news_out->mailbox_id) ||
	    !take_be16(at, &name_len) || !take_octets(at, name_len, &news_out->name) ||
	    !take_be16(at, &old_name_len) || !take_octets(at, old_name_len, &news_out->old_name))
		return false;
	news_out->kinds = kinds;
	return true;
}

/* Into the record of the same mailbox, where there is one. */
static bool merge(struct buffer *kept, const struct watch_news *news)
{
	struct cursor at = cursor_of(buffer_slice(kept));
	struct watch_news other;
	for (size_t start = 0; take_record(&at, &other); start = kept->len - cursor_left(&at)) {
		if (other.mailbox_id != news->mailbox_id || other.name.len > 0)
			continue;
		put_be16(kept->data + start, (uint16_t)(other.kinds | news->kinds));
		return true;
	}
	return false;
}

static void keep(struct buffer *kept, const struct watch_news *news)
{
	static const struct watch_news anything = { .kinds = WATCH_ANYTHING };
	if (news->name.len == 0 && merge(kept, news))
		return;
	if (kept->len + news->name.len + news->old_name.len > NEWS_MAX_OCTETS) {
		buffer_clear(kept);
		news = &anything;
	}
	buffer_add_be16(kept, (uint16_t)news->kinds);
	buffer_add_be64(kept, news->mailbox_id);
	buffer_add_be16(kept, (uint16_t)news->name.len);
	buffer_add(kept, news->name);
	buffer_add_be16(kept, (uint16_t)news->old_name.len);
	buffer_add(kept, news->old_name);
}

void watch_take_news(struct store *store, struct watch *watch, struct buffer *news_out)
{
	struct watch_node *node = watch->priv;
	pthread_mutex_lock(&store->watches->lock);
	*news_out = node->news;
	node->news = (struct buffer){ 0 };
	pthread_mutex_unlock(&store->watches->lock);
}

bool watch_news_next(struct cursor *at, struct watch_news *news_out)
{
	return take_record(at, news_out);
}

/* ---- publishing ---- */

static bool is_own(const struct watch *watch, const struct change_note *note)
{
	const unsigned of_messages =
		WATCH_ARRIVED | WATCH_EXPUNGED | WATCH_FLAGS | WATCH_SEEN | WATCH_UIDVALIDITY;
	if (!watch->keeps_news || !note->origin)
		return false;
	return watch == note->origin ||
	       (watch->same_as == note->origin && !(note->news.kinds & ~of_messages));
}

static void notify(struct watch_table *table, const struct change_note *note)
{
	for (struct watch_node *node = *bucket(table, note->account_id); node; node = node->next) {
		struct watch *watch = node->watch;
		if (watch->account_id != note->account_id ||
		    (watch->mailbox_id != 0 && watch->mailbox_id != note->mailbox_id &&
		     note->mailbox_id != NOTE_EVERYTHING) ||
		    is_own(watch, note))
			continue;
		if (watch->keeps_news)
			keep(&node->news, &note->news);
		if (node->is_posted)
			continue;
		node->is_posted = true;
		loop_post(watch->loop, &node->task);
	}
}

void watch_publish(struct store *store, const struct change_note *notes)
{
	if (!notes)
		return;
	pthread_mutex_lock(&store->watches->lock);
	for (; notes; notes = notes->next)
		notify(store->watches, notes);
	pthread_mutex_unlock(&store->watches->lock);
}

void watch_notify_account(struct store *store, uint32_t account_id)
{
	struct change_note note = { .account_id = account_id,
				    .mailbox_id = NOTE_EVERYTHING,
				    .news = { .kinds = WATCH_ANYTHING } };
	watch_publish(store, &note);
}
