/* serve/back_priv.h - the back's role, and what its parts share. For this room alone. */
#pragma once

#include "serve/child_priv.h"

extern const struct child_class back_class;
