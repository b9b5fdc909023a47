/* storage/address_priv.h - addresses as the rest of the room sees them. */
#pragma once

#include "storage/account.h"
#include "storage/layout_priv.h"

/* At the last "@". False where there is none. */
bool login_split(struct slice login, struct slice *local_out, struct slice *domain_out);
enum err address_put(struct write *write, struct slice local, struct slice domain,
		     const struct address_record *record) MUST_USE;
