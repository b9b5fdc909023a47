/* storage/journal_gather.c - events from outside of a write: refusals, above all, which strangers
 * can cause as often as they like. They are gathered here until a batch takes them along, and kept
 * few, so that nobody can fill the journal or keep the writer busy:
 *
 * - Of what is alike (the same kind and reply code, from the same address, IPv6 by /64) in ten
 *   minutes, the first are noted one by one and the others counted: "and 212 more like it".
 * - All together may in the long run fill half of the journal in the days that it is kept, and a
 *   day's share of that at once. Beyond, events of the same kind and code are counted only.
 *
 * Any thread; runs in the back. */
#include "storage/journal_gather_priv.h"

#include <stdlib.h>

#include "base/checksum.h"
#include "base/clock.h"
#include "base/heap.h"

enum {
	SLOTS = 4096, /* a power of two */
	PROBES = 8,   /* slots that may hold one thing */
	GENERAL_SLOTS = 256,
	ALIKE_NOTED = 8,
	ALIKE_LEFT_NOTED = 3, /* of those who only came and went: a monitor does every minute */
	WINDOW_MS = 10 * 60 * 1000,
	SWEEP_MS = 10 * 1000,
	GATHERED_MAX_OCTETS = 256 * 1024, /* that wait for a batch */
	DAY_SECONDS = 24 * 3600,
};

/* What is alike. The last of it is kept, to tell how many there were and when it ended. */
struct alike {
	uint64_t name; /* 0: free */
	int64_t until_unix_ms;
	uint32_t noted;
	uint64_t counted;   /* since the last one that was noted */
	struct buffer last; /* the event, encoded; empty unless something is counted */
};

struct gather {
	pthread_mutex_t lock;
	struct alike slots[SLOTS];	     /* by kind, code and address */
	struct alike general[GENERAL_SLOTS]; /* by kind and code: what the budget did not take */
	int64_t swept_unix_ms;
	struct buffer events; /* be16 length and octets, each */
	/* The budget: a bucket of octets. */
	double share_octets; /* of a day, and what fits at most */
	double budget_octets;
	int64_t budget_unix_ms; /* when it was filled up last; 0: never */
};

struct gather *gather_new(void)
{
	struct gather *gather = heap_alloc(sizeof(*gather));
	pthread_mutex_init(&gather->lock, NULL);
	return gather;
}

void gather_free(struct gather **at)
{
	struct gather *gather = *at;
	*at = NULL;
	if (!gather)
		return;
	for (size_t i = 0; i < SLOTS; i++)
		buffer_free(&gather->slots[i].last);
	for (size_t i = 0; i < GENERAL_SLOTS; i++)
		buffer_free(&gather->general[i].last);
	buffer_free(&gather->events);
	pthread_mutex_destroy(&gather->lock);
	free(gather);
}

static void add(struct gather *gather, const struct journal_event *event)
{
	size_t at = gather->events.len;
	buffer_add_be16(&gather->events, 0);
	journal_event_encode(event, &gather->events);
	put_be16(gather->events.data + at, (uint16_t)(gather->events.len - at - 2));
}

/* ---- the budget ---- */

static bool budget_takes(struct gather *gather, size_t octets, int64_t now_ms)
{
	double passed_ms = (double)(now_ms - gather->budget_unix_ms);
	if (gather->budget_unix_ms == 0 || passed_ms < 0)
		gather->budget_octets = gather->share_octets;
	else
		gather->budget_octets += gather->share_octets * passed_ms / (DAY_SECONDS * 1000.0);
	if (gather->budget_octets > gather->share_octets)
		gather->budget_octets = gather->share_octets;
	gather->budget_unix_ms = now_ms;
	if (gather->budget_octets < (double)octets || gather->events.len >= GATHERED_MAX_OCTETS)
		return false;
	gather->budget_octets -= (double)octets;
	return true;
}

/* ---- what is alike ---- */

static uint64_t name_of(const struct journal_event *event, bool with_peer)
{
	struct checksum sum;
	uint8_t kind = (uint8_t)event->kind;
	checksum_begin(&sum);
	checksum_add(&sum, slice_of(&kind, 1));
	/* "550 5.1.1": what follows may hold anything. */
	checksum_add(&sum, slice_sub(event->reply, 0, 9));
	checksum_add(&sum, event->why);
	if (with_peer) {
		const struct peer *peer = &event->peer;
		checksum_add(&sum, slice_of(&peer->family, 1));
		checksum_add(&sum, slice_of(peer->address, peer->family == 4   ? 4
							   : peer->family == 6 ? 8
									       : 0));
	}
	uint64_t name = checksum_value(&sum);
	return name ? name : 1;
}

static void count(struct alike *slot, const struct journal_event *event, uint64_t more)
{
	slot->counted += more;
	buffer_clear(&slot->last);
	journal_event_encode(event, &slot->last);
}

static void slot_reset(struct alike *slot)
{
	buffer_free(&slot->last);
	*slot = (struct alike){ .name = 0 };
}

/* Of all that was too much, only what it was and how often. There are few kinds and codes; should
 * they be many, the last slot has them all. */
static void count_in_general(struct gather *gather, const struct journal_event *event,
			     uint64_t more, int64_t now_ms)
{
	uint64_t name = name_of(event, false);
	size_t i = 0;
	while (i < GENERAL_SLOTS - 1 && gather->general[i].name != 0 &&
	       gather->general[i].name != name)
		i++;
	struct alike *slot = &gather->general[i];
	if (slot->name == 0)
		*slot = (struct alike){ .name = name, .until_unix_ms = now_ms + WINDOW_MS };
	const struct journal_event bare = {
		.kind = event->kind,
		.time_unix_ms = event->time_unix_ms,
		.service = event->service,
		.command = event->command,
		.reply = event->reply,
		.why = event->why,
	};
	count(slot, &bare, more);
}

/* What was counted becomes one event. */
static void slot_finish(struct gather *gather, struct alike *slot, int64_t now_ms)
{
	struct journal_event event;
	if (slot->counted > 0 && journal_event_decode(buffer_slice(&slot->last), &event)) {
		event.more = slot->counted - 1;
		if (budget_takes(gather, slot->last.len, now_ms))
			add(gather, &event);
		else
			count_in_general(gather, &event, slot->counted, now_ms);
	}
	slot_reset(slot);
}

static void general_finish(struct gather *gather, struct alike *slot)
{
	struct journal_event event;
	if (slot->counted > 0 && journal_event_decode(buffer_slice(&slot->last), &event)) {
		event.more = slot->counted;
		add(gather, &event);
	}
	slot_reset(slot);
}

/* The slot of that name, or a free one; where all are taken, the one whose time is over first. */
static struct alike *slot_find(struct gather *gather, uint64_t name, int64_t now_ms)
{
	struct alike *best = NULL;
	for (unsigned i = 0; i < PROBES; i++) {
		struct alike *slot = &gather->slots[(name + i) & (SLOTS - 1)];
		if (slot->name == name && now_ms < slot->until_unix_ms)
			return slot;
		if (!best || slot->until_unix_ms < best->until_unix_ms) /* a free one has 0 */
			best = slot;
	}
	slot_finish(gather, best, now_ms);
	*best = (struct alike){ .name = name, .until_unix_ms = now_ms + WINDOW_MS };
	return best;
}

static void sweep(struct gather *gather, int64_t now_ms, bool all)
{
	for (size_t i = 0; i < SLOTS; i++)
		if (gather->slots[i].name != 0 && (all || now_ms >= gather->slots[i].until_unix_ms))
			slot_finish(gather, &gather->slots[i], now_ms);
	for (size_t i = 0; i < GENERAL_SLOTS; i++)
		if (gather->general[i].name != 0 &&
		    (all || now_ms >= gather->general[i].until_unix_ms))
			general_finish(gather, &gather->general[i]);
	gather->swept_unix_ms = now_ms;
}

/* ---- in and out ---- */

bool gather_add(struct gather *gather, const struct journal_event *event, unsigned days,
		uint64_t size_octets)
{
	struct buffer octets = { 0 };
	int64_t now_ms = event->time_unix_ms;
	uint32_t most = event->kind == JOURNAL_LEFT ? ALIKE_LEFT_NOTED : ALIKE_NOTED;
	journal_event_encode(event, &octets);
	pthread_mutex_lock(&gather->lock);
	bool was_empty = gather->events.len == 0;
	gather->share_octets = (double)size_octets / 2 / days;
	struct alike *slot = slot_find(gather, name_of(event, true), now_ms);
	if (slot->noted >= most) {
		count(slot, event, 1);
	} else if (budget_takes(gather, octets.len, now_ms)) {
		slot->noted++;
		add(gather, event);
	} else {
		count_in_general(gather, event, 1, now_ms);
	}
	bool is_first = was_empty && gather->events.len > 0;
	pthread_mutex_unlock(&gather->lock);
	buffer_free(&octets);
	return is_first;
}

bool gather_has_any(struct gather *gather)
{
	int64_t now_ms = clock_unix_ms();
	pthread_mutex_lock(&gather->lock);
	if (now_ms >= gather->swept_unix_ms + SWEEP_MS || now_ms < gather->swept_unix_ms)
		sweep(gather, now_ms, false);
	bool any = gather->events.len > 0;
	pthread_mutex_unlock(&gather->lock);
	return any;
}

struct buffer gather_take(struct gather *gather)
{
	pthread_mutex_lock(&gather->lock);
	struct buffer events = gather->events;
	gather->events = (struct buffer){ 0 };
	pthread_mutex_unlock(&gather->lock);
	return events;
}

void gather_give_back(struct gather *gather, struct buffer *events)
{
	pthread_mutex_lock(&gather->lock);
	buffer_add(events, buffer_slice(&gather->events));
	buffer_free(&gather->events);
	gather->events = *events;
	pthread_mutex_unlock(&gather->lock);
	*events = (struct buffer){ 0 };
}

void gather_finish(struct gather *gather)
{
	pthread_mutex_lock(&gather->lock);
	sweep(gather, clock_unix_ms(), true);
	pthread_mutex_unlock(&gather->lock);
}
