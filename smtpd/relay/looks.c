/* smtpd/relay/looks.c - a look through a message for a server that takes less costs its time once, though
 * the server should have left meanwhile, or not take the message today. Runs in the back. */
#include "smtpd/relay/looks_priv.h"

static void drop(struct look *look)
{
	downgrade_free(&look->outcome.plan);
	*look = (struct look){ .blob_id = 0 };
}

static bool is_same(const struct look *look, const struct look *other)
{
	return look->blob_id == other->blob_id && look->start == other->start &&
	       look->form == other->form;
}

void looks_keep(struct looks *looks, const struct look *look, uint64_t now_ms)
{
	struct look *place = &looks->kept[0];
	for (size_t i = 0; i < LOOKS_MAX; i++) {
		struct look *at = &looks->kept[i];
		if (is_same(at, look)) {
			place = at;
			break;
		}
		if (at->kept_ms < place->kept_ms) /* what is free is as old as can be */
			place = at;
	}
	drop(place);
	*place = *look;
	place->kept_ms = now_ms;
	if (place->outcome.plan)
		downgrade_rewind(place->outcome.plan);
}

bool looks_take(struct looks *looks, struct look *look, uint64_t now_ms)
{
	for (size_t i = 0; i < LOOKS_MAX; i++) {
		struct look *at = &looks->kept[i];
		if (!is_same(at, look))
			continue;
		bool is_good = now_ms - at->kept_ms < LOOKS_KEPT_MS;
		if (is_good) {
			look->outcome = at->outcome;
			at->outcome.plan = NULL;
		}
		drop(at);
		return is_good;
	}
	return false;
}

void looks_fini(struct looks *looks)
{
	for (size_t i = 0; i < LOOKS_MAX; i++)
		drop(&looks->kept[i]);
}
