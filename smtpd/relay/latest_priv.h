/* smtpd/relay/latest_priv.h - names that have come up lately, so many of them: the domains that mail was
 * given to the front for, the places that have answered. Values only. */
#pragma once

#include "base/slice.h"

struct latest;
/* The `max` latest. */
struct latest *latest_new(size_t max);
void latest_add(struct latest *latest, struct slice name);
bool latest_has(struct latest *latest, struct slice name);
/* Accepts NULL, leaves NULL. */
void latest_free(struct latest **latest);
