/* imapd/id.c - ID: who the programs are. In both.
 *
 * RFC 2971. What the client says of itself is checked and forgotten; we give our name, and no
 * version, since nobody should act on it (section 4). */
#include "imapd/id_priv.h"

enum { ID_PAIRS_MAX = 30, ID_NAME_MAX_OCTETS = 30, ID_VALUE_MAX_OCTETS = 1024 };

/* id-params-list = "(" *(string SP nstring SP) ")" / nil, the last SP being optional here as
 * it is in the RFC's own examples */
bool take_id_parameters(struct cursor *at, struct arena *arena)
{
	struct cursor c = *at;
	struct slice name, value;
	if (take_keyword(&c, "NIL")) {
		*at = c;
		return true;
	}
	if (!take_byte(&c, '('))
		return false;
	for (unsigned pairs = 0; !next_is(&c, ')'); pairs++) {
		if (pairs == ID_PAIRS_MAX || !take_string(&c, arena, &name) || !take_space(&c) ||
		    !take_nstring(&c, arena, &value) || name.len > ID_NAME_MAX_OCTETS ||
		    value.len > ID_VALUE_MAX_OCTETS)
			return false;
		if (!take_space(&c))
			break;
	}
	if (!take_byte(&c, ')'))
		return false;
	*at = c;
	return true;
}
