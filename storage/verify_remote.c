/* storage/verify_remote.c - what is remembered of domains elsewhere: rows that can be read. Runs in the
 * admin's process. */
#include "storage/remote_priv.h"
#include "storage/verify_priv.h"

void verify_remote(struct verify *v)
{
	struct verify_walk walk;
	verify_walk_begin(&walk, v, DB_REMOTE);
	while (verify_walk_next(&walk, VERIFY_ROW_COST)) {
		bool is_good = remote_row_is_good(walk.row.key, walk.row.value);
		verify_advance(v, 1);
		if (!is_good) {
			struct verify_place place = { 0 };
			struct fix fix = { .run = fix_delete_row, .db = DB_REMOTE };
			fix.key = arena_copy(&v->arena, walk.row.key);
			fix.value = arena_copy(&v->arena, walk.row.value);
			verify_walk_pause(&walk);
			verify_tell(v, WRONG_REMOTE, &place, &fix,
				    "a row of what is known of a domain elsewhere cannot be read");
		}
		arena_reset(&v->arena);
	}
	verify_walk_end(&walk);
	verify_pause(v);
}
