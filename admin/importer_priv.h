/* admin/importer_priv.h - inside the importer: its state, and the jobs it waits for. */
#pragma once

#include "admin/importer.h"
#include "admin/progress.h"

struct import_target {
	struct import_target *next;
	struct slice name;
	uint64_t mailbox_id;
	bool keeps_uids;
	uint32_t uidnext; /* of the source */
	uint64_t imported, already, skipped;
};

struct importer {
	struct admin *admin;
	struct loop *loop;
	struct progress *progress;
	uint32_t account_id;
	uint64_t inbox_id;
	const char *user, *into;
	bool json, is_over;
	struct arena arena; /* targets */
	struct import_target *targets, **targets_end;
	uint64_t skipped, expected;
	uint64_t way_octets;
	unsigned way_messages;
	uint64_t notified_ms;
	struct import_item *held, **held_end; /* whole, and not yet with the writer */
	unsigned held_count;
	uint64_t held_since_ms;
};

/* A job whose end is waited for. */
struct import_wait {
	struct job job;
	struct importer *importer;
	bool is_done;
	const struct import_mailbox *mailbox; /* what to open */
	struct slice name;
	bool follows_use;
	/* results */
	uint64_t mailbox_id;
	bool keeps_uids;
	/* what to raise */
	uint32_t uidnext;
};

/* Runs it in order with what was submitted, and waits. */
enum err importer_run(struct importer *importer, struct import_wait *waiting,
		      enum err (*run)(struct write *write, struct job *job));
/* Waits for something to come home: nothing is held back meanwhile. */
void importer_wait(struct importer *importer);
/* Waits for every message under way. */
void importer_drain(struct importer *importer);
/* The store's error ends the run. */
void importer_fail_store(struct importer *importer, enum err err);
/* What is held goes to the writer. */
void importer_submit_held(struct importer *importer);
