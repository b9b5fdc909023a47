/* admin/why_priv.h - what `bode why` has found: the lives of messages and connections. */
#pragma once

#include <stdio.h>

#include "admin/admin_priv.h"
#include "storage/journal.h"

enum { LIFE_EVENTS_MAX = 500 };

/* A message's, a connection's, or a single event that belongs to neither. */
struct life {
	enum { LIFE_MESSAGE, LIFE_CONNECTION, LIFE_EVENT } kind;
	uint64_t number;	      /* blob, or connection */
	struct journal_event *events; /* in order of time; slices in the arena */
	size_t count, cap;
	bool is_cut; /* its oldest events are left out */
};

/* Where a message is now. */
enum whereabouts { WHEREABOUTS_THERE, WHEREABOUTS_GONE, WHEREABOUTS_UNKNOWN };

/* Names of what an event has numbers of; in the arena, empty where it is gone. */
struct filed_place {
	struct slice login, mailbox;
	enum whereabouts whereabouts;
};
void why_look_up(struct read *read, struct arena *arena, const struct journal_event *event,
		 struct filed_place *place_out);

/* why_words.c: for people, in local time. */
void why_print(struct read *read, struct arena *arena, const struct life *life, FILE *out);
/* One event in words, without its time. */
void why_words(struct read *read, struct arena *arena, const struct life *life,
	       const struct journal_event *event, struct buffer *out);
/* "smtp-4f2a", as in the log. */
void why_add_connection(struct buffer *out, const struct journal_event *event);
/* "received", "filed", ... */
const char *why_kind(enum journal_kind kind);
