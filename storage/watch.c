/* storage/watch.c - who wants to know of changes, and telling them after the commit. Every
 * watch belongs to an account, whose number is where it is looked for.
 * Runs in the back. */
#include <stdlib.h>

#include "base/heap.h"
#include "storage/store_priv.h"

enum { BUCKETS = 4096 };

/* Outlives its watch while a note to the loop is on its way. */
struct watch_node {
	struct task task;
	struct watch *watch; /* NULL: ended */
	struct watch_table *table;
	struct watch_node *next, **at;
	bool is_posted;
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
		free(node);
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
		free(node);
}

static void notify(struct watch_table *table, uint32_t account_id, uint64_t mailbox_id)
{
	for (struct watch_node *node = *bucket(table, account_id); node; node = node->next) {
		struct watch *watch = node->watch;
		if (watch->account_id != account_id || node->is_posted ||
		    (watch->mailbox_id != 0 && watch->mailbox_id != mailbox_id &&
		     mailbox_id != NOTE_EVERYTHING))
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
		notify(store->watches, notes->account_id, notes->mailbox_id);
	pthread_mutex_unlock(&store->watches->lock);
}

void watch_notify_account(struct store *store, uint32_t account_id)
{
	struct change_note note = { .account_id = account_id, .mailbox_id = NOTE_EVERYTHING };
	watch_publish(store, &note);
}
