/* storage/commit_delay_priv.h - how long a batch waits for those whom the last one answered.
 *
 * Clients that were answered together come back together. To wait for all of them makes one commit of two: that pays
 * where the disk is slower than they are. Where they are slower, the commit of those who are there is made meanwhile, and
 * two crowds take turns. Times are microseconds of one clock. Any thread, under the writer's lock. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct commit_delay {
	size_t answered, arrived; /* by the last batch; since then */
	uint64_t batch_us;	  /* what that batch took */
	uint64_t answered_us;	  /* when */
	uint64_t turn_us;	  /* from an answer until as many came as it had answered */
};

void commit_delay_answered(struct commit_delay *delay, uint64_t now_us, uint64_t batch_us,
			   size_t jobs);
/* A job has come. True: it is the last of as many as were answered. */
bool commit_delay_arrived(struct commit_delay *delay, uint64_t now_us);
bool commit_delay_is_over(const struct commit_delay *delay);
/* Where there is a job: when to commit it at the latest, unless commit_delay_is_over() before. 0: now. */
uint64_t commit_delay_until_us(const struct commit_delay *delay);
