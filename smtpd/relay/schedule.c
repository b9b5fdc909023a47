/* smtpd/relay/schedule.c - waits between attempts (RFC 5321 section 4.5.4.1), DELIVERBY (RFC 2852
 * section 4), FUTURERELEASE (RFC 4865: time runs from the release on). Runs in the back. */
#include "smtpd/relay/schedule_priv.h"

int64_t schedule_expires_unix(const struct config *config, const struct queue_entry *entry)
{
	const struct envelope *envelope = &entry->envelope;
	int64_t expires = queue_start_unix(entry) + config->expire_seconds;
	if (envelope->deliver_by == DELIVER_BY_RETURN && envelope->deliver_by_unix < expires)
		return envelope->deliver_by_unix;
	return expires;
}

int64_t schedule_warns_unix(const struct config *config, const struct queue_entry *entry)
{
	const struct envelope *envelope = &entry->envelope;
	if (envelope->deliver_by == DELIVER_BY_NOTIFY)
		return envelope->deliver_by_unix;
	return config->warn_after_seconds == 0
		       ? INT64_MAX
		       : queue_start_unix(entry) + config->warn_after_seconds;
}

bool schedule_is_too_late(const struct queue_entry *entry, int64_t now_unix)
{
	return entry->envelope.deliver_by == DELIVER_BY_RETURN &&
	       now_unix >= entry->envelope.deliver_by_unix;
}

int64_t schedule_held_unix_ms(const struct config *config, const struct queue_entry *entry)
{
	int64_t warns = schedule_warns_unix(config, entry);
	int64_t expires = schedule_expires_unix(config, entry);
	return (entry->was_warned || expires < warns ? expires : warns) * 1000;
}

int64_t schedule_next_unix_ms(const struct config *config, const struct queue_entry *entry,
			      int64_t now_unix_ms, uint32_t dice)
{
	size_t at = entry->attempts_made > 0 ? entry->attempts_made - 1 : 0;
	if (at >= config->retry_count)
		at = config->retry_count - 1;
	int64_t wait_ms = (int64_t)config->retry_seconds[at] * 1000;
	wait_ms += wait_ms / 10 * ((int64_t)(dice % 2001) - 1000) / 1000;
	int64_t next = now_unix_ms + wait_ms;
	int64_t expires_ms = schedule_expires_unix(config, entry) * 1000;
	/* The last attempt is at the very end. */
	if (next >= expires_ms && expires_ms > now_unix_ms)
		next = expires_ms;
	/* Who has named a moment hears of it then. */
	int64_t told_ms = entry->envelope.deliver_by_unix * 1000;
	if (entry->envelope.deliver_by == DELIVER_BY_NOTIFY && !entry->was_warned &&
	    next > told_ms && told_ms > now_unix_ms)
		next = told_ms;
	return next;
}
