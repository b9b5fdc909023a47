/* storage/commit_delay.c - how long a batch waits for those whom the last one answered. Runs in the back. */
#include "storage/commit_delay_priv.h"

enum {
	DELAY_FRACTION = 2, /* of what the last batch took */
	DELAY_MAX_US = 10000,
};

void commit_delay_answered(struct commit_delay *delay, uint64_t now_us, uint64_t batch_us,
			   size_t jobs)
{
	/* Who has not come back by now takes that long at least. */
	if (delay->arrived < delay->answered && now_us - delay->answered_us > delay->turn_us)
		delay->turn_us = now_us - delay->answered_us;
	delay->answered = jobs;
	delay->arrived = 0;
	delay->batch_us = batch_us;
	delay->answered_us = now_us;
}

bool commit_delay_arrived(struct commit_delay *delay, uint64_t now_us)
{
	bool is_last = ++delay->arrived == delay->answered;
	if (is_last)
		delay->turn_us = now_us - delay->answered_us;
	return is_last;
}

bool commit_delay_is_over(const struct commit_delay *delay)
{
	return delay->arrived >= delay->answered;
}

uint64_t commit_delay_until_us(const struct commit_delay *delay)
{
	uint64_t patience_us = delay->batch_us / DELAY_FRACTION;
	if (patience_us > DELAY_MAX_US)
		patience_us = DELAY_MAX_US;
	bool waits = delay->answered > 1 && delay->turn_us <= patience_us &&
		     !commit_delay_is_over(delay);
	return waits ? delay->answered_us + patience_us : 0;
}
