/* storage/stretch_priv.h - a stretch of a database whose rows are put anew, so that they fill
 * their pages. */
#pragma once

#include "storage/store_priv.h"

struct stretch {
	enum database db;
	struct key from, end; /* its first row, and the first behind it; end.len 0: there is none */
	uint64_t rows;
	uint64_t leaves;       /* pages that hold its rows, */
	uint64_t leaves_least; /* and as many would do */
	uint64_t pages;	       /* with those of large values */
};
/* In a plain read. The leaves from the row at or after `from` on, as many as one small transaction may put anew.
 * False: there are no more rows, or they cannot be read (read->failure). */
bool stretch_look(struct read *read, enum database db, struct slice from, struct stretch *out);
/* Whether putting it anew gains anything worth it. */
bool stretch_is_loose(const struct stretch *stretch);
/* Deletes what is there by now between `from` and `end` and puts it again, in full pages. */
enum err stretch_pack(struct write *write, const struct stretch *stretch) MUST_USE;
