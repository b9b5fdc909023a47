/* smtpd/relay/posts_priv.h - reports about TLS that web servers want (RFC 8460 section 5.4): given to
 * the front, and again where that failed, for a day (section 5.5). In memory alone: who ends in the
 * middle forgets them. On one loop of the back. */
#pragma once

#include "mda/tls_report.h"
#include "runtime/channel.h"
#include "storage/back.h"
#include "trust/tlsrpt.h"

struct posts;
struct posts *posts_new(struct back *back);
/* The report is found again behind `before` (tls_report_next()). All is copied. */
void posts_add(struct posts *posts, const struct tls_report *report,
	       const struct remote_place *before, const struct tlsrpt_uri *uri);
/* By which they go from now on; NULL: by none. What was under way through another is tried again. */
void posts_set_channel(struct posts *posts, struct channel *channel);
/* MESSAGE_REPORTED. False: it breaks the rules. */
bool posts_message(struct posts *posts, struct channel *channel, uint32_t conversation,
		   struct slice payload);
/* Nothing more is begun. */
void posts_stop(struct posts *posts);
/* Accepts NULL, leaves NULL. */
void posts_free(struct posts **posts);
