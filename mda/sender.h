/* mda/sender.h - who sends a message, as far as it matters for where it may go. Runs in the back
 * and in the admin's process. */
#pragma once

#include "base/config.h"
#include "base/slice.h"

struct sender {
	const struct config *config;
	struct slice reverse_path; /* without angle brackets; empty: the null sender */
	uint32_t account_id;	   /* who signed in; 0: nobody did */
	bool may_relay;		   /* also to addresses that are not ours */
};
