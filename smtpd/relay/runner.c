/* smtpd/relay/runner.c - which entry of the queue is tried next. Runs in the back.
 *
 * In memory is a small record for each destination that has mail waiting, with the moment when the
 * first of it is due; the entries themselves are read when their turn has come. A destination whose
 * hop has enough under way waits for that hop alone, in turn with others that do; one whose hop is
 * down has its entries put off, a few at a time, without being tried. A hop that nothing is known of
 * has one of all the places that there are.
 *
 * Where more is due than may be under way, a part of that is kept for what has come just now and for
 * hops that have proven to answer: thousands of destinations that do not hold up nobody else. */
#include "smtpd/relay/posts_priv.h"
#include "smtpd/relay/runner_priv.h"
#include "smtpd/relay/schedule_priv.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/heap.h"
#include "base/log.h"
#include "base/octets.h"

size_t runner_bucket_of(struct slice name)
{
	uint64_t hash = 0xcbf29ce484222325; /* FNV-1a */
	for (size_t i = 0; i < name.len; i++)
		hash = (hash ^ name.ptr[i]) * 0x100000001b3;
	return (size_t)((hash ^ hash >> 32) % RUNNER_BUCKETS);
}

/* ---- transfers ---- */

static struct transfer *transfer_new(struct relay_runner *runner, struct destination *destination,
				     uint64_t queue_id)
{
	struct transfer *transfer = heap_alloc(sizeof(*transfer));
	struct read *read = read_begin(runner->back->store);
	enum err err = queue_get(read, queue_id, &transfer->arena, &transfer->entry);
	read_end(&read);
	transfer->runner = runner;
	transfer->destination = destination;
	transfer->entry.queue_id = queue_id;
	transfer->began_unix_ms = transfer->entry.next_unix_ms;
	transfer->next = destination->transfers;
	if (transfer->next)
		transfer->next->previous = transfer;
	destination->transfers = transfer;
	destination->transfer_count++;
	do
		runner->last_number++;
	while (runner->last_number == 0);
	transfer->number = runner->last_number;
	transfer->number_at = &runner->numbers[transfer->number % RUNNER_BUCKETS];
	transfer->next_number = *transfer->number_at;
	if (transfer->next_number)
		transfer->next_number->number_at = &transfer->next_number;
	*transfer->number_at = transfer;
	runner->transfer_count++;
	if (err == ERR_OK)
		return transfer;
	/* One that is missing has just gone; or its row is damage, which would be due again at once,
	 * for ever. */
	if (err_is_store_failure(err) || err == ERR_NOT_FOUND) {
		destination->rests_until_unix_ms = clock_unix_ms() + RUNNER_AGAIN_MS;
		runner_end_transfer(transfer);
		return NULL;
	}
	/* One that is damaged is logged, and kept from being due until the next start: nothing can be
	 * done with it, and `bode verify` tells of it. It takes nobody's place. */
	transfer->is_damaged = true;
	runner->transfer_count--;
	return NULL;
}

void runner_end_transfer(struct transfer *transfer)
{
	struct relay_runner *runner = transfer->runner;
	struct destination *destination = transfer->destination;
	hop_leave(transfer);
	if (transfer->previous)
		transfer->previous->next = transfer->next;
	else
		destination->transfers = transfer->next;
	if (transfer->next)
		transfer->next->previous = transfer->previous;
	destination->transfer_count--;
	*transfer->number_at = transfer->next_number;
	if (transfer->next_number)
		transfer->next_number->number_at = transfer->number_at;
	runner->transfer_count -= !transfer->is_damaged;
	transfer_leave_form(transfer);
	buffer_free(&transfer->converted);
	if (!transfer->is_gone) /* what stands there now may be due */
		destination->passed = (struct queue_place){ 0 };
	filing_free(&transfer->filing);
	timer_free(&transfer->again);
	arena_fini(&transfer->arena);
	free(transfer);
	destination_refresh(runner, destination);
}

/* The newest comes first: if there are many of them, that is what most of their senders wait for. */
void runner_make_brisk(struct relay_runner *runner, struct destination *destination,
		       const struct hop *hop)
{
	struct destination **list =
		hop && hop_is_proven(&hop->pace) ? &runner->proven : &runner->newcomers;
	if (destination->is_brisk || destination->is_waiting ||
	    destination->due_unix_ms > clock_unix_ms())
		return;
	destination->is_brisk = true;
	destination->brisk_since_ms = loop_now_ms(runner->back->loop);
	destination->next_brisk = *list;
	*list = destination;
}

/* One entry of the destination: tried, or put off. `hop` is NULL for addresses here. */
static void start_one(struct relay_runner *runner, struct destination *destination, struct hop *hop,
		      uint64_t queue_id, int64_t now_unix_ms)
{
	struct transfer *transfer = transfer_new(runner, destination, queue_id);
	if (!transfer)
		return;
	if (schedule_is_too_late(&transfer->entry, now_unix_ms / 1000)) {
		transfer_settle_all(transfer, DELIVERY_REFUSED, "5.4.7",
				    SLICE("it could not be delivered by the time that its sender "
					  "has set"));
		return;
	}
	if (transfer->entry.is_held) {
		transfer_settle_held(transfer);
		return;
	}
	if (!hop) {
		transfer_release(transfer);
		return;
	}
	if (hop_is_down(&hop->pace, now_unix_ms)) {
		struct buffer words = { 0 };
		buffer_add_cstr(&words, "not tried, since the destination did not answer before: ");
		buffer_add(&words, buffer_slice(&hop->trouble));
		transfer_settle_all(transfer, DELIVERY_LATER, "4.4.1", buffer_slice(&words));
		buffer_free(&words);
		return;
	}
	transfer->hop = hop;
	hop->under_way++;
	transfer_begin(transfer, runner->channels[runner->channel_count - 1]);
}

/* The first entry of the destination that is due, or its place in its hop's list. */
static void dispatch_one(struct relay_runner *runner, struct destination *destination,
			 int64_t now_unix_ms)
{
	struct queue_place place;
	bool is_here = slice_eq(destination->name, SLICE(QUEUE_HERE));
	struct hop *hop = is_here ? NULL : hop_get(runner, destination->name);
	if (hop && hop_is_full(hop, now_unix_ms)) {
		hop_wait(runner, destination, hop);
		return;
	}
	struct read *read = read_begin(runner->back->store);
	bool found = destination_next(destination, read, now_unix_ms, &place);
	read_end(&read);
	/* What is started below may end at once, and the destination with it. */
	destination->transfer_count++;
	if (hop)
		hop->under_way++;
	if (found && place.next_unix_ms <= now_unix_ms)
		start_one(runner, destination, hop, place.queue_id, now_unix_ms);
	destination_refresh(runner, destination);
	if (hop && hop_is_proven(&hop->pace))
		runner_make_brisk(runner, destination, hop);
	if (hop) {
		hop->under_way--;
		hop_release_waiting(runner, hop);
		hop_forget(runner, hop);
	}
	destination->transfer_count--;
	destination_forget(runner, destination);
}

/* Until so many are under way. What has been brisk for long is so no more, and has its turn with the
 * others. */
static void dispatch_brisk(struct relay_runner *runner, struct destination **list,
			   unsigned transfers_max, int64_t now_unix_ms)
{
	uint64_t now_ms = loop_now_ms(runner->back->loop);
	while (*list && runner->transfer_count < transfers_max) {
		struct destination *destination = *list;
		*list = destination->next_brisk;
		destination->is_brisk = false;
		if (!destination->is_waiting && destination->due_unix_ms <= now_unix_ms &&
		    now_ms - destination->brisk_since_ms < RUNNER_BRISK_MS)
			dispatch_one(runner, destination, now_unix_ms);
		else
			destination_forget(runner, destination);
	}
}

void runner_dispatch(struct relay_runner *runner)
{
	int64_t now_unix_ms = clock_unix_ms();
	if (runner->is_stopped || runner->channel_count == 0)
		return;
	dispatch_brisk(runner, &runner->proven, RUNNER_DELIVERIES_MAX, now_unix_ms);
	dispatch_brisk(runner, &runner->newcomers, RUNNER_DELIVERIES_MAX - RUNNER_BRISK_RESERVE / 2,
		       now_unix_ms);
	while (runner->heap_count > 0 && runner->heap[1]->due_unix_ms <= now_unix_ms) {
		if (runner->transfer_count >= RUNNER_DELIVERIES_MAX - RUNNER_BRISK_RESERVE)
			return; /* one that ends calls again */
		dispatch_one(runner, runner->heap[1], now_unix_ms);
	}
	if (runner->heap_count == 0)
		return;
	int64_t wait_ms = runner->heap[1]->due_unix_ms - now_unix_ms;
	enum { LOOK_AT_LEAST_MS = 3600 * 1000 }; /* the clock may be set */
	timer_start(runner->timer,
		    wait_ms < LOOK_AT_LEAST_MS ? (uint64_t)wait_ms : LOOK_AT_LEAST_MS);
}

/* ---- from outside ---- */

static void on_timer(void *user)
{
	runner_dispatch(user);
}

static void on_changed(struct queue_watch *watch, struct slice name)
{
	struct relay_runner *runner = CONTAINER_OF(watch, struct relay_runner, watch);
	struct destination *destination = destination_get(runner, name);
	destination->transfer_count++; /* so that it stays */
	destination_look_anew(runner, destination);
	if (slice_eq(name, SLICE(QUEUE_HERE))) {
		runner_make_brisk(runner, destination, NULL);
	} else {
		struct hop *hop = hop_get(runner, name);
		runner_make_brisk(runner, destination, hop);
		hop_forget(runner, hop);
	}
	destination->transfer_count--;
	destination_forget(runner, destination);
	timer_start(runner->timer, 0);
}

void relay_runner_look(struct relay_runner *runner)
{
	struct arena arena = { 0 };
	struct slice name = SLICE_NONE;
	struct read *read = read_begin(runner->back->store);
	struct buffer names = { 0 };
	while (queue_next_destination(read, name, &arena, &name))
		buffer_add_block(&names, name);
	runner->looks_again = read_failure(read) != ERR_OK;
	if (runner->looks_again)
		timer_start(runner->look_timer, RUNNER_AGAIN_MS);
	read_end(&read);
	arena_fini(&arena);
	/* Those that have nothing any more notice it themselves when they are due. */
	struct cursor c = cursor_of(buffer_slice(&names));
	while (take_block(&c, &name))
		destination_look_anew(runner, destination_get(runner, name));
	buffer_free(&names);
	timer_start(runner->timer, 0);
}

static void on_look_timer(void *user)
{
	relay_runner_look(user);
}

struct relay_runner *relay_runner_new(struct back *back)
{
	struct relay_runner *runner = heap_alloc(sizeof(*runner));
	runner->back = back;
	runner->timer = timer_new(back->loop, on_timer, runner);
	runner->look_timer = timer_new(back->loop, on_look_timer, runner);
	runner->watch = (struct queue_watch){ .changed = on_changed, .loop = back->loop };
	queue_watch_begin(back->store, &runner->watch);
	runner->daily = daily_new(back);
	runner->given = latest_new(RUNNER_GIVEN_MAX);
	runner->answering = latest_new(RUNNER_ANSWERING_MAX);
	relay_runner_look(runner);
	return runner;
}

void relay_runner_add_channel(struct relay_runner *runner, struct channel *channel)
{
	if (runner->channel_count == ARRAY_LEN(runner->channels))
		return;
	runner->channels[runner->channel_count++] = channel;
	posts_set_channel(daily_posts(runner->daily), runner->channels[0]);
	timer_start(runner->timer, 0);
}

void relay_runner_remove_channel(struct relay_runner *runner, struct channel *channel)
{
	size_t kept = 0;
	for (size_t i = 0; i < runner->channel_count; i++)
		if (runner->channels[i] != channel)
			runner->channels[kept++] = runner->channels[i];
	runner->channel_count = kept;
	posts_set_channel(daily_posts(runner->daily), kept > 0 ? runner->channels[0] : NULL);
	for (size_t i = 0; i < RUNNER_BUCKETS; i++) {
		struct transfer *next;
		for (struct transfer *t = runner->numbers[i]; t; t = next) {
			next = t->next_number;
			if (t->channel == channel)
				transfer_lost(t);
		}
	}
	timer_start(runner->timer, 0);
}

bool relay_runner_message(struct relay_runner *runner, struct channel *channel, uint16_t type,
			  uint32_t conversation, struct slice payload)
{
	struct transfer *transfer = runner->numbers[conversation % RUNNER_BUCKETS];
	if (type == MESSAGE_POLICY)
		return relay_keep_policy(runner, payload);
	if (type == MESSAGE_TLS_RESULT)
		return relay_keep_result(runner, payload);
	if (type == MESSAGE_REPORTED)
		return posts_message(daily_posts(runner->daily), channel, conversation, payload);
	while (transfer && transfer->number != conversation)
		transfer = transfer->next_number;
	/* Nobody but who was given it has a say in it; and it may have an end that the front has not
	 * heard of. */
	if (!transfer || transfer->channel != channel)
		return true;
	switch (type) {
	case MESSAGE_DELIVERED: return transfer_outcome(transfer, payload);
	case MESSAGE_FORM_WANTED: return transfer_want_form(transfer, payload);
	case MESSAGE_DELIVERY_ANSWERED: return transfer_answered(transfer, payload);
	default: return transfer_credit(transfer, payload);
	}
}

void relay_runner_stop(struct relay_runner *runner)
{
	runner->is_stopped = true;
	timer_stop(runner->timer);
	daily_stop(runner->daily);
	timer_stop(runner->look_timer);
}

bool relay_runner_is_idle(const struct relay_runner *runner)
{
	return runner->conversion_count == 0;
}

void relay_runner_free(struct relay_runner **runner_at)
{
	struct relay_runner *runner = *runner_at;
	*runner_at = NULL;
	if (!runner)
		return;
	runner->is_stopped = true;
	queue_watch_end(runner->back->store, &runner->watch);
	timer_free(&runner->timer);
	daily_free(&runner->daily);
	latest_free(&runner->given);
	latest_free(&runner->answering);
	looks_fini(&runner->looks);
	timer_free(&runner->look_timer);
	arena_fini(&runner->arena);
	free(runner->heap);
	destinations_free(runner);
	hops_free(runner);
	free(runner);
}
