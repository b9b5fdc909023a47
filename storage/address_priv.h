/* storage/address_priv.h - addresses as the rest of the room sees them. */
#pragma once

#include "storage/account.h"
#include "storage/layout_priv.h"

/* At the last "@". False where there is none. */
bool login_split(struct slice login, struct slice *local_out, struct slice *domain_out);
/* False: damaged. */
bool domain_decode(struct slice value, struct domain_record *record_out, uint64_t *created_out);
/* ERR_NOT_FOUND: no such domain; ERR_BAD_INPUT: it is a name of another, and has none itself. */
enum err domain_may_have_addresses(struct write *write, struct slice domain) MUST_USE;
enum err address_put(struct write *write, struct slice local, struct slice domain,
		     const struct address_record *record) MUST_USE;
