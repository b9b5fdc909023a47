/* runtime/race.c - attempts that overlap; the first connection wins, the others are dropped. */
#include "runtime/race.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/heap.h"

struct attempt {
	struct race *race;
	struct connector *connector; /* NULL: not begun, or over */
};

struct race {
	struct loop *loop;
	struct timer *timer; /* until the next attempt */
	struct peer addresses[RACE_ADDRESSES_MAX];
	struct attempt attempts[RACE_ADDRESSES_MAX];
	size_t count, begun, open;
	uint64_t timeout_ms;
	uint32_t failed;
	int error;
	void (*raced)(void *user, const struct race_result *result);
	void *user;
};

static void begin_next(struct race *race);

static void destroy(struct race *race)
{
	for (size_t i = 0; i < race->begun; i++)
		connector_cancel(&race->attempts[i].connector);
	timer_free(&race->timer);
	free(race);
}

static void finish(struct race *race, int fd, size_t at)
{
	const struct race_result result = {
		.fd = fd, .at = at, .error = race->error, .failed = race->failed
	};
	void (*raced)(void *user, const struct race_result *result) = race->raced;
	void *user = race->user;
	destroy(race);
	raced(user, &result);
}

static void on_connected(void *user, int fd, int error)
{
	struct attempt *attempt = user;
	struct race *race = attempt->race;
	size_t at = (size_t)(attempt - race->attempts);
	attempt->connector = NULL;
	race->open--;
	if (fd >= 0) {
		finish(race, fd, at);
		return;
	}
	race->failed |= UINT32_C(1) << at;
	race->error = error;
	if (race->begun < race->count)
		begin_next(race);
	else if (race->open == 0)
		finish(race, -1, 0);
}

static void on_delay(void *user)
{
	begin_next(user);
}

static void begin_next(struct race *race)
{
	struct attempt *attempt = &race->attempts[race->begun];
	const struct peer *to = &race->addresses[race->begun++];
	attempt->race = race;
	race->open++;
	attempt->connector = connector_new(race->loop, to, race->timeout_ms, on_connected, attempt);
	if (race->begun < race->count)
		timer_start(race->timer, RACE_DELAY_MS);
	else
		timer_stop(race->timer);
}

struct race *race_new(struct loop *loop, const struct peer *addresses, size_t count,
		      uint64_t timeout_ms,
		      void (*raced)(void *user, const struct race_result *result), void *user)
{
	assert(count > 0 && count <= RACE_ADDRESSES_MAX);
	struct race *race = heap_alloc(sizeof(*race));
	race->loop = loop;
	memcpy(race->addresses, addresses, count * sizeof(*addresses));
	race->count = count;
	race->timeout_ms = timeout_ms;
	race->raced = raced;
	race->user = user;
	race->timer = timer_new(loop, on_delay, race);
	begin_next(race);
	return race;
}

void race_cancel(struct race **race)
{
	if (*race)
		destroy(*race);
	*race = NULL;
}
