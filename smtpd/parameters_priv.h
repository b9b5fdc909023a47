/* smtpd/parameters_priv.h - parameters with a grammar of their own: what they take, and where it
 * goes. For this room alone. */
#pragma once

#include "base/arena.h"
#include "runtime/envelope.h"

/* What MAIL says besides the reverse-path. */
struct mail_parameters {
	uint64_t size_octets;	  /* declared; 0: not */
	struct envelope envelope; /* what they say of it; slices point into the line */
};

enum {
	/* FUTURERELEASE: how far ahead, in seconds. A month, as calendars think of it. */
	HOLD_MAX_SECONDS = 31 * 24 * 3600,
};

/* Each takes a value, which is empty where there is none, into a struct mail_parameters or, those
 * of RCPT, a struct envelope_recipient. False: it is not well-formed, or out of bounds. */
/* dsn.c */
bool take_dsn_ret(struct slice value, struct arena *arena, void *mail);
bool take_dsn_envid(struct slice value, struct arena *arena, void *mail);
bool take_dsn_notify(struct slice value, struct arena *arena, void *recipient);
bool take_dsn_orcpt(struct slice value, struct arena *arena, void *recipient);
/* schedule.c */
bool take_hold_for(struct slice value, struct arena *arena, void *mail);
bool take_hold_until(struct slice value, struct arena *arena, void *mail);
bool take_deliver_by(struct slice value, struct arena *arena, void *mail);
bool take_priority(struct slice value, struct arena *arena, void *mail);
