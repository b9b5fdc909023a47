/* storage/back.h - what a protocol needs on one loop of the back. */
#pragma once

#include "base/config.h"
#include "storage/store.h"

struct back {
	struct loop *loop;
	struct store *store;
	const struct config *config; /* replaced at a reload: read it when needed */
};
