/* tests/bench/load.c - load generators for mail servers. Prints one figure a line: name value unit.
 * One blocking thread per connection; see tests/bench/bench for how each one is used. Any error ends
 * the run, so no figure contains failures. */
#include "conn.h"
#include "gen.h"
#include <getopt.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static struct {
	const char *host, *domain, *pass, *user, *box, *name, *exec, *login, *probe;
	int smtp, imap, pop3, conns, rcpts, session, users, batch, tls, starttls, auth, pipeline,
		hold, blind;
	long n, seed;
	size_t size;
} o = { .host = "127.0.0.1",
	.domain = "bench.test",
	.pass = "secret",
	.box = "INBOX",
	.name = "x",
	.conns = 1,
	.rcpts = 1,
	.session = 1 << 30,
	.users = 1,
	.batch = 100,
	.n = 1,
	.seed = 1,
	.pipeline = 1 };

static void figure(const char *what, double v, const char *unit)
{
	printf("%s%s%s %.6g %s\n", o.name, *what ? "_" : "", what, v, unit);
	fflush(stdout);
}

static const char *user(long i) /* the user for work item i */
{
	static __thread char b[64];
	if (o.user)
		return o.user;
	snprintf(b, sizeof b, "u%ld", i % o.users + 1);
	return b;
}

/* what the server wants as a user name: the address where +login=address, else its local part */
static const char *login(long i)
{
	static __thread char b[128];
	if (!o.login || strcmp(o.login, "address"))
		return user(i);
	snprintf(b, sizeof b, "%s@%s", user(i), o.domain);
	return b;
}

static void open_imap(conn *c, long i, size_t cap)
{
	conn_open(c, o.host, o.imap, o.tls, cap);
	imap_login(c, login(i), o.pass);
}

static double cpu(void)
{
	struct rusage r;
	getrusage(RUSAGE_SELF, &r);
	return r.ru_utime.tv_sec + r.ru_stime.tv_sec +
	       (r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}

/* ---- worker threads: each calls fn(conn number) ---- */
static long next_item;
static long take(void)
{
	return __atomic_fetch_add(&next_item, 1, __ATOMIC_RELAXED);
}
static double *lat; /* one latency per work item */

static void parallel(void *(*fn)(void *))
{
	pthread_t *t = calloc(o.conns, sizeof *t);
	pthread_attr_t a;
	pthread_attr_init(&a);
	pthread_attr_setstacksize(&a, 256 << 10);
	for (long i = 0; i < o.conns; i++)
		if (pthread_create(&t[i], &a, fn, (void *)i))
			die("pthread_create");
	for (int i = 0; i < o.conns; i++)
		pthread_join(t[i], NULL);
	free(t);
}

static int cmp(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void percentiles(long n)
{
	qsort(lat, n, sizeof *lat, cmp);
	figure("lat_p50", lat[n / 2] * 1e3, "ms");
	figure("lat_p99", lat[n * 99 / 100] * 1e3, "ms");
	figure("lat_max", lat[n - 1] * 1e3, "ms");
}

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

static void smtp_send(conn *c, buf *b, long i)
{
	char to[128];
	snprintf(to, sizeof to, "%s@%s", user(i * o.rcpts), o.domain);
	gen_msg(b, i + 1, o.size, to);
	memcpy(b->p + b->n, ".\r\n", 3); /* gen_msg leaves room and ends in CRLF */
	conn_printf(c, "MAIL FROM:<a%ld@example.com>\r\n", i % 97);
	smtp_expect(c, 250);
	for (int r = 0; r < o.rcpts; r++) {
		conn_printf(c, "RCPT TO:<%s@%s>\r\n", user(i * o.rcpts + r), o.domain);
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

static void cmd_smtp(void)
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

static void cmd_login(void)
{
	double t = now();
	parallel(login_worker);
	figure("", o.n / (now() - t), "login/s");
	percentiles(o.n);
}

/* ---- append: n messages over conns connections; batch > 1 uses MULTIAPPEND ---- */
static long long appended;
static void *append_worker(void *arg)
{
	conn c;
	buf b = { 0 };
	long me = (long)arg, i;
	char to[96], tag[16];
	open_imap(&c, me, 65536);
	if (!c.litplus)
		imap_cmd(&c, "CAPABILITY");
	snprintf(to, sizeof to, "%s@%s", user(me), o.domain);
	int batch = c.multiappend ? o.batch : 1;
	while ((i = __atomic_fetch_add(&next_item, batch, __ATOMIC_RELAXED)) < o.n) {
		double t = now();
		ires r = { 0 };
		snprintf(tag, sizeof tag, "a%u", ++c.tag);
		conn_printf(&c, "%s APPEND %s", tag, o.box);
		for (long k = i; k < i + batch && k < o.n; k++) {
			gen_msg(&b, k + 1, o.size, to);
			conn_printf(&c, " (%s) {%zu%s}\r\n", k % 3 ? "\\Seen" : "", b.n,
				    c.litplus ? "+" : "");
			if (!c.litplus && *conn_line(&c, NULL) != '+')
				die("APPEND refused");
			conn_write(&c, b.p, b.n);
			__atomic_fetch_add(&appended, b.n, __ATOMIC_RELAXED);
		}
		conn_write(&c, "\r\n", 2);
		if (!imap_wait(&c, tag, &r))
			die("APPEND: %s", r.text);
		lat[i] = now() - t;
	}
	imap_cmd(&c, "LOGOUT");
	conn_close(&c);
	free(b.p);
	return NULL;
}

static void cmd_append(void)
{
	double t = now();
	parallel(append_worker);
	t = now() - t;
	figure("", o.n / t, "msg/s");
	figure("MBps", appended / t / 1e6, "MB/s");
	figure("bytes", appended, "B");
	if (o.batch == 1)
		percentiles(o.n);
}

/* ---- store: commands of one message each, each connection in its user's INBOX ---- */
static void *store_worker(void *arg)
{
	conn c;
	long me = (long)arg, i;
	open_imap(&c, me, 65536);
	long count = imap_cmd(&c, "SELECT INBOX").exists;
	if (count == 0)
		die("nothing in the INBOX of %s", user(me));
	while ((i = take()) < o.n) {
		double t = now();
		long nth = i / o.conns;
		imap_cmd(&c, "STORE %ld %cFLAGS.SILENT (\\Flagged)", nth % count + 1,
			 nth / count % 2 ? '-' : '+');
		lat[i] = now() - t;
	}
	imap_cmd(&c, "LOGOUT");
	conn_close(&c);
	return NULL;
}

static void cmd_store(void)
{
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
static void cmd_imap(int argc, char **argv)
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

static void cmd_push(void)
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
		lat[i] = seen_at - t250;
		pthread_mutex_unlock(&mu);
	}
	pthread_join(t, NULL);
	percentiles(o.n);
}

/* ---- pop3: login+STAT+UIDL, then RETR of n messages ---- */
static void pop3_multi(conn *c, long long *bytes, long *lines)
{
	char *l;
	size_t n;
	pop3_ok(c);
	while (l = conn_line(c, &n), !(n == 1 && *l == '.')) {
		*bytes += n + 2;
		++*lines;
	}
}

static void cmd_pop3(void)
{
	conn c;
	long long bytes = 0;
	long lines = 0;
	double t = now();
	conn_open(&c, o.host, o.pop3, o.tls, 1 << 20);
	pop3_ok(&c);
	conn_printf(&c, "USER %s\r\n", login(0));
	pop3_ok(&c);
	conn_printf(&c, "PASS %s\r\n", o.pass);
	pop3_ok(&c);
	conn_printf(&c, "STAT\r\n");
	pop3_ok(&c);
	conn_printf(&c, "UIDL\r\n");
	pop3_multi(&c, &bytes, &lines);
	figure("login_stat_uidl", now() - t, "s");
	if (lines < o.n)
		die("only %ld messages", lines);
	t = now();
	bytes = 0;
	for (long i = 0; i < o.n; i += o.pipeline) {
		char req[64 * 24];
		int k, n = 0;
		for (k = 0; k < o.pipeline && i + k < o.n; k++)
			n += sprintf(req + n, "RETR %ld\r\n", i + k + 1);
		conn_write(&c, req, n);
		while (k--)
			pop3_multi(&c, &bytes, &lines);
	}
	t = now() - t;
	figure("retr", o.n / t, "msg/s");
	figure("retr_MBps", bytes / t / 1e6, "MB/s");
	conn_printf(&c, "QUIT\r\n");
	pop3_ok(&c);
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

static void cmd_idle(void)
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

/* ---- gen: show the synthetic mail ---- */
static void cmd_gen(void)
{
	buf b = { 0 };
	for (long i = 0; i < o.n; i++) {
		gen_msg(&b, i + 1, o.size, "u1@bench.test");
		fwrite(b.p, 1, b.n, stdout);
	}
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		long *l;
		int *i;
		const char **s;
	} opts[] = {
		{ "host", .s = &o.host },
		{ "domain", .s = &o.domain },
		{ "pass", .s = &o.pass },
		{ "user", .s = &o.user },
		{ "box", .s = &o.box },
		{ "name", .s = &o.name },
		{ "exec", .s = &o.exec },
		{ "login", .s = &o.login },
		{ "probe", .s = &o.probe },
		{ "smtp", .i = &o.smtp },
		{ "imap", .i = &o.imap },
		{ "pop3", .i = &o.pop3 },
		{ "conns", .i = &o.conns },
		{ "rcpts", .i = &o.rcpts },
		{ "session", .i = &o.session },
		{ "users", .i = &o.users },
		{ "batch", .i = &o.batch },
		{ "tls", .i = &o.tls },
		{ "starttls", .i = &o.starttls },
		{ "auth", .i = &o.auth },
		{ "pipeline", .i = &o.pipeline },
		{ "n", .l = &o.n },
		{ "seed", .l = &o.seed },
		{ "size", .l = (long *)&o.size },
		{ "hold", .i = &o.hold },
		{ "blind", .i = &o.blind }, /* nobody looks whether it arrives */
	};
	signal(SIGPIPE, SIG_IGN);
	alarm(1800); /* no run may go on for ever */
	int k = 2;
	for (; k < argc && strchr(argv[k], '=') && argv[k][0] == '+'; k++) { /* +option=value */
		char *eq = strchr(argv[k], '=');
		size_t j, len = eq - argv[k] - 1;
		for (j = 0; j < sizeof opts / sizeof *opts; j++)
			if (strlen(opts[j].name) == len && !strncmp(opts[j].name, argv[k] + 1, len))
				break;
		if (j == sizeof opts / sizeof *opts)
			die("unknown option %s", argv[k]);
		if (opts[j].s)
			*opts[j].s = eq + 1;
		else if (opts[j].i)
			*opts[j].i = atoi(eq + 1);
		else
			*opts[j].l = atol(eq + 1);
	}
	if (argc < 2)
		die("usage: load smtp|login|append|store|imap|push|pop3|idle|gen +option=value... "
		    "[steps]");
	if (o.pipeline > 64 || o.pipeline < 1)
		die("pipeline is 1 to 64");
	gen_init(o.seed);
	lat = calloc(o.n + 1, sizeof *lat);
	const char *cmd = argv[1];
	if (!strcmp(cmd, "smtp"))
		cmd_smtp();
	else if (!strcmp(cmd, "login"))
		cmd_login();
	else if (!strcmp(cmd, "append"))
		cmd_append();
	else if (!strcmp(cmd, "store"))
		cmd_store();
	else if (!strcmp(cmd, "imap"))
		cmd_imap(argc - k, argv + k);
	else if (!strcmp(cmd, "push"))
		cmd_push();
	else if (!strcmp(cmd, "pop3"))
		cmd_pop3();
	else if (!strcmp(cmd, "idle"))
		cmd_idle();
	else if (!strcmp(cmd, "gen"))
		cmd_gen();
	else
		die("unknown command %s", cmd);
	return 0;
}
