/* storage/queue_watch.c - telling who runs the queue, after a commit, for which destinations there
 * may be something to do. Runs in the back. */
#include <stdlib.h>

#include "base/heap.h"
#include "storage/queue_priv.h"

/* On its way to the watch's loop: names, each with its length before it. */
struct queue_news {
	struct task task;
	struct store *store;
	struct buffer destinations;
};

void queue_note(struct write *write, struct slice destination)
{
	/* Runs of the same one are common: a batch of mail for one place. */
	if (write->queue_notes && slice_eq(write->queue_notes->destination, destination))
		return;
	struct queue_note *note = arena_alloc(&write->arena, sizeof(*note));
	note->next = write->queue_notes;
	note->destination = arena_copy(&write->arena, destination);
	write->queue_notes = note;
}

static void news_run(struct task *task)
{
	struct queue_news *news = CONTAINER_OF(task, struct queue_news, task);
	struct store *store = news->store;
	struct cursor c = cursor_of(buffer_slice(&news->destinations));
	struct slice destination;
	while (take_block(&c, &destination)) {
		/* It may end by what it hears. */
		pthread_mutex_lock(&store->lock);
		struct queue_watch *watch = store->queue_watch;
		pthread_mutex_unlock(&store->lock);
		if (!watch)
			break;
		watch->changed(watch, destination);
	}
	buffer_free(&news->destinations);
	free(news);
}

void queue_publish(struct store *store, const struct queue_note *notes)
{
	if (!notes)
		return;
	pthread_mutex_lock(&store->lock);
	struct loop *loop = store->queue_watch ? store->queue_watch->loop : NULL;
	if (loop) {
		struct queue_news *news = heap_alloc(sizeof(*news));
		news->task.run = news_run;
		news->store = store;
		for (; notes; notes = notes->next)
			buffer_add_block(&news->destinations, notes->destination);
		loop_post(loop, &news->task);
	}
	pthread_mutex_unlock(&store->lock);
}

void queue_watch_begin(struct store *store, struct queue_watch *watch)
{
	pthread_mutex_lock(&store->lock);
	store->queue_watch = watch;
	pthread_mutex_unlock(&store->lock);
}

void queue_watch_end(struct store *store, struct queue_watch *watch)
{
	pthread_mutex_lock(&store->lock);
	if (store->queue_watch == watch)
		store->queue_watch = NULL;
	pthread_mutex_unlock(&store->lock);
}
