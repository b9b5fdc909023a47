/* storage/journal_gather_priv.h - events that wait for the next batch. Any thread. */
#pragma once

#include "runtime/journal_event.h"
#include "storage/store_priv.h"

struct gather;
struct gather *gather_new(void);
void gather_free(struct gather **gather);
/* `event` has its time. `days` and `size_octets` are the journal's bounds. True: it is the first
 * that waits. */
bool gather_add(struct gather *gather, const struct journal_event *event, unsigned days,
		uint64_t size_octets);
/* Whether anything waits; what is over by now is counted up. */
bool gather_has_any(struct gather *gather);
/* All that waits, each be16 length and octets; the caller's from now on. */
struct buffer gather_take(struct gather *gather);
/* The batch came to nothing. Leaves `events` empty. */
void gather_give_back(struct gather *gather, struct buffer *events);
/* What is only counted so far becomes events: at the end. */
void gather_finish(struct gather *gather);
