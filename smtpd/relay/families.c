/* smtpd/relay/families.c - is there a name for the addresses that we send from? Runs in the front.
 *
 * The kernel says which address a connection to the rest of the world would come from; DNS, whether
 * its name leads back to it. Behind another machine's address nothing can be found out. */
#include "smtpd/relay/families_priv.h"

#include <assert.h>

#include "base/log.h"
#include "runtime/connector.h"
#include "smtpd/relay/lookup_priv.h"

enum {
	NAMES_MAX = 8,
	DAY_MS = 24 * 3600 * 1000,
	SOON_MS = 3600 * 1000, /* where DNS did not answer */
};

static void check_next_name(struct family *family);

static void settle(struct family *family, enum family_state state)
{
	char address[PEER_TEXT_MAX] = "-";
	family->state = state;
	arena_reset(&family->arena);
	if (state != FAMILY_ABSENT)
		peer_format(&family->own, address);
	if (loop_index(family->families->front->loop) > 0)
		return; /* they all find the same */
	if (state == FAMILY_NAMELESS)
		log_warning(NULL, EVENT("no-name-for-address"), NUM("family", family->family),
			    CSTR("address", address));
	else
		log_debug(NULL, EVENT("family-checked"), NUM("family", family->family),
			  CSTR("address", address), NUM("state", state));
}

/* DNS does not say: what was known stays. */
static void fail(struct family *family)
{
	settle(family, family->state == FAMILY_ABSENT ? FAMILY_UNKNOWN : family->state);
	timer_start(family->families->timer, SOON_MS);
}

static void on_address(struct dns_question *question, const struct dns_answer *answer)
{
	struct family *family = CONTAINER_OF(question, struct family, question);
	if (answer->outcome == DNS_FAILED || answer->outcome == DNS_BOGUS) {
		fail(family);
		return;
	}
	for (size_t i = 0; answer->outcome == DNS_FOUND && i < answer->count; i++) {
		const struct peer *address = &answer->records[i].address;
		if (address->family == family->family &&
		    memcmp(address->address, family->own.address, family->family == 4 ? 4 : 16) ==
			    0) {
			settle(family, FAMILY_NAMED);
			return;
		}
	}
	check_next_name(family);
}

static void ask(struct family *family, enum dns_type type, struct slice name)
{
	const struct front *front = family->families->front;
	resolver_ask(front->resolver, front->loop, &family->question, type, name, LOOKUP_MS);
}

static void check_next_name(struct family *family)
{
	if (family->name_at == family->name_count) {
		settle(family, FAMILY_NAMELESS);
		return;
	}
	family->question = (struct dns_question){ .answered = on_address };
	ask(family, family->family == 4 ? DNS_A : DNS_AAAA, family->names[family->name_at++]);
}

static void on_names(struct dns_question *question, const struct dns_answer *answer)
{
	struct family *family = CONTAINER_OF(question, struct family, question);
	if (answer->outcome == DNS_FAILED || answer->outcome == DNS_BOGUS) {
		fail(family);
		return;
	}
	size_t count = answer->outcome == DNS_FOUND ? answer->count : 0;
	family->name_at = family->name_count = 0;
	family->names = arena_alloc_array(&family->arena, NAMES_MAX, sizeof(*family->names));
	for (size_t i = 0; i < count && family->name_count < NAMES_MAX; i++)
		family->names[family->name_count++] =
			arena_copy(&family->arena, answer->records[i].name);
	check_next_name(family);
}

static void check(struct family *family)
{
	/* A server of the root, which is elsewhere for everybody. Nothing is sent to it. */
	static const struct peer far[] = {
		{ .family = 4, .port = 25, .address = { 198, 41, 0, 4 } },
		{ .family = 6,
		  .port = 25,
		  .address = { 0x20, 0x01, 0x05, 0x03, 0xba, 0x3e, [13] = 2, [15] = 0x30 } },
	};
	char name[DNS_NAME_MAX_OCTETS + 1];
	if (family->question.lookup)
		return;
	if (!connector_own_address(&far[family->family == 4 ? 0 : 1], &family->own)) {
		settle(family, FAMILY_ABSENT);
		return;
	}
	if (peer_is_private(&family->own) || !dns_reverse_name(&family->own, SLICE_NONE, name)) {
		settle(family, FAMILY_UNKNOWN);
		return;
	}
	family->question = (struct dns_question){ .answered = on_names };
	ask(family, DNS_PTR, slice_cstr(name));
}

static void on_timer(void *user)
{
	struct families *families = user;
	timer_start(families->timer, DAY_MS);
	check(&families->v6);
	check(&families->v4);
}

void families_begin(struct families *families, const struct front *front)
{
	*families = (struct families){ .front = front };
	families->v6 = (struct family){ .families = families, .family = 6 };
	families->v4 = (struct family){ .families = families, .family = 4 };
	families->timer = timer_new(front->loop, on_timer, families);
	timer_start(families->timer, 0);
}

void families_end(struct families *families)
{
	resolver_cancel(&families->v6.question);
	resolver_cancel(&families->v4.question);
	arena_fini(&families->v6.arena);
	arena_fini(&families->v4.arena);
	timer_free(&families->timer);
}

uint8_t families_avoided(const struct families *families)
{
	enum family_state v6 = families->v6.state, v4 = families->v4.state;
	if (v6 == FAMILY_NAMELESS && (v4 == FAMILY_NAMED || v4 == FAMILY_UNKNOWN))
		return 6;
	if (v4 == FAMILY_NAMELESS && (v6 == FAMILY_NAMED || v6 == FAMILY_UNKNOWN))
		return 4;
	return 0;
}

size_t families_order(struct peer *addresses, size_t count, uint8_t avoided)
{
	struct peer sorted[2][FAMILIES_ORDER_MAX];
	assert(count <= FAMILIES_ORDER_MAX);
	size_t counts[2] = { 0 }, at[2] = { 0 }, kept = 0;
	for (size_t i = 0; i < count; i++) {
		size_t which = addresses[i].family == 4;
		sorted[which][counts[which]++] = addresses[i];
	}
	if (avoided == 6 && counts[1] > 0)
		counts[0] = 0;
	if (avoided == 4 && counts[0] > 0)
		counts[1] = 0;
	for (size_t which = 0; at[0] < counts[0] || at[1] < counts[1]; which = 1 - which)
		if (at[which] < counts[which])
			addresses[kept++] = sorted[which][at[which]++];
	return kept;
}
