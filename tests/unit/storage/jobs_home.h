/* tests/unit/storage/jobs_home.h - before a loop and its store end: every job that was handed to the writer
 * has come home, however long the disk takes. */
#pragma once

#include "runtime/loop.h"
#include "storage/store.h"

struct last_job {
	struct job job;
	bool is_home;
};

static inline enum err last_job_run(struct write *write, struct job *job)
{
	return ERR_OK;
}

static inline void last_job_done(struct job *job)
{
	((struct last_job *)job)->is_home = true; /* its first member */
}

/* Jobs come home in the order they were handed in. One that does may hand in another: an intake that was
 * freed before its chunks were written has them abandoned then. So twice. */
static inline void jobs_home(struct store *store, struct loop *loop)
{
	for (int round = 0; round < 2; round++) {
		struct last_job last = {
			.job = { .run = last_job_run, .done = last_job_done, .loop = loop },
		};
		store_submit(store, &last.job);
		while (!last.is_home)
			loop_run_once(loop, 1000);
	}
}
