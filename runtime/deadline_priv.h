/* runtime/deadline_priv.h - the heap of deadlines of a loop; see struct deadline. */
#pragma once

#include "runtime/loop_priv.h"

void deadlines_init(struct loop *loop);
void deadlines_fini(struct loop *loop);
