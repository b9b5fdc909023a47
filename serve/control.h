/* serve/control.h - how the admin's process wakes a running server after its writes. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Tells the server of `state_dir`, if one is running, that something of this account has changed:
 * its sessions look. Never waits and never fails: who is not told sees the change with the next
 * look at the store. */
void control_notify_account(const char *state_dir, uint32_t account_id);
/* The same where it is known that no more than lists of rights have changed: those of its mailboxes, or what
 * they give to it (ACL_ANYONE: to all). */
void control_notify_rights(const char *state_dir, uint32_t account_id);
/* Tells it that the queue has changed. */
void control_notify_queue(const char *state_dir);
/* Whether a server of `state_dir` runs. */
bool control_is_served(const char *state_dir);
