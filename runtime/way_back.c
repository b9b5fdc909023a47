/* runtime/way_back.c - a channel that may be gone by the time it is needed. Runs in the back. */
#include "runtime/way_back.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/heap.h"
#include "runtime/messages.h"

struct way_back {
	struct channel *channel; /* NULL: gone */
	unsigned holders;
};

struct way_back *way_back_new(struct channel *channel)
{
	struct way_back *way = heap_alloc(sizeof(*way));
	*way = (struct way_back){ channel, 1 };
	return way;
}

struct way_back *way_back_hold(struct way_back *way)
{
	if (way)
		way->holders++;
	return way;
}

void way_back_release(struct way_back **at)
{
	struct way_back *way = *at;
	*at = NULL;
	if (way && --way->holders == 0)
		free(way);
}

void way_back_cut(struct way_back *way)
{
	way->channel = NULL;
}

void way_back_send(struct way_back *way, uint32_t conversation, int fd, struct slice unread)
{
	if (way && way->channel)
		channel_send(way->channel, MESSAGE_SIGNED_OUT, conversation, unread, fd);
	else
		close(fd);
}
