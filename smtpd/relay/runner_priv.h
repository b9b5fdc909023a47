/* smtpd/relay/runner_priv.h - the runner of the queue: what it knows of destinations, and what is
 * under way. On one loop of the back. */
#pragma once

#include "base/arena.h"
#include "mail/downgrade.h"
#include "mda/filing.h"
#include "mda/release.h"
#include "mda/report.h"
#include "runtime/delivery.h"
#include "smtpd/relay/daily_priv.h"
#include "smtpd/relay/hop_pace_priv.h"
#include "smtpd/relay/latest_priv.h"
#include "smtpd/relay/looks_priv.h"
#include "smtpd/relay/relay.h"
#include "smtpd/relay/route_priv.h"
#include "storage/back.h"
#include "storage/queue.h"

enum {
	RUNNER_DELIVERIES_MAX = 200, /* under way, to all destinations together */
	RUNNER_BRISK_RESERVE = 50,   /* of them, for those that are brisk; half for the proven */
	RUNNER_BRISK_MS = 5000,
	RUNNER_BUCKETS = 4096,
	RUNNER_AGAIN_MS = 5000,	 /* after the store has failed, or lacked an entry that is due */
	RUNNER_GIVEN_MAX = 4096, /* domains that the front may tell something of */
	RUNNER_NOTES_MAX = 200,	 /* of what it tells, on their way to the disk */
	RUNNER_ANSWERING_MAX = 4096, /* places that need no probe */
	RUNNER_HOPS_MAX = 4096, /* above that, troubles of those with nothing to do are forgotten */
};

struct hop;

/* A domain that the queue has something for that is not held. */
struct destination {
	struct destination *next;      /* in its bucket */
	struct destination *waits_for; /* the next one that waits for the same hop */
	struct slice name;
	int64_t due_unix_ms;	     /* of its first entry that is not under way; INT64_MAX: none */
	int64_t rests_until_unix_ms; /* the store has failed to say what there is */
	size_t place;		     /* in the heap, from 1; 0: not there */
	/* All that come before it, and it, are under way: the next is looked for behind it. */
	struct queue_place passed;
	struct transfer *transfers; /* under way, or damaged */
	unsigned transfer_count;
	bool is_waiting;		/* in its hop's list */
	bool is_brisk;			/* in one of the runner's lists of what goes first */
	struct destination *next_brisk; /* there */
	uint64_t brisk_since_ms;
};

/* Where mail of one or more destinations goes. */
struct hop {
	struct hop *next; /* in its bucket */
	struct slice key;
	struct hop_pace pace;
	unsigned under_way;
	struct destination *first_waiting, **last_waiting;
	struct buffer trouble; /* the last one, in words */
};

/* One entry: on its way, or what came of it on its way to the disk. */
struct transfer {
	struct relay_runner *runner;
	struct transfer *next, *previous;	   /* of the destination */
	struct transfer *next_number, **number_at; /* in the runner's table */
	struct destination *destination;
	struct hop *hop;	 /* NULL: not counted there (any more) */
	struct channel *channel; /* NULL: it has its outcome */
	uint32_t number;	 /* conversation */
	struct arena arena;
	struct queue_entry entry;
	int64_t began_unix_ms; /* its next_unix_ms as it was found */
	bool is_damaged;       /* it cannot be read, so nothing is under way */

	bool tls_optional; /* its header says so */

	/* Content. */
	uint64_t blob_start, blob_at, blob_end; /* all of it; what was not sent yet */
	uint64_t window_octets;
	enum envelope_body form;
	unsigned forms_wanted;
	struct conversion *conversion; /* it is being looked at for a lesser form */
	struct look look;	 /* what it was found to be; with a plan it is sent converted */
	struct buffer converted; /* and not sent yet */

	struct release *release; /* of an entry for addresses here; else NULL */

	/* What came of it. */
	struct report_recipient *told; /* what the sender hears */
	size_t told_count;
	struct report_recipient *journal; /* what the journal hears: everything */
	size_t journal_count;
	struct slice remote;
	bool is_done;	    /* no recipient is left */
	bool is_gone;	    /* from the disk: so is its place */
	bool is_unreported; /* the report cannot be filed: without it then */
	struct filing *filing;
	struct job job;
	struct timer *again; /* after the store has failed */
};

struct relay_runner {
	struct back *back;
	struct queue_watch watch;
	struct timer *timer;
	struct daily *daily;
	bool looks_again; /* the store has failed to say which destinations there are: */
	struct timer *look_timer;
	struct destination *destinations[RUNNER_BUCKETS];
	struct hop *hops[RUNNER_BUCKETS];
	size_t hop_count, hops_left; /* how many there are, and were when troubles were forgotten */
	struct destination **heap;   /* by due_unix_ms, from 1 */
	size_t heap_count, heap_cap;
	/* What goes before the heap, which it is in as well: where the hop answers; what came just
	 * now. */
	struct destination *proven, *newcomers;
	struct transfer *numbers[RUNNER_BUCKETS];
	uint32_t last_number;
	unsigned transfer_count;
	unsigned conversion_count; /* on the worker pool */
	struct looks looks;	   /* what came of them, and may be needed again */
	struct channel *channels[64];
	size_t channel_count;
	struct latest *given;	  /* domains that mail was given to the front for */
	struct latest *answering; /* places that have answered, with nothing under way there now */
	unsigned note_count;	  /* memory.c's, under way */
	bool has_dropped;	  /* notes, since the last one that found room */
	bool is_stopped;
	struct arena arena; /* of one piece of work */
};

/* due.c: puts it into the heap, by when it is due, or takes it out; wherever it was. */
void due_put(struct relay_runner *runner, struct destination *destination);
void due_remove(struct relay_runner *runner, struct destination *destination);

/* destination.c */
struct destination *destination_get(struct relay_runner *runner, struct slice name);
/* With nothing waiting and nothing under way it is freed. */
void destination_forget(struct relay_runner *runner, struct destination *destination);
/* The first entry that is not under way, of the highest priority that is due; else the one that is due
 * first. False: there is none. */
bool destination_next(struct destination *destination, struct read *read, int64_t now_unix_ms,
		      struct queue_place *place_out);
/* Its due time anew, from the store; then as destination_forget(). */
void destination_refresh(struct relay_runner *runner, struct destination *destination);
/* Likewise, when entries came or changed, wherever they stand. */
void destination_look_anew(struct relay_runner *runner, struct destination *destination);
void destinations_free(struct relay_runner *runner);

/* hop.c */
/* Where mail for a destination goes. With nothing under way or waiting it stays until the next call. */
struct hop *hop_get(struct relay_runner *runner, struct slice destination);
/* With nothing under way or waiting it is freed, unless it has troubles, which are remembered. */
void hop_forget(struct relay_runner *runner, struct hop *hop);
/* As much is under way there as may be. */
bool hop_is_full(const struct hop *hop, int64_t now_unix_ms);
/* The destination waits until the hop may have more. */
void hop_wait(struct relay_runner *runner, struct destination *destination, struct hop *hop);
/* The turn comes to those who wait: as many as there is room for; all of them where they are only to be
 * put off. One that comes to nothing has to have this called again. */
void hop_release_waiting(struct relay_runner *runner, struct hop *hop);
/* It has taken a recipient of what is under way. */
void hop_answered(struct relay_runner *runner, struct hop *hop);
/* A transfer leaves its hop, which may be gone afterwards; who waited there has its turn. */
void hop_leave(struct transfer *transfer);
void hops_free(struct relay_runner *runner);

/* runner.c */
size_t runner_bucket_of(struct slice name);
/* To be looked at before others that are due. `hop` NULL: addresses here. */
void runner_make_brisk(struct relay_runner *runner, struct destination *destination,
		       const struct hop *hop);
void runner_dispatch(struct relay_runner *runner);
void runner_end_transfer(struct transfer *transfer);

/* memory.c */
/* How well the way to a domain has to be secured, as it has been before; and what has proven it. */
enum tls_level relay_known_level(const struct back *back, struct read *read, struct slice domain,
				 enum tls_policy_kind *known_by_out);
/* MESSAGE_POLICY: kept, and given with each message for that domain. False: it breaks the rules. */
bool relay_keep_policy(struct relay_runner *runner, struct slice payload);
/* MESSAGE_TLS_RESULT: remembered and counted. Likewise. */
bool relay_keep_result(struct relay_runner *runner, struct slice payload);

/* transfer.c: gives an entry to the front. */
void transfer_begin(struct transfer *transfer, struct channel *channel);
/* Nothing was heard of it, and will not be. */
void transfer_lost(struct transfer *transfer);
bool transfer_outcome(struct transfer *transfer, struct slice payload);
/* Its first recipient was taken, where nothing was known of the hop. */
bool transfer_answered(struct transfer *transfer, struct slice payload);
bool transfer_credit(struct transfer *transfer, struct slice payload);
/* The store does not give it. */
void transfer_unreadable(struct transfer *transfer, enum err err);
/* Its content from the beginning, as far as the window goes. */
void transfer_send_anew(struct transfer *transfer);

/* form.c: its content in the form that a server takes, where that is a lesser one. */
enum envelope_body transfer_stored_form(const struct transfer *transfer);
bool transfer_want_form(struct transfer *transfer, struct slice payload);
/* More of what is converted, into transfer->converted; nothing at the end. */
enum err transfer_convert(struct transfer *transfer);
/* The transfer ends: what is known of its content is kept for the next attempt. */
void transfer_leave_form(struct transfer *transfer);
/* What was done to it, for the journal; empty: nothing. */
struct slice transfer_conversion_words(const struct transfer *transfer);

/* here.c: an entry for addresses here, into their mailboxes. */
void transfer_release(struct transfer *transfer);

/* settlement.c: what came of it, for each recipient, into the store. */
struct settled {
	enum delivery_verdict verdict;
	uint16_t code;
	struct slice status, words;
	bool is_reply;
};
struct settlement {
	const struct settled *recipients; /* as many as the entry has */
	struct slice remote;
	bool passed_dsn, passed_deliver_by, is_final, is_uncertain;
};
/* Whether the sender of one that is held has to hear of it by now. */
void transfer_settle_held(struct transfer *transfer);
void transfer_settle(struct transfer *transfer, const struct settlement *settlement);
/* All recipients alike, without an attempt. */
void transfer_settle_all(struct transfer *transfer, enum delivery_verdict verdict,
			 const char *status, struct slice words);
