/* smtpd/relay/given_priv.h - the domains that mail was given to the front for lately. Values only. */
#pragma once

#include "base/slice.h"

struct given;
/* The `max` latest. */
struct given *given_new(size_t max);
void given_add(struct given *given, struct slice domain);
bool given_has(struct given *given, struct slice domain);
/* Accepts NULL, leaves NULL. */
void given_free(struct given **given);
