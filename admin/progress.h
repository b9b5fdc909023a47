/* admin/progress.h - how far a long command has come, on standard error: a bar that redraws
 * itself on a terminal, now and then a plain line otherwise. One thread; one at a time. */
#pragma once

#include <stdint.h>

#include "base/attributes.h"

enum progress_unit {
	PROGRESS_OCTETS, /* shown as "1.5 GiB of 3.0 GiB" */
	PROGRESS_ITEMS,	 /* shown as "1500 of 3000 messages", with the word given */
};

struct progress;
/* `command` heads every line ("verify"); both texts stay the caller's. Nothing is shown before
 * the first phase. */
struct progress *progress_new(const char *command);
/* A new phase begins at 0: "bodies", in octets, or "messages" counted in `word`s. The total may
 * be an estimate, and 0 where it is not known. `word` may be NULL for octets. */
void progress_phase(struct progress *progress, const char *phase, enum progress_unit unit,
		    const char *word, uint64_t total);
/* So much of the phase is done by now; cheap, call it as often as you like. */
void progress_set(struct progress *progress, uint64_t done);
void progress_add(struct progress *progress, uint64_t more);
/* The estimate has become better. */
void progress_total(struct progress *progress, uint64_t total);
/* Takes the bar away, so that other lines may be written; the next call of progress_set() draws
 * it again. */
void progress_hide(struct progress *progress);
/* Ends the last phase, frees. Every function accepts NULL (or NULL in it) and does nothing then:
 * a command that shall be silent has no progress. */
void progress_free(struct progress **progress);
