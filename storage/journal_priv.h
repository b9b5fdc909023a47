/* storage/journal_priv.h - the journal, as the writer sees it. */
#pragma once

#include "storage/journal.h"
#include "storage/store_priv.h"

void journal_bounds(struct store *store, unsigned *days_out, uint64_t *size_octets_out);
struct journal *journal_new(void);
void journal_free(struct journal **journal);
/* Right before the commit: what the batch noted, and what was told meanwhile. */
enum err journal_flush(struct write *write) MUST_USE;
/* The batch is on the disk. */
void journal_committed(struct write *write);
/* The batch came to nothing: what was told waits for the next. */
void journal_give_back(struct write *write);
/* What was told and no batch has taken along goes in one of its own. */
void journal_serve(struct store *store);
/* At the end, when the writer has stopped. */
void journal_finish(struct store *store);
