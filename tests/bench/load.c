/* tests/bench/load.c - load generators for mail servers. Prints one figure a line: name value unit.
 * One blocking thread per connection; see tests/bench/bench for how each one is used. Any error ends
 * the run, so no figure contains failures. load_*.c have the commands, a protocol each. */
#include "load.h"
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

struct load_options o = { .host = "127.0.0.1",
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

void figure(const char *what, double v, const char *unit)
{
	printf("%s%s%s %.6g %s\n", o.name, *what ? "_" : "", what, v, unit);
	fflush(stdout);
}

const char *user(long i) /* the user for work item i */
{
	static __thread char b[64];
	if (o.user)
		return o.user;
	snprintf(b, sizeof b, "u%ld", i % o.users + 1);
	return b;
}

/* what the server wants as a user name: the address where +login=address, else its local part */
const char *login(long i)
{
	static __thread char b[128];
	if (!o.login || strcmp(o.login, "address"))
		return user(i);
	snprintf(b, sizeof b, "%s@%s", user(i), o.domain);
	return b;
}

void open_imap(conn *c, long i, size_t cap)
{
	conn_open(c, o.host, o.imap, o.tls, cap);
	imap_login(c, login(i), o.pass);
}

double cpu(void)
{
	struct rusage r;
	getrusage(RUSAGE_SELF, &r);
	return r.ru_utime.tv_sec + r.ru_stime.tv_sec +
	       (r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}

/* ---- worker threads: each calls fn(conn number) ---- */
static long next_item;
long take_many(long count)
{
	return __atomic_fetch_add(&next_item, count, __ATOMIC_RELAXED);
}
long take(void)
{
	return take_many(1);
}
double *lat;

void parallel(void *(*fn)(void *))
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

void percentiles(long n)
{
	qsort(lat, n, sizeof *lat, cmp);
	figure("lat_p50", lat[n / 2] * 1e3, "ms");
	figure("lat_p99", lat[n * 99 / 100] * 1e3, "ms");
	figure("lat_max", lat[n - 1] * 1e3, "ms");
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
		{ "to", .s = &o.to },
		{ "spread", .i = &o.spread }, /* recipients' domains: d0 to dN-1 below `to` */
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
	static const char *const mailers[] = { "smtp", "append", "visible", "push" };
	for (size_t i = 0; i < sizeof mailers / sizeof *mailers; i++)
		if (!strcmp(cmd, mailers[i]))
			gen_prepare(o.size);
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
	else if (!strcmp(cmd, "visible"))
		cmd_visible();
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
