/* tests/bench/load_smtp.c - mail on its way in, until it is seen. */
#include "load.h"
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- smtp: accept rate, then delivered rate ---- */
static void smtp_hello(conn *c)
{
	conn_open(c, o.host, o.smtp, 0, 4096);
	smtp_expect(c, 220);
	conn_printf(c, "EHLO load.example.com\r\n");
	smtp_expect(c, 250);
	if (o.starttls) {
		conn_printf(c, "STARTTLS\r\n");
		smtp_expect(c, 220);
		conn_starttls(c);
		conn_printf(c, "EHLO load.example.com\r\n");
		smtp_expect(c, 250);
	}
	if (o.auth) { /* AUTH PLAIN \0u1\0pass */
		char plain[128], b64[256];
		int n = snprintf(plain, sizeof plain, "%c%s%c%s", 0, login(0), 0, o.pass);
		EVP_EncodeBlock((unsigned char *)b64, (unsigned char *)plain, n);
		conn_printf(c, "AUTH PLAIN %s\r\n", b64);
		smtp_expect(c, 235);
	}
}

static void rcpt_path(char *to, size_t size, long i)
{
	if (o.spread)
		snprintf(to, size, "%s@d%ld.%s", user(i), i % o.spread, o.to ? o.to : o.domain);
	else
		snprintf(to, size, "%s@%s", user(i), o.to ? o.to : o.domain);
}

static void smtp_send(conn *c, buf *b, long i)
{
	char to[128];
	rcpt_path(to, sizeof to, i * o.rcpts);
	gen_msg(b, i + 1, o.size, to);
	memcpy(b->p + b->n, ".\r\n", 3); /* gen_msg leaves room and ends in CRLF */
	conn_printf(c, "MAIL FROM:<a%ld@example.com>\r\n", i % 97);
	smtp_expect(c, 250);
	for (int r = 0; r < o.rcpts; r++) {
		rcpt_path(to, sizeof to, i * o.rcpts + r);
		conn_printf(c, "RCPT TO:<%s>\r\n", to);
		smtp_expect(c, 250);
	}
	conn_printf(c, "DATA\r\n");
	smtp_expect(c, 354);
	conn_write(c, b->p, b->n + 3);
	smtp_expect(c, 250);
}

static void *smtp_worker(void *arg)
{
	(void)arg;
	conn c;
	buf b = { 0 };
	int in = 0;
	long i;
	while ((i = take()) < o.n) {
		double t = now();
		if (!in)
			smtp_hello(&c);
		smtp_send(&c, &b, i);
		lat[i] = now() - t;
		if (++in == o.session) {
			conn_printf(&c, "QUIT\r\n");
			smtp_expect(&c, 221);
			conn_close(&c);
			in = 0;
		}
	}
	if (in)
		conn_close(&c);
	free(b.p);
	return NULL;
}

/* Connections that were greeted and then stand open. */
static void smtp_hold(void)
{
	for (int i = 0; i < o.hold; i++) {
		conn c;
		smtp_hello(&c);
	}
}

void cmd_smtp(void)
{
	smtp_hold();
	int nu = o.blind ? 0 : o.user ? 1 : o.users;
	conn *v = calloc(nu, sizeof *v);
	long *want = calloc(nu, sizeof *want), *base = calloc(nu, sizeof *base), got = 0,
	     total = o.n * o.rcpts;
	for (int u = 0; u < nu; u++) { /* viewers log in before the clock starts */
		open_imap(&v[u], u, 4096);
		want[u] = base[u] = imap_status(&v[u], o.box);
	}
	for (long k = 0; nu && k < total; k++)
		want[k % nu]++;
	double t0 = now(), c0 = cpu();
	parallel(smtp_worker);
	double t1 = now(), t2 = t1;
	figure("accept", o.n / (t1 - t0), "msg/s");
	for (int first = 1; !o.blind; first = 0) {
		int left = 0;
		got = 0;
		for (int u = 0; u < nu; u++) {
			if (base[u] < want[u]) {
				long now_have = imap_status(&v[u], o.box);
				got += now_have - base[u];
				if (now_have >= want[u])
					base[u] = want[u];
				else
					left++;
			}
		}
		t2 = now();
		if (first)
			figure("backlog_at_last_accept", total - got, "msg");
		if (!left)
			break;
		if (t2 - t1 > 600)
			die("%d mailboxes still incomplete after 600 s", left);
		usleep(20000);
	}
	if (!o.blind) {
		figure("delivered", total / (t2 - t0), "msg/s");
		figure("last_visible", t2 - t0, "s");
	}
	if (!o.blind && o.size > 40000)
		figure("delivered_MBps", total / (t2 - t0) * o.size / 1e6, "MB/s");
	percentiles(o.n);
	figure("gen_cpu", cpu() - c0, "s");
}

/* ---- visible: time from SMTP 250 to the message in its mailbox ---- */
void cmd_visible(void)
{
	conn s, c;
	buf b = { 0 };
	open_imap(&c, 0, 65536);
	long have = imap_status(&c, o.box);
	smtp_hello(&s);
	for (long i = 0; i < o.n; i++) {
		usleep(5000 + i * 7919 % 20000);
		smtp_send(&s, &b, i);
		double t250 = now();
		have++;
		while (imap_status(&c, o.box) < have)
			usleep(200); /* a server that is not there yet has the processor */
		lat[i] = now() - t250;
	}
	percentiles(o.n);
}

/* ---- push: time from SMTP 250 to EXISTS on an idling client ---- */
static double seen_at;
static long seen_n, want_n;
static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cv = PTHREAD_COND_INITIALIZER;

static void *push_idler(void *arg)
{
	conn *c = arg;
	for (;;) {
		char *l = conn_line(c, NULL), *e;
		long v = *l == '*' ? strtol(l + 2, &e, 10) : 0;
		if (v && !strcmp(e, " EXISTS")) {
			pthread_mutex_lock(&mu);
			seen_n = v;
			seen_at = now();
			pthread_cond_signal(&cv);
			int done = v >= want_n;
			pthread_mutex_unlock(&mu);
			if (done)
				return NULL;
		}
	}
}

void cmd_push(void)
{
	conn s, c;
	buf b = { 0 };
	pthread_t t;
	open_imap(&c, 0, 65536);
	long base = imap_cmd(&c, "SELECT INBOX").exists;
	want_n = base + o.n;
	conn_printf(&c, "i IDLE\r\n");
	if (*conn_line(&c, NULL) != '+')
		die("IDLE refused");
	pthread_create(&t, NULL, push_idler, &c);
	smtp_hello(&s);
	for (long i = 0; i < o.n; i++) {
		usleep(20000 + i * 7919 % 50000);
		smtp_send(&s, &b, i);
		double t250 = now();
		pthread_mutex_lock(&mu);
		while (seen_n < base + i + 1)
			pthread_cond_wait(&cv, &mu);
		if (seen_n > base + i + 1)
			die("the mailbox gets mail of others, too");
		lat[i] = seen_at - t250;
		pthread_mutex_unlock(&mu);
	}
	pthread_join(t, NULL);
	percentiles(o.n);
}
