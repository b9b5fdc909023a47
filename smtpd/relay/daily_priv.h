/* smtpd/relay/daily_priv.h - what is done once a day about domains elsewhere: reports about TLS go out,
 * and what is past its time is forgotten. On one loop of the back. */
#pragma once

#include "storage/back.h"

struct daily;
struct daily *daily_new(struct back *back);
/* What is due now; otherwise it is looked at every hour. */
void daily_run(struct daily *daily);
/* Those that go to web servers. */
struct posts *daily_posts(struct daily *daily);
/* Nothing more is begun. */
void daily_stop(struct daily *daily);
/* After the loop has ended. Accepts NULL, leaves NULL. */
void daily_free(struct daily **daily);
