/* storage/domain.h - the domains whose mail ends here, and what each of them says of its mail.
 *
 * Reads on any thread; writes (struct write) in a job. Names are in their normal form already
 * (mail/address.h): lower-case A-labels. */
#pragma once

#include "base/arena.h"
#include "storage/store.h"

/* As whom the accounts of a domain may send, beside their own addresses. */
enum domain_senders {
	SENDERS_OWN,	/* nobody */
	SENDERS_DOMAIN, /* any address of the same domain */
	SENDERS_ANY,	/* anybody */
	SENDERS_COUNT,
};

struct domain_record {
	struct slice alias_of; /* another domain, whose addresses are this one's; empty: none */
	enum domain_senders senders;
	bool hides_clients; /* the trace header does not name the address of whom submits */
};

enum err domain_add(struct write *write, struct slice domain) MUST_USE; /* ERR_EXISTS */
/* ERR_BUSY while accounts, aliases or other domains use it. */
enum err domain_remove(struct write *write, struct slice domain) MUST_USE;
bool domain_is_local(struct read *read, struct slice domain);
/* Lives in `arena`. ERR_NOT_FOUND. */
enum err domain_get(struct read *read, struct slice domain, struct arena *arena,
		    struct domain_record *record_out) MUST_USE;
/* All but alias_of. ERR_NOT_FOUND. */
enum err domain_set(struct write *write, struct slice domain,
		    const struct domain_record *record) MUST_USE;
/* Makes `domain` another name of `target`: added if it is not there, as it was before otherwise.
 * ERR_NOT_FOUND: no such target. ERR_BUSY: it has addresses of its own, or is the target of
 * another. ERR_BAD_INPUT: the target is such a name itself, so that none leads in a circle. */
enum err domain_set_alias(struct write *write, struct slice domain, struct slice target) MUST_USE;
/* In order of name; `after` empty to start. False at the end. `domain_out` lives in `arena`. */
bool domain_next(struct read *read, struct slice after, struct arena *arena,
		 struct slice *domain_out);
