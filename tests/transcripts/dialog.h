/* tests/transcripts/dialog.h - plays one transcript against one world. */
#pragma once

#include "tests/transcripts/scene.h"

/* How what a client sends reaches the server. The outcome must be the same. */
enum cutting {
	CUT_NOT,    /* what the client says between two replies, in one piece */
	CUT_OCTETS, /* one octet at a time, each read before the next is sent */
	CUT_RANDOM,
	CUTTING_COUNT,
};

/* False: said on standard output what went wrong, where, after which lines. */
bool dialog_play(const struct transcript *transcript, enum cutting cutting, unsigned seed,
		 const struct world_identity *identity, const char *dir,
		 enum config_service service);
