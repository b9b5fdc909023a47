/* serve/control.h - how the admin's process wakes a running server after its writes. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Tells the server of `state_dir`, if one is running, that something of this account has changed:
 * its sessions look. Never waits and never fails: who is not told sees the change with the next
 * look at the store. */
void control_notify_account(const char *state_dir, uint32_t account_id);
/* Tells it that the queue has changed. */
void control_notify_queue(const char *state_dir);
/* Whether a server of `state_dir` runs. */
bool control_is_served(const char *state_dir);
