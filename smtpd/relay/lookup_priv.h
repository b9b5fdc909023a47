/* smtpd/relay/lookup_priv.h - how long mail that leaves waits for DNS: for one answer, whatever was
 * asked. In the front. */
#pragma once

enum { LOOKUP_MS = 20 * 1000 };
