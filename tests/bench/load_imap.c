/* tests/bench/load_imap.c - IMAP: sign-ins, appends, changes, timed commands, clients that idle. */
#include "load.h"
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- login: connect, TLS, LOGIN, LOGOUT ---- */
static void *login_worker(void *arg)
{
	(void)arg;
	conn c;
	long i;
	while ((i = take()) < o.n) {
		double t = now();
		open_imap(&c, i, 4096);
		lat[i] = now() - t;
		imap_cmd(&c, "LOGOUT");
		conn_close(&c);
	}
	return NULL;
}

void cmd_login(void)
{
	double t = now();
	parallel(login_worker);
	figure("", o.n / (now() - t), "login/s");
	percentiles(o.n);
}

/* ---- append: n messages over conns connections; batch > 1 uses MULTIAPPEND ---- */
static long long appended;
static pthread_barrier_t signed_in;
static double append_began;

static void gather(buf *to, const void *p, size_t n)
{
	if (to->n + n > to->cap)
		to->p = realloc(to->p, to->cap = (to->n + n) * 2);
	memcpy(to->p + to->n, p, n);
	to->n += n;
}

__attribute__((format(printf, 2, 3))) static void gather_line(buf *to, const char *fmt, ...)
{
	char line[256];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	if (n >= (int)sizeof line)
		die("a line of %d octets", n);
	gather(to, line, n);
}

static void send_gathered(conn *c, buf *from)
{
	conn_write(c, from->p, from->n);
	from->n = 0;
}

/* A command goes out whole, as clients with LITERAL+ have it. */
static void *append_worker(void *arg)
{
	conn c;
	buf b = { 0 }, out = { 0 };
	long me = (long)arg, i;
	char to[96], tag[16];
	open_imap(&c, me, 65536);
	if (!c.litplus)
		imap_cmd(&c, "CAPABILITY");
	snprintf(to, sizeof to, "%s@%s", user(me), o.domain);
	int batch = c.multiappend ? o.batch : 1;
	/* Nobody begins before all can: a mailbox would be left out otherwise. */
	if (pthread_barrier_wait(&signed_in) == PTHREAD_BARRIER_SERIAL_THREAD)
		append_began = now();
	while ((i = take_many(batch)) < o.n) {
		double t = now();
		ires r = { 0 };
		snprintf(tag, sizeof tag, "a%u", ++c.tag);
		gather_line(&out, "%s APPEND %s", tag, o.box);
		for (long k = i; k < i + batch && k < o.n; k++) {
			gen_msg(&b, k + 1, o.size, to);
			gather_line(&out, " (%s) {%zu%s}\r\n", k % 3 ? "\\Seen" : "", b.n,
				    c.litplus ? "+" : "");
			if (!c.litplus || out.n > 1 << 20)
				send_gathered(&c, &out);
			if (!c.litplus && *conn_line(&c, NULL) != '+')
				die("APPEND refused");
			gather(&out, b.p, b.n);
			__atomic_fetch_add(&appended, b.n, __ATOMIC_RELAXED);
		}
		gather(&out, "\r\n", 2);
		send_gathered(&c, &out);
		if (!imap_wait(&c, tag, &r))
			die("APPEND: %s", r.text);
		lat[i] = now() - t;
	}
	imap_cmd(&c, "LOGOUT");
	conn_close(&c);
	free(b.p);
	free(out.p);
	return NULL;
}

void cmd_append(void)
{
	pthread_barrier_init(&signed_in, NULL, o.conns);
	parallel(append_worker);
	double t = append_began;
	t = now() - t;
	figure("", o.n / t, "msg/s");
	figure("MBps", appended / t / 1e6, "MB/s");
	figure("bytes", appended, "B");
	if (o.batch == 1)
		percentiles(o.n);
}

/* ---- store: commands of one message each, each connection in its user's INBOX ---- */
static void open_inbox(conn *c, long me, long *count)
{
	open_imap(c, me, 65536);
	*count = imap_cmd(c, "SELECT INBOX").exists;
	if (*count == 0)
		die("nothing in the INBOX of %s", user(me));
}

static void *store_clear_worker(void *arg)
{
	conn c;
	long count;
	open_inbox(&c, (long)arg, &count);
	imap_cmd(&c, "STORE 1:%ld -FLAGS.SILENT (\\Flagged)", count);
	imap_cmd(&c, "LOGOUT");
	conn_close(&c);
	return NULL;
}

/* Every command changes something: each connection counts its own. */
static void *store_worker(void *arg)
{
	conn c;
	long count, i;
	open_inbox(&c, (long)arg, &count);
	for (long nth = 0; (i = take()) < o.n; nth++) {
		double t = now();
		imap_cmd(&c, "STORE %ld %cFLAGS.SILENT (\\Flagged)", nth % count + 1,
			 nth / count % 2 ? '-' : '+');
		lat[i] = now() - t;
	}
	imap_cmd(&c, "LOGOUT");
	conn_close(&c);
	return NULL;
}

void cmd_store(void)
{
	parallel(store_clear_worker);
	double t = now();
	parallel(store_worker);
	figure("", o.n / (now() - t), "cmd/s");
	percentiles(o.n);
}

/* ---- probe: what another user waits for a NOOP meanwhile ---- */
static double probe_max; /* since it was last set to 0 */
static long probe_count;
static int probe_stop;
static pthread_mutex_t probe_lock = PTHREAD_MUTEX_INITIALIZER;

static void *probe_run(void *arg)
{
	conn *c = arg;
	while (!__atomic_load_n(&probe_stop, __ATOMIC_RELAXED)) {
		double t = now();
		imap_cmd(c, "NOOP");
		t = now() - t;
		pthread_mutex_lock(&probe_lock);
		if (t > probe_max)
			probe_max = t;
		probe_count++;
		pthread_mutex_unlock(&probe_lock);
		usleep(300);
	}
	imap_cmd(c, "LOGOUT");
	conn_close(c);
	return NULL;
}

static pthread_t probe_start(conn *c)
{
	pthread_t thread = 0;
	char name[128];
	snprintf(name, sizeof name, o.login && !strcmp(o.login, "address") ? "%s@%s" : "%s",
		 o.probe, o.domain);
	conn_open(c, o.host, o.imap, o.tls, 4096);
	imap_login(c, name, o.pass);
	imap_cmd(c, "SELECT INBOX");
	if (pthread_create(&thread, NULL, probe_run, c))
		die("pthread_create");
	return thread;
}

/* The longest NOOP that began since the last call; waits until one has ended after it. */
static double probe_take(void)
{
	pthread_mutex_lock(&probe_lock);
	long until = probe_count + 1;
	while (probe_count < until) {
		pthread_mutex_unlock(&probe_lock);
		usleep(200);
		pthread_mutex_lock(&probe_lock);
	}
	double longest = probe_max;
	probe_max = 0;
	pthread_mutex_unlock(&probe_lock);
	return longest;
}

/* ---- imap: timed steps "name=COMMAND", or "name=*K COMMAND with %d" ---- */
void cmd_imap(int argc, char **argv)
{
	conn c, prober;
	pthread_t thread = 0;
	open_imap(&c, 0, 1 << 20);
	if (o.probe)
		thread = probe_start(&prober);
	for (int k = 0; k < argc; k++) {
		char *eq = strchr(argv[k], '='), *s = eq ? eq + 1 : NULL, line[1024];
		if (!eq)
			die("step without name: %s", argv[k]);
		*eq = 0;
		long times = *s == '*' ? strtol(s + 1, &s, 10) : 1;
		while (times > 1 && *s == ' ')
			s++;
		ires r = { 0 };
		if (o.probe)
			probe_take();
		double t = now(), first = 0;
		for (long i = 1; i <= times; i++) {
			char *d = strstr(s, "%d");
			if (d)
				snprintf(line, sizeof line, "%.*s%ld%s", (int)(d - s), s, i, d + 2);
			else
				snprintf(line, sizeof line, "%s", s);
			ires x = imap_cmd(&c, "%s", line);
			if (i == 1)
				first = x.first - t;
			r.fetches += x.fetches;
			r.expunges += x.expunges;
			r.hits += x.hits;
			r.bytes += x.bytes;
		}
		t = now() - t;
		double noop = o.probe ? probe_take() : 0;
		if (argv[k][0] == '-') /* "-name": not a figure, only setup */
			continue;
		char nm[128];
		snprintf(nm, sizeof nm, "%s", argv[k]);
		figure(nm, times > 1 ? times / t : t, times > 1 ? "cmd/s" : "s");
		if (o.probe) {
			snprintf(nm, sizeof nm, "%s_noop", argv[k]);
			figure(nm, noop * 1e3, "ms");
		}
		if (r.bytes > 5000000 && times == 1) {
			snprintf(nm, sizeof nm, "%s_MBps", argv[k]);
			figure(nm, r.bytes / t / 1e6, "MB/s");
		}
		fprintf(stderr,
			"# %s: %ld fetch, %ld expunge, %ld hits, %lld bytes, first byte %.4f s\n",
			argv[k], r.fetches, r.expunges, r.hits, r.bytes, first);
	}
	if (o.probe) {
		__atomic_store_n(&probe_stop, 1, __ATOMIC_RELAXED);
		pthread_join(thread, NULL);
	}
	imap_cmd(&c, "LOGOUT");
	conn_close(&c);
}

/* ---- idle: n connections in IDLE, then run a command ---- */
static conn *idlers;
static void *idle_worker(void *arg)
{
	(void)arg;
	long i;
	while ((i = take()) < o.n) {
		open_imap(&idlers[i], i, 2048);
		imap_cmd(&idlers[i], "SELECT INBOX");
		conn_printf(&idlers[i], "i IDLE\r\n");
		char *l;
		while (l = conn_line(&idlers[i], NULL), *l != '+')
			if (*l != '*')
				die("IDLE: %s", l);
	}
	return NULL;
}

void cmd_idle(void)
{
	idlers = calloc(o.n, sizeof *idlers);
	double t = now();
	parallel(idle_worker);
	figure("connect", now() - t, "s");
	if (o.exec && system(o.exec) != 0)
		die("%s failed", o.exec);
	for (long i = 0; i < o.n; i++)
		close(idlers[i].fd);
}
