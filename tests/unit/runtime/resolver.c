/* Unit tests of runtime/resolver.c, against a DNS server on loopback that is a thread of this
 * program. One zone of it is signed; its answers are in signed_zone.h, ready made. */
#include "runtime/resolver.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buffer.h"
#include "runtime/sandbox.h"
#include "tests/unit/runtime/signed_zone.h"
#include "tests/unit/unit.h"

enum { PATIENCE_MS = 60 * 1000 };

/* ---- the server ---- */

static int server_fd;
static atomic_uint asked; /* questions of type TXT that it heard */

static void add_name(struct buffer *out, const char *name)
{
	while (*name) {
		size_t len = strcspn(name, ".");
		buffer_add_byte(out, (uint8_t)len);
		buffer_add(out, slice_of(name, len));
		name += len + (name[len] == '.');
	}
	buffer_add_byte(out, 0);
}

static void add_record(struct buffer *out, uint16_t type, struct slice rdata)
{
	buffer_add(out, SLICE("\xc0\x0c")); /* the name that was asked for */
	buffer_add_be16(out, type);
	buffer_add_be16(out, 1);
	buffer_add_be32(out, 300);
	buffer_add_be16(out, (uint16_t)rdata.len);
	buffer_add(out, rdata);
}

struct zone_row {
	const char *name;
	uint16_t type, rcode, count;
	const char *rdata; /* of each record */
	size_t rdata_octets;
};
#define RDATA(text) text, sizeof(text) - 1
static const struct zone_row zone[] = {
	{ "one.example", DNS_MX, 0, 1, RDATA("\0\x05\4mail\3one\7example\0") },
	{ "many.example", DNS_A, 0, 3, NULL, 0 },
	{ "six.example", DNS_AAAA, 0, 1, RDATA(" \x01\r\xb8\0\0\0\0\0\0\0\0\0\0\0\1") },
	{ "text.example", DNS_TXT, 0, 1, RDATA("\5v=one") },
	{ "alias.example", DNS_A, 0, 0, RDATA("\4many\7example\0") },
	{ "odd.example", DNS_MX, 0, 1, RDATA("\0\x05\3a b\0") },
	{ "broken.example", DNS_A, 2, 0, NULL, 0 },
	{ "nothing.example", DNS_A, 0, 0, NULL, 0 },
};

/* True: `packet` asks what there is a ready answer for. */
static bool answer_signed(const uint8_t *packet, size_t question_octets, struct buffer *out)
{
	struct slice question = slice_of(packet + 12, question_octets);
	for (size_t i = 0; i < sizeof(signed_answers) / sizeof(signed_answers[0]); i++) {
		if (!slice_eq_nocase(slice_sub(signed_answers[i], 12, question_octets), question))
			continue;
		buffer_add(out, slice_of(packet, 2));
		buffer_add(out, slice_sub(signed_answers[i], 2, signed_answers[i].len));
		return true;
	}
	return false;
}

/* Answers the question in `packet`, whose name has `name_octets` on the wire. */
static void answer(const uint8_t *packet, size_t name_octets, struct buffer *out)
{
	struct buffer wanted = { NULL };
	const struct zone_row *row = NULL;
	uint16_t type = (uint16_t)(packet[12 + name_octets] << 8 | packet[13 + name_octets]);
	struct slice name = slice_of(packet + 12, name_octets);
	bool exists = false;
	uint16_t count = 0, code = 3;
	if (type == DNS_TXT)
		atomic_fetch_add(&asked, 1);
	for (size_t i = 0; i < sizeof(zone) / sizeof(zone[0]) && !row; i++) {
		buffer_clear(&wanted);
		add_name(&wanted, zone[i].name);
		if (!slice_eq_nocase(buffer_slice(&wanted), name))
			continue;
		exists = true;
		if (zone[i].type == type)
			row = &zone[i];
	}
	buffer_free(&wanted);
	struct buffer records = { NULL };
	if (row && slice_eq(slice_cstr(row->name), SLICE("alias.example"))) {
		add_record(&records, 5, slice_of(row->rdata, row->rdata_octets));
		count = 1;
	}
	for (uint16_t i = 0; row && i < row->count; i++, count++) {
		uint8_t address[4] = { 192, 0, 2, (uint8_t)i };
		add_record(&records, type,
			   row->rdata ? slice_of(row->rdata, row->rdata_octets)
				      : slice_of(address, sizeof(address)));
	}
	if (row)
		code = row->rcode;
	else if (exists)
		code = 0;
	buffer_add(out, slice_of(packet, 2));
	buffer_add_be16(out, (uint16_t)(0x8580 | code));
	buffer_add_be16(out, 1);
	buffer_add_be16(out, count);
	buffer_add_be32(out, 0);
	buffer_add(out, slice_of(packet + 12, name_octets + 4));
	buffer_add(out, buffer_slice(&records));
	buffer_free(&records);
}

static void *serve(void *unused)
{
	uint8_t packet[1500];
	struct sockaddr_in from;
	socklen_t from_octets = sizeof(from);
	ssize_t len;
	while ((len = recvfrom(server_fd, packet, sizeof(packet), 0, (struct sockaddr *)&from,
			       &from_octets)) > 0) {
		struct buffer out = { NULL };
		size_t name_octets = 0;
		if (len < 17)
			break; /* the word to stop */
		while (12 + name_octets < (size_t)len && packet[12 + name_octets] != 0)
			name_octets += packet[12 + name_octets] + 1u;
		if (!answer_signed(packet, name_octets + 5, &out))
			answer(packet, name_octets + 1, &out);
		/* "silent...": heard, never answered */
		if (memcmp(packet + 13, "silent", 6) != 0)
			sendto(server_fd, out.data, out.len, 0, (struct sockaddr *)&from,
			       from_octets);
		buffer_free(&out);
	}
	return NULL;
}

/* ---- asking ---- */

struct asking {
	struct dns_question question;
	size_t count;
	unsigned answers;
	enum dns_outcome outcome;
	uint16_t preference;
	bool secure;
	char text[300], canonical[300];
};

static struct loop *loop;
static struct resolver *resolver;

static void on_answer(struct dns_question *question, const struct dns_answer *a)
{
	struct asking *asking = CONTAINER_OF(question, struct asking, question);
	asking->answers++;
	asking->outcome = a->outcome;
	asking->secure = a->secure;
	asking->count = a->count;
	snprintf(asking->canonical, sizeof(asking->canonical), "%.*s", SLICE_ARG(a->canonical));
	if (a->count > 0) {
		struct slice text =
			a->records[0].name.len ? a->records[0].name : a->records[0].data;
		asking->preference = a->records[0].preference;
		snprintf(asking->text, sizeof(asking->text), "%.*s", SLICE_ARG(text));
	}
}

static void begin(struct asking *asking, enum dns_type type, const char *name, uint64_t timeout_ms)
{
	*asking = (struct asking){ .question.answered = on_answer };
	resolver_ask(resolver, loop, &asking->question, type, slice_cstr(name), timeout_ms);
	assert_int_equal(asking->answers, 0);
}

static struct asking ask(enum dns_type type, const char *name)
{
	struct asking asking;
	begin(&asking, type, name, PATIENCE_MS);
	while (asking.answers == 0)
		loop_run_once(loop, 1000);
	assert_null(asking.question.lookup);
	return asking;
}

static void brings_records_of_each_type(void **state)
{
	struct asking mx = ask(DNS_MX, "One.example");
	assert_int_equal(mx.outcome, DNS_FOUND);
	assert_false(mx.secure);
	assert_int_equal(mx.preference, 5);
	assert_string_equal(mx.text, "mail.one.example");
	struct asking a = ask(DNS_A, "many.example");
	assert_int_equal(a.outcome, DNS_FOUND);
	assert_int_equal(a.count, 3);
	assert_string_equal(a.canonical, "");
	assert_int_equal(ask(DNS_AAAA, "six.example").count, 1);
	assert_string_equal(ask(DNS_TXT, "text.example").text, "v=one");
}

static void tells_what_is_not_there(void **state)
{
	assert_int_equal(ask(DNS_MX, "nowhere.example").outcome, DNS_NXDOMAIN);
	assert_int_equal(ask(DNS_MX, "nothing.example").outcome, DNS_NODATA);
	assert_int_equal(ask(DNS_A, "broken.example").outcome, DNS_FAILED);
	assert_int_equal(ask(DNS_A, "not a name").outcome, DNS_FAILED);
	assert_int_equal(ask(DNS_A, "").outcome, DNS_FAILED);
	struct asking odd = ask(DNS_MX, "odd.example");
	assert_int_equal(odd.outcome, DNS_FOUND);
	assert_int_equal(odd.count, 0);
}

static void follows_aliases(void **state)
{
	struct asking a = ask(DNS_A, "alias.example");
	assert_int_equal(a.outcome, DNS_FOUND);
	assert_int_equal(a.count, 3);
	assert_string_equal(a.canonical, "many.example");
}

/* RFC 4035: what is signed is secure, also that something is not there; what is forged is not
 * believed; what nobody signs is insecure. */
static void tells_what_is_proven(void **state)
{
	struct asking a = ask(DNS_A, "mail.signed.example");
	assert_int_equal(a.outcome, DNS_FOUND);
	assert_true(a.secure);
	struct asking tlsa = ask(DNS_TLSA, "_25._tcp.mail.signed.example");
	assert_int_equal(tlsa.outcome, DNS_FOUND);
	assert_true(tlsa.secure);
	struct asking none = ask(DNS_AAAA, "mail.signed.example");
	assert_int_equal(none.outcome, DNS_NODATA);
	assert_true(none.secure);
	struct asking forged = ask(DNS_A, "forged.signed.example");
	assert_int_equal(forged.outcome, DNS_BOGUS);
	assert_false(forged.secure);
	assert_int_equal(forged.count, 0);
	/* Not signed, though it should be. */
	assert_int_equal(ask(DNS_A, "stripped.signed.example").outcome, DNS_BOGUS);
	assert_false(ask(DNS_A, "many.example").secure);
}

static void keeps_what_it_has_heard(void **state)
{
	ask(DNS_TXT, "text.example");
	ask(DNS_TXT, "void.example");
	unsigned before = atomic_load(&asked);
	assert_string_equal(ask(DNS_TXT, "text.example").text, "v=one");
	assert_int_equal(ask(DNS_TXT, "void.example").outcome, DNS_NXDOMAIN);
	assert_int_equal(atomic_load(&asked), before);
}

static void gives_up_when_time_is_over(void **state)
{
	struct asking silent;
	begin(&silent, DNS_A, "silent.example", 1);
	while (silent.answers == 0)
		loop_run_once(loop, 1000);
	assert_int_equal(silent.outcome, DNS_FAILED);
}

static void forgets_what_is_cancelled(void **state)
{
	struct asking cancelled[3];
	for (size_t i = 0; i < 3; i++)
		begin(&cancelled[i], DNS_A, i ? "many.example" : "silent2.example", PATIENCE_MS);
	for (size_t i = 0; i < 3; i++) {
		resolver_cancel(&cancelled[i].question);
		resolver_cancel(&cancelled[i].question); /* twice is once */
	}
	ask(DNS_A, "one.example");
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(cancelled[i].answers, 0);
}

static void answers_a_burst(void **state)
{
	static struct asking burst[300];
	for (size_t i = 0; i < 300; i++) {
		char name[40];
		snprintf(name, sizeof(name), "n%zu.example", i);
		begin(&burst[i], DNS_A, name, PATIENCE_MS);
	}
	for (size_t i = 0; i < 300; i++) {
		while (burst[i].answers == 0)
			loop_run_once(loop, 1000);
		assert_int_equal(burst[i].outcome, DNS_NXDOMAIN);
	}
}

/* Strangers have a share: our own questions find room beside whatever they cause. The one here is
 * answered from the cache, since a server that says nothing to so many is not asked more for a while. */
static void strangers_do_not_crowd_us_out(void **state)
{
	enum { MANY = 600, ONE_NETWORK = 100, SHARE = 64, ADDRESSES = 5 };
	static struct asking silent[MANY];
	struct peer peer = { .family = 4, .address = { 192, 0, 2, 1 } };
	struct asking list = {
		.question = { .answered = on_answer, .stranger = &peer, .is_to_list = true }
	};
	unsigned refused = 0, refused_of_one = 0;
	ask(DNS_TXT, "text.example");
	for (size_t i = 0; i < MANY; i++) {
		char name[40];
		snprintf(name, sizeof(name), "silent%zu.example", 1000 + i);
		/* The first are of one network, from some addresses in turn; the others of one each. */
		if (i < ONE_NETWORK) {
			peer.address[3] = (uint8_t)(i % ADDRESSES);
		} else {
			peer.address[1] = (uint8_t)(i >> 8);
			peer.address[2] = (uint8_t)i;
		}
		silent[i] =
			(struct asking){ .question = { .answered = on_answer, .stranger = &peer } };
		resolver_ask(resolver, loop, &silent[i].question, DNS_A, slice_cstr(name),
			     PATIENCE_MS);
	}
	loop_run_once(loop, 0);
	for (size_t i = 0; i < MANY; i++)
		*(i < ONE_NETWORK ? &refused_of_one : &refused) += silent[i].answers > 0;
	assert_int_equal(refused_of_one, ONE_NETWORK - SHARE);
	assert_true(refused > 0 && refused < MANY - ONE_NETWORK);
	/* What a list says of them is heard all the same. */
	resolver_ask(resolver, loop, &list.question, DNS_TXT, SLICE("text.example"), PATIENCE_MS);
	while (list.answers == 0)
		loop_run_once(loop, 1000);
	assert_int_equal(list.outcome, DNS_FOUND);
	assert_int_equal(ask(DNS_TXT, "text.example").outcome, DNS_FOUND);
	for (size_t i = 0; i < MANY; i++)
		resolver_cancel(&silent[i].question);
}

/* Who takes all that he can get leaves something to his neighbours. */
static void one_stranger_takes_no_others_share(void **state)
{
	enum { MANY = 40, SHARE = 16 };
	static const struct peer pairs[][2] = {
		{ { .family = 4, .address = { 198, 51, 100, 1 } },
		  { .family = 4, .address = { 198, 51, 100, 2 } } },
		/* In a /64 there are no neighbours. */
		{ { .family = 6, .address = { 0x20, 1, 0xd, 0xb8, 0, 1, 0, 1 } },
		  { .family = 6, .address = { 0x20, 1, 0xd, 0xb8, 0, 1, 0, 2 } } },
	};
	static struct asking silent[2][MANY];
	for (size_t pair = 0; pair < 2; pair++) {
		unsigned refused = 0;
		for (size_t i = 0; i < MANY; i++) {
			char name[40];
			struct peer peer = pairs[pair][0];
			if (peer.family == 6)
				peer.address[15] = (uint8_t)i;
			snprintf(name, sizeof(name), "silent%zu.example", 3000 + pair * MANY + i);
			silent[pair][i] = (struct asking){ .question = { .answered = on_answer,
									 .stranger = &peer } };
			resolver_ask(resolver, loop, &silent[pair][i].question, DNS_A,
				     slice_cstr(name), PATIENCE_MS);
		}
		loop_run_once(loop, 0);
		for (size_t i = 0; i < MANY; i++)
			refused += silent[pair][i].answers > 0;
		assert_int_equal(refused, MANY - SHARE);
		struct asking neighbour = { .question = { .answered = on_answer,
							  .stranger = &pairs[pair][1] } };
		resolver_ask(resolver, loop, &neighbour.question, DNS_TXT, SLICE("text.example"),
			     PATIENCE_MS);
		while (neighbour.answers == 0)
			loop_run_once(loop, 1000);
		assert_int_equal(neighbour.outcome, DNS_FOUND);
		for (size_t i = 0; i < MANY; i++)
			resolver_cancel(&silent[pair][i].question);
	}
}

static void without_a_resolver_nothing_is_known(void **state)
{
	struct asking asking = { .question.answered = on_answer };
	resolver_ask(NULL, loop, &asking.question, DNS_A, SLICE("one.example"), PATIENCE_MS);
	assert_int_equal(asking.answers, 0);
	while (asking.answers == 0)
		loop_run_once(loop, 1000);
	assert_int_equal(asking.outcome, DNS_FAILED);
}

static void refuses_anchors_that_are_none(void **state)
{
	struct slice anchor = SLICE("example. IN DS not a number\n");
	const struct resolver_options options = { .trust_anchor = &anchor };
	assert_null(resolver_new(loop, &options));
}

/* The same in the front's sandbox, where a forbidden call is the end. Forked before there are
 * threads; asks the server of the parent. */
static pid_t sandboxed;

static int ask_in_sandbox(const struct resolver_options *options)
{
	const struct sandbox_user nobody_else = { 0, 0 };
	sandbox_kill_violators();
	if (sandbox_front(&nobody_else) != ERR_OK)
		return 1;
	loop = loop_new(0);
	resolver = resolver_new(loop, options);
	if (!resolver)
		return 2;
	return ask(DNS_A, "many.example").count == 3 ? 0 : 3;
}

static void works_in_the_sandbox(void **state)
{
	int status;
	assert_int_equal(waitpid(sandboxed, &status, 0), sandboxed);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(brings_records_of_each_type),
		cmocka_unit_test(tells_what_is_not_there),
		cmocka_unit_test(follows_aliases),
		cmocka_unit_test(tells_what_is_proven),
		cmocka_unit_test(keeps_what_it_has_heard),
		cmocka_unit_test(gives_up_when_time_is_over),
		cmocka_unit_test(forgets_what_is_cancelled),
		cmocka_unit_test(answers_a_burst),
		cmocka_unit_test(without_a_resolver_nothing_is_known),
		cmocka_unit_test(refuses_anchors_that_are_none),
		cmocka_unit_test(works_in_the_sandbox),
		cmocka_unit_test(one_stranger_takes_no_others_share),
		cmocka_unit_test(strangers_do_not_crowd_us_out),
	};
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t address_octets = sizeof(address);
	struct slice anchor = SLICE("; only this zone\n\n" SIGNED_ZONE_ANCHOR);
	char forward[32];
	pthread_t thread;

	server_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (bind(server_fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
	    getsockname(server_fd, (struct sockaddr *)&address, &address_octets) != 0)
		return 1;
	snprintf(forward, sizeof(forward), "127.0.0.1:%u", ntohs(address.sin_port));
	const struct resolver_options options = { forward, &anchor };
	sandboxed = fork();
	if (sandboxed == 0)
		_exit(ask_in_sandbox(&options));
	pthread_create(&thread, NULL, serve, NULL);
	loop = loop_new(0);
	resolver = resolver_new(loop, &options);

	int failed = resolver ? cmocka_run_group_tests(tests, NULL, NULL) : 1;

	resolver_free(&resolver);
	loop_run_once(loop, 0);
	loop_free(loop);
	int stopper = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	sendto(stopper, "stop", 4, 0, (struct sockaddr *)&address, sizeof(address));
	pthread_join(thread, NULL);
	close(stopper);
	close(server_fd);
	return failed;
}
