/* tests/unit/runtime/channel.c - frames whole, cut, hostile; descriptors in their order; the link
 * over a channel, with a back that answers, is silent, or dies. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/attributes.h"
#include "base/buffer.h"
#include "base/heap.h"
#include "runtime/channel.h"
#include "runtime/link.h"

struct end {
	struct channel *channel;
	struct buffer seen; /* "type:conversation:payload[+inode] " */
	size_t octets;
	unsigned frames, closed, drained;
	bool count_only, free_in_message;
};

static void on_message(struct channel *channel, uint16_t type, uint32_t conversation,
		       struct slice payload, int fd)
{
	struct end *end = channel_user(channel);
	end->frames++;
	end->octets += payload.len;
	if (!end->count_only) {
		buffer_add_format(&end->seen, "%u:%u:%.*s", type, conversation, SLICE_ARG(payload));
		struct stat about;
		if (fd >= 0 && fstat(fd, &about) == 0)
			buffer_add_format(&end->seen, "+%lu", (unsigned long)about.st_ino);
		if (fd == CHANNEL_FD_LOST)
			buffer_add_cstr(&end->seen, "+lost");
		buffer_add_byte(&end->seen, ' ');
	}
	if (fd >= 0)
		close(fd);
	if (end->free_in_message) {
		channel_free(&end->channel);
		/* The payload lives as long as the call. */
		buffer_add(&end->seen, payload);
	}
}

static void on_closed(struct channel *channel)
{
	struct end *end = channel_user(channel);
	end->closed++;
	channel_free(&end->channel);
}

static void on_drained(struct channel *channel)
{
	((struct end *)channel_user(channel))->drained++;
}

static const struct channel_events events = { on_message, on_closed, on_drained };

struct pair {
	struct loop *loop;
	struct end a, b;
	int raw; /* instead of b, where the test speaks by hand */
};

static void pair_init(struct pair *pair, bool raw)
{
	int fds[2];
	*pair = (struct pair){ .loop = loop_new(0), .raw = -1 };
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	pair->a.channel = channel_new(pair->loop, fds[0], &events, &pair->a);
	if (raw)
		pair->raw = fds[1];
	else
		pair->b.channel = channel_new(pair->loop, fds[1], &events, &pair->b);
}

static void pair_fini(struct pair *pair)
{
	channel_free(&pair->a.channel);
	channel_free(&pair->b.channel);
	if (pair->raw >= 0)
		close(pair->raw);
	buffer_free(&pair->a.seen);
	buffer_free(&pair->b.seen);
	loop_free(pair->loop);
}

static void turn(struct pair *pair, unsigned times)
{
	for (unsigned i = 0; i < times; i++)
		loop_run_once(pair->loop, 0);
}

static void test_frames(void **state)
{
	struct pair p;
	pair_init(&p, false);
	assert_true(channel_send(p.a.channel, 7, 1, SLICE("one"), -1));
	assert_true(channel_send(p.a.channel, 8, 0xffffffff, SLICE(""), -1));
	assert_true(channel_send(p.b.channel, 9, 2, SLICE("back"), -1));
	turn(&p, 3);
	assert_slice(buffer_slice(&p.b.seen), "7:1:one 8:4294967295: ");
	assert_slice(buffer_slice(&p.a.seen), "9:2:back ");
	pair_fini(&p);
}

/* All frames of a turn leave in one call: the other end reads them in one as well. */
static void test_one_write_per_turn(void **state)
{
	struct pair p;
	uint8_t octets[4096];
	pair_init(&p, true);
	for (unsigned i = 0; i < 10; i++)
		channel_send(p.a.channel, 1, i, SLICE("x"), -1);
	assert_int_equal(recv(p.raw, octets, sizeof(octets), MSG_DONTWAIT), -1);
	turn(&p, 1);
	assert_int_equal(recv(p.raw, octets, sizeof(octets), MSG_DONTWAIT), 10 * 13);
	channel_send(p.a.channel, 1, 1, SLICE("now"), -1);
	channel_flush(p.a.channel);
	assert_int_equal(recv(p.raw, octets, sizeof(octets), MSG_DONTWAIT), 15);
	pair_fini(&p);
}

static void test_cut_anywhere(void **state)
{
	static const uint8_t frames[] = { 0,   0, 0, 3, 0, 7, 0, 0, 0, 0, 0, 1, 'a', 'b',
					  'c', 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 2 };
	for (size_t cut = 1; cut < sizeof(frames); cut++) {
		struct pair p;
		pair_init(&p, true);
		assert_int_equal(write(p.raw, frames, cut), (ssize_t)cut);
		turn(&p, 2);
		assert_int_equal(p.a.frames, cut >= 15);
		assert_int_equal(write(p.raw, frames + cut, sizeof(frames) - cut),
				 (ssize_t)(sizeof(frames) - cut));
		turn(&p, 2);
		assert_slice(buffer_slice(&p.a.seen), "7:1:abc 8:2: ");
		pair_fini(&p);
	}
}

static int open_temporary(struct buffer *inode_text)
{
	int fd = memfd_create("test", MFD_CLOEXEC);
	struct stat about;
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &about), 0);
	buffer_add_format(inode_text, "+%lu", (unsigned long)about.st_ino);
	return fd;
}

/* More than one sendmsg() may carry, mixed with frames that carry none and large ones. */
static void test_descriptors_in_order(void **state)
{
	struct pair p;
	struct buffer want = { 0 };
	char *large = heap_alloc(100001);
	memset(large, 'x', 100000);
	pair_init(&p, false);
	for (unsigned i = 0; i < 100; i++) {
		const char *payload = i % 20 == 5 ? large : "p";
		bool with_fd = i % 3 != 0;
		buffer_add_format(&want, "4:%u:%s", i, payload);
		int fd = with_fd ? open_temporary(&want) : -1;
		buffer_add_byte(&want, ' ');
		channel_send(p.a.channel, 4, i, slice_cstr(payload), fd);
	}
	for (unsigned i = 0; i < 200 && p.b.frames < 100; i++)
		turn(&p, 1);
	assert_int_equal(p.b.frames, 100);
	assert_true(slice_eq(buffer_slice(&p.b.seen), buffer_slice(&want)));
	buffer_free(&want);
	free(large);
	pair_fini(&p);
}

static void test_bulk_and_drained(void **state)
{
	struct pair p;
	uint8_t *block = heap_alloc(64 * 1024);
	pair_init(&p, false);
	p.b.count_only = true;
	size_t sent = 0;
	while (channel_send(p.a.channel, 6, 1, slice_of(block, 64 * 1024), -1))
		sent += 64 * 1024;
	sent += 64 * 1024;
	assert_true(sent > 1024 * 1024);
	for (unsigned i = 0; i < 1000 && p.b.octets < sent; i++)
		turn(&p, 1);
	turn(&p, 2);
	assert_int_equal(p.b.octets, sent);
	assert_int_equal(p.a.drained, 1);
	free(block);
	pair_fini(&p);
}

static void test_largest_frame(void **state)
{
	struct pair p;
	uint8_t *block = heap_alloc(CHANNEL_PAYLOAD_MAX_OCTETS);
	pair_init(&p, false);
	p.b.count_only = true;
	channel_send(p.a.channel, 6, 1, slice_of(block, CHANNEL_PAYLOAD_MAX_OCTETS), -1);
	for (unsigned i = 0; i < 100 && !p.b.frames; i++)
		turn(&p, 1);
	assert_int_equal(p.b.octets, CHANNEL_PAYLOAD_MAX_OCTETS);
	assert_int_equal(p.b.closed, 0);
	free(block);
	pair_fini(&p);
}

static void test_hostile_frames(void **state)
{
	static const struct {
		uint8_t octets[12];
	} rows[] = {
		{ { 0, 16, 0, 1, 0, 1 } },	      /* one octet above the limit */
		{ { 0xff, 0xff, 0xff, 0xff, 0, 1 } }, /* far above */
		{ { 0, 0, 0, 0, 0, 1, 0, 1 } },	      /* a descriptor that did not come */
		{ { 0, 0, 0, 0, 0, 1, 0, 2 } },	      /* an unknown flag */
		{ { 0, 0, 0, 0, 0, 1, 0x80, 0 } },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct pair p;
		pair_init(&p, true);
		assert_int_equal(write(p.raw, rows[i].octets, 12), 12);
		turn(&p, 3);
		assert_int_equal(p.a.frames, 0);
		assert_int_equal(p.a.closed, 1);
		pair_fini(&p);
	}
}

static void send_fds(int socket, unsigned count, struct slice octets)
{
	union {
		struct cmsghdr header;
		char octets[CMSG_SPACE(200 * sizeof(int))];
	} control = { 0 };
	struct iovec part = { heap_copy(octets.ptr, octets.len), octets.len };
	struct msghdr message = { .msg_iov = &part,
				  .msg_iovlen = 1,
				  .msg_control = control.octets,
				  .msg_controllen = CMSG_SPACE(count * sizeof(int)) };
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(count * sizeof(int));
	for (unsigned i = 0; i < count; i++)
		memcpy(CMSG_DATA(header) + i * sizeof(int), &socket, sizeof(int));
	assert_int_equal(sendmsg(socket, &message, 0), (ssize_t)octets.len);
	free(part.iov_base);
}

static unsigned count_fds(void)
{
	unsigned count = 0;
	for (int fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* A flood of descriptors, at once or one by one, ends the channel and leaves none open. */
static void test_descriptor_flood(void **state)
{
	for (unsigned way = 0; way < 2; way++) {
		struct pair p;
		unsigned before = count_fds();
		pair_init(&p, true);
		if (way == 0)
			send_fds(p.raw, 200, slice_of("\0\0\0", 3));
		for (unsigned i = 0; way == 1 && i < 40 && !p.a.closed; i++) {
			send_fds(p.raw, 1, slice_of("\0\0\0\0\0\1\0\0\0\0\0\0", 12));
			turn(&p, 2);
		}
		turn(&p, 3);
		assert_int_equal(p.a.closed, 1);
		pair_fini(&p);
		assert_int_equal(count_fds(), before);
	}
}

/* A process that has no number free loses what comes then, and nothing else; above all no frame
 * gets another's descriptor. */
static void test_descriptor_lost(void **state)
{
	enum { FRAMES = 6, LOST = 2 };
	struct pair p;
	struct buffer want = { 0 }, ignored = { 0 };
	struct rlimit limit, none;
	pair_init(&p, false);
	turn(&p, 1);
	for (unsigned i = 0; i < FRAMES; i++) {
		bool is_lost = i >= 1 && i < 1 + LOST;
		buffer_add_format(&want, "4:%u:p", i);
		channel_send(p.a.channel, 4, i, SLICE("p"),
			     open_temporary(is_lost ? &ignored : &want));
		buffer_add_cstr(&want, is_lost ? "+lost " : " ");
	}
	channel_flush(p.a.channel);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = limit;
	none.rlim_cur = 0; /* what is open stays so */
	for (unsigned i = 0; i < 50 && p.b.frames < FRAMES; i++) {
		bool loses = p.b.frames >= 1 && p.b.frames < 1 + LOST;
		assert_int_equal(setrlimit(RLIMIT_NOFILE, loses ? &none : &limit), 0);
		turn(&p, 1);
	}
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_true(slice_eq(buffer_slice(&p.b.seen), buffer_slice(&want)));
	assert_int_equal(p.b.closed, 0);
	buffer_free(&want);
	buffer_free(&ignored);
	pair_fini(&p);
}

static void test_close_and_last_words(void **state)
{
	struct pair p;
	pair_init(&p, false);
	/* b answers and dies; a writes to it before it reads. */
	channel_send(p.b.channel, 5, 1, SLICE("filed"), -1);
	channel_flush(p.b.channel);
	channel_free(&p.b.channel);
	turn(&p, 0);
	channel_send(p.a.channel, 6, 1, SLICE("too late"), -1);
	channel_flush(p.a.channel);
	turn(&p, 4);
	assert_slice(buffer_slice(&p.a.seen), "5:1:filed ");
	assert_int_equal(p.a.closed, 1);
	pair_fini(&p);
}

static void test_free_in_message(void **state)
{
	struct pair p;
	pair_init(&p, false);
	p.b.free_in_message = true;
	channel_send(p.a.channel, 5, 1, SLICE("x"), -1);
	channel_send(p.a.channel, 5, 2, SLICE("never"), -1);
	turn(&p, 4);
	assert_slice(buffer_slice(&p.b.seen), "5:1:x x");
	assert_int_equal(p.a.closed, 1);
	pair_fini(&p);
}

static void test_unsent_descriptors_are_closed(void **state)
{
	struct pair p;
	unsigned before = count_fds();
	pair_init(&p, false);
	struct buffer ignored = { 0 };
	channel_send(p.a.channel, 5, 1, SLICE("x"), open_temporary(&ignored));
	buffer_free(&ignored);
	pair_fini(&p);
	assert_int_equal(count_fds(), before);
}

/* A peer that asks and never listens is not read any more, once it owes us too much reading. */
static void test_throttle(void **state)
{
	struct pair p;
	uint8_t *block = heap_alloc(64 * 1024);
	pair_init(&p, true);
	channel_throttle(p.a.channel);
	while (channel_send(p.a.channel, 6, 1, slice_of(block, 64 * 1024), -1))
		;
	turn(&p, 2);
	assert_int_equal(write(p.raw, "\0\0\0\0\0\1\0\0\0\0\0\0", 12), 12);
	turn(&p, 5);
	assert_int_equal(p.a.frames, 0);
	for (unsigned i = 0; i < 100; i++) {
		while (recv(p.raw, block, 64 * 1024, MSG_DONTWAIT) > 0)
			;
		turn(&p, 1);
	}
	assert_int_equal(p.a.frames, 1);
	free(block);
	pair_fini(&p);
}

/* ---- the link ---- */

struct asker {
	struct question question;
	unsigned answers, credits;
	enum err err;
	struct buffer payload;
};

static void on_answered(struct question *question, enum err err, struct slice payload)
{
	struct asker *asker = CONTAINER_OF(question, struct asker, question);
	asker->answers++;
	asker->err = err;
	buffer_add(&asker->payload, payload);
}

static void on_credit(struct question *question, uint32_t octets)
{
	CONTAINER_OF(question, struct asker, question)->credits += octets;
}

struct linked {
	struct loop *loop;
	struct link *link;
	struct end back;
};

static void linked_connect(struct linked *l)
{
	int fds[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	link_connect(l->link, fds[0]);
	l->back.channel = channel_new(l->loop, fds[1], &events, &l->back);
}

static void linked_init(struct linked *l)
{
	*l = (struct linked){ .loop = loop_new(0) };
	l->link = link_new(l->loop);
	assert_false(link_is_up(l->link));
}

static void linked_turn(struct linked *l, unsigned times)
{
	for (unsigned i = 0; i < times; i++)
		loop_run_once(l->loop, 0);
}

static void linked_fini(struct linked *l)
{
	link_free(&l->link);
	channel_free(&l->back.channel);
	buffer_free(&l->back.seen);
	loop_free(l->loop);
}

static void test_link_answers(void **state)
{
	struct linked l;
	struct asker one = { { .answered = on_answered } }, two = { { .answered = on_answered } };
	linked_init(&l);
	linked_connect(&l);
	assert_true(link_is_up(l.link));
	link_ask(l.link, &one.question, MESSAGE_RECIPIENT, SLICE("r1"));
	link_ask(l.link, &two.question, MESSAGE_AUTHENTICATE, SLICE("a2"));
	linked_turn(&l, 3);
	assert_slice(buffer_slice(&l.back.seen), "4:1:r1 1:2:a2 ");
	/* Answers come in any order; one to nobody is dropped. */
	channel_send(l.back.channel, MESSAGE_AUTHENTICATED, 2, SLICE("yes"), -1);
	channel_send(l.back.channel, MESSAGE_AUTHENTICATED, 2, SLICE("twice"), -1);
	channel_send(l.back.channel, MESSAGE_FILED, 77, SLICE("?"), -1);
	linked_turn(&l, 3);
	assert_int_equal(one.answers, 0);
	assert_int_equal(two.answers, 1);
	assert_int_equal(two.err, ERR_OK);
	assert_slice(buffer_slice(&two.payload), "yes");
	link_transaction_abandon(l.link, &one.question);
	buffer_free(&two.payload);
	linked_fini(&l);
}

static void test_link_without_back(void **state)
{
	struct linked l;
	struct asker one = { { .answered = on_answered } }, two = { { .answered = on_answered } };
	linked_init(&l);
	link_ask(l.link, &one.question, MESSAGE_RECIPIENT, SLICE("r"));
	link_transaction_open(l.link, &two.question, SLICE("t"));
	assert_int_equal(one.answers, 0); /* never from inside the call */
	link_transaction_content(l.link, &two.question, SLICE("content"));
	link_transaction_abandon(l.link, &two.question);
	assert_false(link_tell(l.link, MESSAGE_FORGET_TOKEN, SLICE("t"), dup(0)));
	linked_turn(&l, 2);
	assert_int_equal(one.answers, 1);
	assert_int_equal(one.err, ERR_UNAVAILABLE);
	assert_int_equal(two.answers, 0);
	linked_fini(&l);
}

static void test_link_back_dies_and_returns(void **state)
{
	struct linked l;
	struct asker one = { { .answered = on_answered } }, two = { { .answered = on_answered } };
	linked_init(&l);
	linked_connect(&l);
	link_transaction_open(l.link, &one.question, SLICE("t"));
	linked_turn(&l, 2);
	channel_free(&l.back.channel);
	linked_turn(&l, 3);
	assert_int_equal(one.answers, 1);
	assert_int_equal(one.err, ERR_UNAVAILABLE);
	assert_false(link_is_up(l.link));
	buffer_clear(&l.back.seen);
	linked_connect(&l);
	/* What belongs to the dead conversation does not reach the new back. */
	link_transaction_content(l.link, &one.question, SLICE("lost"));
	link_transaction_commit(l.link, &one.question);
	link_ask(l.link, &two.question, MESSAGE_RECIPIENT, SLICE("r"));
	linked_turn(&l, 2);
	assert_slice(buffer_slice(&l.back.seen), "4:2:r ");
	link_transaction_abandon(l.link, &two.question);
	linked_fini(&l);
}

static void test_link_transaction(void **state)
{
	struct linked l;
	struct asker one = { { .answered = on_answered, .credit = on_credit } };
	uint8_t *content = heap_alloc(150000);
	struct buffer credit = { 0 };
	linked_init(&l);
	linked_connect(&l);
	l.back.count_only = true;
	link_transaction_open(l.link, &one.question, SLICE("envelope"));
	link_transaction_content(l.link, &one.question, slice_of(content, 150000));
	link_transaction_commit(l.link, &one.question);
	for (unsigned i = 0; i < 20; i++)
		linked_turn(&l, 1);
	assert_int_equal(l.back.frames, 1 + 3 + 1); /* 64 KiB, 64 KiB and the rest */
	assert_int_equal(l.back.octets, 8 + 150000);
	credit_encode(100000, &credit);
	channel_send(l.back.channel, MESSAGE_CREDIT, 1, buffer_slice(&credit), -1);
	channel_send(l.back.channel, MESSAGE_CREDIT, 1, SLICE("bad"), -1);
	channel_send(l.back.channel, MESSAGE_FILED, 1, SLICE("done"), -1);
	linked_turn(&l, 3);
	assert_int_equal(one.credits, 100000);
	assert_int_equal(one.answers, 1);
	link_transaction_abandon(l.link, &one.question); /* too late, and harmless */
	assert_int_equal(one.answers, 1);
	buffer_free(&one.payload);
	buffer_free(&credit);
	free(content);
	linked_fini(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frames),
		cmocka_unit_test(test_one_write_per_turn),
		cmocka_unit_test(test_cut_anywhere),
		cmocka_unit_test(test_descriptors_in_order),
		cmocka_unit_test(test_bulk_and_drained),
		cmocka_unit_test(test_largest_frame),
		cmocka_unit_test(test_hostile_frames),
		cmocka_unit_test(test_descriptor_flood),
		cmocka_unit_test(test_descriptor_lost),
		cmocka_unit_test(test_close_and_last_words),
		cmocka_unit_test(test_free_in_message),
		cmocka_unit_test(test_unsent_descriptors_are_closed),
		cmocka_unit_test(test_throttle),
		cmocka_unit_test(test_link_answers),
		cmocka_unit_test(test_link_without_back),
		cmocka_unit_test(test_link_back_dies_and_returns),
		cmocka_unit_test(test_link_transaction),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
