/* runtime/exempt.h - [limits] exempt, ready for asking. Constant once made: any thread. */
#pragma once

#include "base/config.h"
#include "runtime/peer.h"

struct exempt;
struct exempt *exempt_new(const struct config *config);
bool exempt_contains(const struct exempt *exempt, const struct peer *peer);
void exempt_free(struct exempt **exempt); /* accepts NULL, leaves NULL */
