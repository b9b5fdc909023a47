/* runtime/dial.h - a connection to somewhere else, for commands: it waits. */
#pragma once

#include <stdint.h>

#include "base/attributes.h"

/* Tries all addresses of `host` in turn, each for at most `timeout_ms`. Returns a connected socket,
 * or -1: `why_out` says why in words, static text or until the next call on this thread. */
int dial_tcp(const char *host, uint16_t port, unsigned timeout_ms, const char **why_out) MUST_USE;
