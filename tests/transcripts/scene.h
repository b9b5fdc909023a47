/* tests/transcripts/scene.h - what `given` lines set up and `then` lines check. */
#pragma once

#include "tests/transcripts/expectation.h"
#include "tests/transcripts/world.h"

/* "config" and "time" lines come before the world: run.c reads those. All of these say on
 * standard output, as TAP comments, what is wrong. */
bool scene_given(struct world *world, const struct line *line);
bool scene_then(struct world *world, const struct line *line, struct names *names);
/* "2026-01-02T03:04:05Z" or Unix seconds; sets the clock of the tests. */
bool scene_set_time(struct slice text);

/* scene_rights.c; `c` behind the word that says what is given */
bool given_shared_account(struct world *world, struct cursor c);
bool given_administrator(struct world *world, struct cursor c);
bool given_rights(struct world *world, struct cursor c);

/* The words of a line, one after another. */
bool take_scene_word(struct cursor *c, struct slice *word_out);
bool take_this_word(struct cursor *c, const char *want);
/* Whether a write worked; else what the store said is told. */
bool scene_wrote(enum err err);
