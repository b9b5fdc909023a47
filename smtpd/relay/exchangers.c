/* smtpd/relay/exchangers.c - from a destination to addresses (RFC 5321 section 5.1): MX in order of
 * preference, in random order among equals; the domain itself where it has none; no mail where it
 * says so (RFC 7505); none that is as far from it as we are ourselves. Where DNSSEC secures the way, or
 * the configuration has named the host, with what DNSSEC says of its certificate (tlsa.c). Runs in the
 * front. */
#include "smtpd/relay/exchangers_priv.h"

#include <stdlib.h>

#include "base/heap.h"
#include "base/random.h"
#include "smtpd/relay/families_priv.h"
#include "smtpd/relay/lookup_priv.h"
#include "smtpd/relay/results_priv.h"

enum { HOSTS_MAX = 32 };

struct host {
	struct slice name;
	uint16_t preference;
	uint32_t dice;
};

struct exchangers {
	struct front front;
	struct arena arena;
	struct route route;
	void (*found)(void *user, enum exchangers_end end, const struct exchanger *exchanger);
	void *user;
	struct dns_question question;
	struct task task; /* an answer that needs no lookup */
	enum exchangers_end task_end;
	bool task_queued, is_freed;
	bool may_loop; /* addresses of this machine are allowed */

	struct host hosts[HOSTS_MAX];
	size_t host_count, host_at;
	bool has_hosts;
	struct slice domain;
	bool is_secure;		/* what DNS says of the hosts */
	struct slice canonical; /* of the domain */
	struct tlsa_lookup tlsa;
	bool is_doubtful; /* a lookup of the host's addresses has failed */

	enum dns_type asking;
	struct peer addresses[EXCHANGERS_ADDRESSES_MAX];
	size_t address_count, address_at;
	size_t given, given_before; /* the host whose turn it is */
	uint8_t avoided_family;
	bool dns_failed;      /* one of the lookups */
	bool has_passed_over; /* a host, for that reason */
};

static void look_up_next(struct exchangers *e);

static void destroy(struct exchangers *e)
{
	resolver_cancel(&e->question);
	tlsa_lookup_cancel(&e->tlsa);
	arena_fini(&e->arena);
	free(e);
}

static void tell(struct exchangers *e, enum exchangers_end end)
{
	struct exchanger exchanger = { 0 };
	if (end == EXCHANGERS_NEXT) {
		e->given++;
		exchanger.host = e->host_at > 0 ? e->hosts[e->host_at - 1].name : SLICE_NONE;
		exchanger.address = e->addresses[e->address_at++];
		exchanger.rivals = e->addresses + e->address_at;
		exchanger.rival_count = e->address_count - e->address_at;
		exchanger.is_secure = e->is_secure;
		exchanger.canonical = e->canonical;
		exchanger.dane = e->is_secure ? &e->tlsa.dane : NULL;
	}
	e->found(e->user, end, &exchanger);
}

static void on_task(struct task *task)
{
	struct exchangers *e = CONTAINER_OF(task, struct exchangers, task);
	e->task_queued = false;
	if (e->is_freed)
		destroy(e);
	else
		tell(e, e->task_end);
}

static void tell_later(struct exchangers *e, enum exchangers_end end)
{
	e->task_end = end;
	e->task_queued = true;
	e->task.run = on_task;
	loop_post(e->front.loop, &e->task);
}

/* ---- addresses ---- */

static bool is_unspecified(const struct peer *address)
{
	static const uint8_t zeros[16];
	return memcmp(address->address, zeros, address->family == 4 ? 4 : 16) == 0;
}

static void add_address(struct exchangers *e, const struct peer *address)
{
	if (is_unspecified(address) || (!e->may_loop && peer_is_loopback(address)) ||
	    e->address_count == EXCHANGERS_ADDRESSES_MAX)
		return;
	e->addresses[e->address_count] = *address;
	e->addresses[e->address_count++].port = e->route.port;
}

static void set_address(const struct network *network, struct peer *address_out)
{
	*address_out = (struct peer){ .family = network->family };
	if (network->family == 4)
		memcpy(address_out->address, network->address, 4);
	else
		peer_from_ipv6(network->address, address_out);
}

static bool parse_address(struct slice text, struct peer *address_out)
{
	struct network network;
	if (slice_find_byte(text, 0, '/') < text.len || !network_parse(text, &network))
		return false;
	set_address(&network, address_out);
	return true;
}

static bool parse_literal(struct slice literal, struct peer *address_out)
{
	struct network network;
	if (!address_literal_parse(literal, &network))
		return false;
	set_address(&network, address_out);
	return true;
}

/* ---- lookups ---- */

static void ask(struct exchangers *e, enum dns_type type, struct slice name);

static void on_tlsa(struct tlsa_lookup *lookup)
{
	struct exchangers *e = CONTAINER_OF(lookup, struct exchangers, tlsa);
	if (lookup->dane.state != DANE_FAILED) {
		tell(e, EXCHANGERS_NEXT);
		return;
	}
	if (lookup->dane.is_bogus && e->route.kind == ROUTE_BY_DNS)
		results_note_dnssec(&e->front, e->domain, lookup->host);
	e->dns_failed = true;
	look_up_next(e);
}

static void finish_addresses(struct exchangers *e)
{
	e->address_count = families_order(e->addresses, e->address_count, e->avoided_family);
	/* Who swallows one answer must not get around the TLSA records (RFC 7672 section 2.2.2). Where the
	 * other one is not secured there are none that it could be about. */
	if (e->address_count == 0 || (e->is_secure && e->is_doubtful && e->tlsa.is_secure))
		look_up_next(e);
	else if (e->is_secure)
		tlsa_lookup_begin(&e->tlsa);
	else
		tell(e, EXCHANGERS_NEXT);
}

static void on_address_answer(struct exchangers *e, const struct dns_answer *answer)
{
	if (answer->outcome == DNS_FAILED || answer->outcome == DNS_BOGUS)
		e->dns_failed = e->is_doubtful = true;
	else
		e->tlsa.is_secure &= answer->secure;
	for (size_t i = 0; answer->outcome == DNS_FOUND && i < answer->count; i++)
		add_address(e, &answer->records[i].address);
	if (answer->canonical.len > 0)
		e->tlsa.canonical = arena_copy(&e->arena, answer->canonical);
	if (e->asking == DNS_AAAA && answer->outcome != DNS_NXDOMAIN)
		ask(e, DNS_A, e->hosts[e->host_at - 1].name);
	else
		finish_addresses(e);
}

static int compare_hosts(const void *a, const void *b)
{
	const struct host *x = a, *y = b;
	if (x->preference != y->preference)
		return x->preference < y->preference ? -1 : 1;
	return x->dice < y->dice ? -1 : x->dice > y->dice;
}

/* Those as far from the destination as we are, or farther, would send it back. */
static void cut_at_ourselves(struct exchangers *e)
{
	struct slice own = slice_cstr(e->front.config->hostname);
	for (size_t i = 0; i < e->host_count; i++) {
		if (!slice_eq_nocase(e->hosts[i].name, own))
			continue;
		uint16_t preference = e->hosts[i].preference;
		while (e->host_count > 0 && e->hosts[e->host_count - 1].preference >= preference)
			e->host_count--;
		return;
	}
}

static void on_mx_answer(struct exchangers *e, const struct dns_answer *answer)
{
	e->has_hosts = true;
	e->is_secure = answer->secure;
	e->canonical = arena_copy(&e->arena, answer->canonical);
	switch (answer->outcome) {
	case DNS_NXDOMAIN: tell(e, EXCHANGERS_NO_SUCH_DOMAIN); return;
	case DNS_FAILED:
	case DNS_BOGUS: tell(e, EXCHANGERS_DNS_FAILED); return;
	case DNS_NODATA: /* the domain itself (RFC 5321 section 5.1) */
		e->hosts[e->host_count++] = (struct host){ .name = e->domain };
		break;
	case DNS_FOUND:
		for (size_t i = 0; i < answer->count && e->host_count < HOSTS_MAX; i++) {
			const struct dns_record *record = &answer->records[i];
			if (record->name.len == 0)
				continue;
			e->hosts[e->host_count++] =
				(struct host){ .name = arena_copy(&e->arena, record->name),
					       .preference = record->preference,
					       .dice = random_u32() };
		}
		if (answer->count == 1 && e->host_count == 0) {
			tell(e, EXCHANGERS_NO_MAIL);
			return;
		}
		qsort(e->hosts, e->host_count, sizeof(*e->hosts), compare_hosts);
		size_t before = e->host_count;
		cut_at_ourselves(e);
		if (before > 0 && e->host_count == 0) {
			tell(e, EXCHANGERS_OURSELVES);
			return;
		}
		break;
	}
	look_up_next(e);
}

static void on_answer(struct dns_question *question, const struct dns_answer *answer)
{
	struct exchangers *e = CONTAINER_OF(question, struct exchangers, question);
	if (e->asking == DNS_MX)
		on_mx_answer(e, answer);
	else
		on_address_answer(e, answer);
}

static void ask(struct exchangers *e, enum dns_type type, struct slice name)
{
	e->asking = type;
	e->question = (struct dns_question){ .answered = on_answer };
	resolver_ask(e->front.resolver, e->front.loop, &e->question, type, name, LOOKUP_MS);
}

/* The next host's addresses; the one before has none left. */
static void look_up_next(struct exchangers *e)
{
	if (e->given == e->given_before)
		e->has_passed_over |= e->is_doubtful || e->tlsa.dane.state == DANE_FAILED;
	e->given_before = e->given;
	e->address_count = e->address_at = 0;
	if (e->host_at == e->host_count || e->given >= EXCHANGERS_ADDRESSES_MAX) {
		tell_later(e, e->given > 0    ? EXCHANGERS_NO_MORE
			      : e->dns_failed ? EXCHANGERS_DNS_FAILED
					      : EXCHANGERS_NO_ADDRESS);
		return;
	}
	e->is_doubtful = false;
	e->tlsa = (struct tlsa_lookup){
		.front = &e->front,
		.arena = &e->arena,
		.port = e->route.port,
		.host = e->hosts[e->host_at].name,
		.is_secure = true, /* until an answer is not */
		.found = on_tlsa,
	};
	ask(e, DNS_AAAA, e->hosts[e->host_at++].name);
}

/* ---- from outside ---- */

/* Who runs this server has named the host, so nothing but its name has to be secured (RFC 7672 section
 * 2.2.2). What he says of a smarthost's encryption and authorities comes first. */
static bool wants_tlsa(const struct config *config, const struct route *route)
{
	return route->kind == ROUTE_TO_HOST ||
	       (route->kind == ROUTE_TO_SMARTHOST && config->smarthost_tls != SMARTHOST_NONE &&
		!config->smarthost_ca);
}

struct exchangers *exchangers_new(const struct front *front, const struct route *route,
				  struct slice destination, uint8_t avoided_family,
				  void (*found)(void *user, enum exchangers_end end,
						const struct exchanger *exchanger),
				  void *user)
{
	struct exchangers *e = heap_alloc(sizeof(*e));
	struct peer address;
	e->front = *front;
	e->route = *route;
	e->found = found;
	e->user = user;
	e->avoided_family = avoided_family;
	e->domain = arena_copy(&e->arena, destination);
	e->may_loop = front->config->relay_loopback || route->kind != ROUTE_BY_DNS;
	struct slice host = arena_copy(&e->arena, route->host);
	if (route->kind == ROUTE_BY_DNS) {
		e->has_hosts = parse_literal(e->domain, &address);
		if (e->has_hosts)
			add_address(e, &address);
	} else {
		e->has_hosts = true;
		if (parse_address(host, &address)) {
			add_address(e, &address);
		} else {
			e->is_secure = wants_tlsa(front->config, route);
			e->hosts[e->host_count++] = (struct host){ .name = host };
		}
	}
	return e;
}

void exchangers_next(struct exchangers *e)
{
	if (e->address_at < e->address_count)
		tell_later(e, EXCHANGERS_NEXT);
	else if (!e->has_hosts)
		ask(e, DNS_MX, e->domain);
	else
		look_up_next(e);
}

void exchangers_drop(struct exchangers *e, uint32_t rivals)
{
	size_t kept = e->address_at;
	for (size_t i = e->address_at; i < e->address_count; i++) {
		if (rivals >> (i - e->address_at) & 1)
			e->given++;
		else
			e->addresses[kept++] = e->addresses[i];
	}
	e->address_count = kept;
}

bool exchangers_are_doubtful(const struct exchangers *e)
{
	return e->has_passed_over;
}

void exchangers_free(struct exchangers **at)
{
	struct exchangers *e = *at;
	*at = NULL;
	if (!e)
		return;
	if (e->task_queued)
		e->is_freed = true;
	else
		destroy(e);
}

const char *exchangers_words(enum exchangers_end end)
{
	switch (end) {
	case EXCHANGERS_NO_SUCH_DOMAIN: return "there is no such domain";
	case EXCHANGERS_NO_MAIL: return "the domain takes no mail (it has a null MX)";
	case EXCHANGERS_OURSELVES:
		return "the domain's mail is to come to this very server, which "
		       "does not know it";
	case EXCHANGERS_NO_ADDRESS:
		return "none of the domain's mail servers has an address that "
		       "can be used";
	case EXCHANGERS_DNS_FAILED:
		return "DNS does not say at present where the domain's mail goes";
	case EXCHANGERS_NEXT:
	case EXCHANGERS_NO_MORE: break;
	}
	return "no server of the domain could be reached";
}
