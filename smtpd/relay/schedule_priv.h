/* smtpd/relay/schedule_priv.h - when what could not be delivered is tried again, when its sender is
 * told, and when it goes back. Values only. */
#pragma once

#include "base/config.h"
#include "storage/queue.h"

/* After `entry->attempts_made` attempts: the configuration's wait for that many, a tenth more or
 * less by `dice`, and never beyond the moment when the entry expires. */
int64_t schedule_next_unix_ms(const struct config *config, const struct queue_entry *entry,
			      int64_t now_unix_ms, uint32_t dice);
/* When the sender of one that is held has to be told something: that it is late, or never comes. */
int64_t schedule_held_unix_ms(const struct config *config, const struct queue_entry *entry);
/* When it is given back; DELIVERBY may have it sooner (RFC 2852). */
int64_t schedule_expires_unix(const struct config *config, const struct queue_entry *entry);
/* DELIVERBY has it back rather than delivered so late: it is not tried any more. */
bool schedule_is_too_late(const struct queue_entry *entry, int64_t now_unix);
/* When the sender is told that it is late; INT64_MAX: never. DELIVERBY may name the moment. */
int64_t schedule_warns_unix(const struct config *config, const struct queue_entry *entry);
