/* tests/unit/imapd/bodies.h - mailboxes with messages of some size in the world of a test program, and
 * damage to them. */
#pragma once

#include "tests/unit/imapd/world.h"

#include <fcntl.h>

#include "base/base64.h"

static inline void expect(struct session *session, const char *line, const char *want)
{
	struct buffer said = { 0 };
	run_in_turns(session, line, &said);
	assert_slice(buffer_slice(&said), want);
	buffer_free(&said);
}

static inline void expect_end(struct session *session, const char *line, const char *want)
{
	struct buffer said = { 0 };
	run_in_turns(session, line, &said);
	size_t len = strlen(want);
	assert_true(said.len >= len);
	assert_slice(slice_sub(buffer_slice(&said), said.len - len, len), want);
	buffer_free(&said);
}

static inline void append(struct session *session, const char *mailbox, struct slice message)
{
	struct buffer line = { 0 }, said = { 0 };
	buffer_add_format(&line, "a APPEND %s ~{%zu+}\r\n", mailbox, message.len);
	buffer_add(&line, message);
	buffer_add_cstr(&line, "\r\n");
	assert_true(core_feed(&world, session, buffer_slice(&line), &said));
	assert_true(slice_find(buffer_slice(&said), 0, SLICE("a OK")) < said.len);
	buffer_free(&line);
	buffer_free(&said);
}

/* A message that does not compress, of lines. */
static inline void make_message(struct buffer *message, size_t octets, unsigned seed)
{
	srandom(seed);
	buffer_add_cstr(message, "Subject: large\r\n"
				 "Content-Type: application/octet-stream\r\n"
				 "Content-Transfer-Encoding: base64\r\n\r\n");
	while (message->len < octets) {
		uint8_t line[57];
		for (size_t i = 0; i < sizeof(line); i++)
			line[i] = (uint8_t)random();
		base64_encode(slice_of(line, sizeof(line)), message);
		buffer_add_cstr(message, "\r\n");
	}
}

static inline void create(struct session *session, const char *mailbox)
{
	char line[100];
	snprintf(line, sizeof(line), "c CREATE %s", mailbox);
	expect_end(session, line, "] CREATE completed\r\n");
}

static inline void reopen(struct session *session, const char *mailbox)
{
	char line[100];
	snprintf(line, sizeof(line), "s SELECT %s", mailbox);
	expect_end(session, line, "s OK [READ-WRITE] SELECT completed\r\n");
}

/* Changes one octet of the store's file where `octets` stand in it. */
static inline void damage(struct slice octets)
{
	char path[128];
	struct buffer file = { 0 };
	snprintf(path, sizeof(path), "%s/store/data.mdb", world.dir);
	int fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	for (ssize_t got = 1; got > 0;) {
		got = read(fd, buffer_reserve(&file, 1 << 20), 1 << 20);
		file.len += got > 0 ? (size_t)got : 0;
	}
	size_t at = slice_find(buffer_slice(&file), 0, octets);
	assert_true(at < file.len);
	while (at < file.len) { /* every copy: pages of earlier transactions may still hold it */
		uint8_t other = (uint8_t)(octets.ptr[0] ^ 1);
		assert_int_equal(pwrite(fd, &other, 1, (off_t)at), 1);
		at = slice_find(buffer_slice(&file), at + 1, octets);
	}
	close(fd);
	buffer_free(&file);
}
