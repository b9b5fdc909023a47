/* tests/bench/limits.c - what this machine can do at best: disk syncs, LMDB, loopback, AES-GCM,
 * memcpy, hashes.
 * limits DIR              all, each for some seconds (DIR is on the disk that will hold the mail)
 * limits DIR lmdb SECONDS  LMDB's commits of one record alone */
#include <arpa/inet.h>
#include <crypt.h>
#include <fcntl.h>
#include <lmdb.h>
#include <openssl/aead.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *dir;
static char path[512], block[1 << 20];
static double seconds = 3;

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static const char *in(const char *name)
{
	snprintf(path, sizeof path, "%s/%s", dir, name);
	return path;
}

static void check(int bad, const char *what)
{
	if (bad) {
		perror(what);
		exit(1);
	}
}

/* fdatasync after every 4 KB; pre: into a preallocated and already written file */
struct job {
	int id, pre;
	long n;
};
static double deadline;
static void *sync_job(void *arg)
{
	struct job *j = arg;
	char p[512];
	snprintf(p, sizeof p, "%s/s%d", dir, j->id);
	int fd = open(p, O_CREAT | O_RDWR | O_TRUNC, 0600);
	check(fd < 0, p);
	if (j->pre) {
		for (int i = 0; i < 64; i++)
			check(write(fd, block, sizeof block) < 0, "write");
		fsync(fd);
		lseek(fd, 0, SEEK_SET);
	}
	pthread_barrier_t *b = (pthread_barrier_t *)(block + 4096);
	pthread_barrier_wait(b);
	while (now() < deadline) {
		if (j->pre && j->n % 16384 == 16383)
			lseek(fd, 0, SEEK_SET);
		check(write(fd, block, 4096) != 4096 || fdatasync(fd), "fdatasync");
		j->n++;
	}
	close(fd);
	unlink(p);
	return NULL;
}

static double sync_rate(int threads, int pre)
{
	pthread_t t[64];
	struct job j[64] = { 0 };
	pthread_barrier_t *b = (pthread_barrier_t *)(block + 4096);
	pthread_barrier_init(b, NULL, threads + 1);
	deadline = now() + 1e9;
	for (int i = 0; i < threads; i++) {
		j[i] = (struct job){ .id = i, .pre = pre };
		pthread_create(&t[i], NULL, sync_job, &j[i]);
	}
	double s = now();
	deadline = s + 1e9;
	pthread_barrier_wait(b);
	s = now();
	deadline = s + seconds;
	long n = 0;
	for (int i = 0; i < threads; i++) {
		pthread_join(t[i], NULL);
		n += j[i].n;
	}
	return n / (now() - s);
}

static void fig(const char *n, double v, const char *u)
{
	printf("%s %.6g %s\n", n, v, u);
	fflush(stdout);
}

static void maildir_way(void) /* create, write 4 KB, fsync, rename, fsync of the folder */
{
	mkdir(in("tmp"), 0700);
	mkdir(in("new"), 0700);
	int d = open(in("new"), O_RDONLY | O_DIRECTORY);
	double s = now();
	long n = 0;
	for (; now() < s + seconds; n++) {
		char a[600], b[600];
		snprintf(a, sizeof a, "%s/tmp/%ld", dir, n);
		snprintf(b, sizeof b, "%s/new/%ld", dir, n);
		int fd = open(a, O_CREAT | O_EXCL | O_WRONLY, 0600);
		check(fd < 0 || write(fd, block, 4096) != 4096 || fsync(fd) || close(fd) ||
			      rename(a, b) || fsync(d),
		      "maildir");
	}
	fig("disk_create_fsync_rename_fsyncdir", n / (now() - s), "op/s");
	while (n--) {
		char b[600];
		snprintf(b, sizeof b, "%s/new/%ld", dir, n);
		unlink(b);
	}
	close(d);
	rmdir(in("new"));
	rmdir(in("tmp"));
}

static void seq_write(void)
{
	int fd = open(in("seq"), O_CREAT | O_WRONLY | O_TRUNC, 0600);
	double s = now();
	long n = 0;
	for (; n < 2048; n++)
		check(write(fd, block, sizeof block) < 0, "write");
	fdatasync(fd);
	fig("disk_write_2GiB_then_sync", n * (double)sizeof block / 1e6 / (now() - s), "MB/s");
	close(fd);
	unlink(path);
}

static void lmdb_rate(int per, int flags, const char *name)
{
	MDB_env *e;
	MDB_txn *t;
	MDB_dbi d;
	mkdir(in("lmdb"), 0700);
	mdb_env_create(&e);
	mdb_env_set_mapsize(e, 8ul << 30);
	check(mdb_env_open(e, in("lmdb"), flags, 0600), "mdb_env_open");
	mdb_txn_begin(e, NULL, 0, &t);
	mdb_dbi_open(t, NULL, MDB_INTEGERKEY, &d);
	mdb_txn_commit(t);
	double s = now();
	unsigned long k = 0, n = 0;
	for (; now() < s + seconds; n++) {
		mdb_txn_begin(e, NULL, 0, &t);
		for (int i = 0; i < per; i++, k++) {
			MDB_val K = { sizeof k, &k }, V = { 4000, block };
			check(mdb_put(t, d, &K, &V, MDB_APPEND), "mdb_put");
		}
		check(mdb_txn_commit(t), "mdb_txn_commit");
	}
	double dt = now() - s;
	char f[64];
	snprintf(f, sizeof f, "%s_txn", name);
	fig(f, n / dt, "txn/s");
	snprintf(f, sizeof f, "%s_records", name);
	fig(f, k / dt, "rec/s");
	mdb_env_close(e);
	unlink(in("lmdb/data.mdb"));
	unlink(in("lmdb/lock.mdb"));
	rmdir(in("lmdb"));
}

/* loopback: one sender thread, one receiver */
static int pair[2];
static void *drain(void *a)
{
	static char b[1 << 18];
	(void)a;
	while (read(pair[1], b, sizeof b) > 0)
		;
	return NULL;
}
static void *echo(void *a)
{
	char b[64];
	ssize_t r;
	(void)a;
	while ((r = read(pair[1], b, sizeof b)) > 0)
		check(write(pair[1], b, r) < 0, "echo");
	return NULL;
}
static void loopback(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t l = sizeof sa;
	int s = socket(AF_INET, SOCK_STREAM, 0);
	bind(s, (void *)&sa, sizeof sa);
	listen(s, 8);
	getsockname(s, (void *)&sa, &l);
	for (int k = 0; k < 2; k++) {
		pthread_t t;
		pair[0] = socket(AF_INET, SOCK_STREAM, 0);
		check(connect(pair[0], (void *)&sa, sizeof sa), "connect");
		pair[1] = accept(s, NULL, NULL);
		pthread_create(&t, NULL, k ? echo : drain, NULL);
		double a = now();
		long n = 0;
		char b[64];
		for (; now() < a + seconds; n++)
			if (k)
				check(write(pair[0], "x", 1) != 1 || read(pair[0], b, 1) != 1,
				      "ping");
			else
				check(write(pair[0], block, 262144) < 0, "write");
		if (k)
			fig("loopback_ping_pong", n / (now() - a), "rtt/s");
		else
			fig("loopback_throughput", n * 262144.0 / 1e6 / (now() - a), "MB/s");
		close(pair[0]);
		pthread_join(t, NULL);
		close(pair[1]);
	}
	double a = now();
	long n = 0;
	for (; now() < a + seconds && n < 20000; n++) {
		int c = socket(AF_INET, SOCK_STREAM, 0);
		check(connect(c, (void *)&sa, sizeof sa), "connect");
		close(accept(s, NULL, NULL));
		close(c);
	}
	fig("loopback_connect_accept_close", n / (now() - a), "conn/s");
	close(s);
}

/* What one core encrypts in TLS records of 16 KiB. */
static void aes_gcm(void)
{
	enum { RECORD = 16384 };
	static uint8_t out[RECORD + EVP_AEAD_MAX_OVERHEAD];
	uint8_t key[16] = { 1 }, nonce[12] = { 0 };
	EVP_AEAD_CTX *c = EVP_AEAD_CTX_new(EVP_aead_aes_128_gcm(), key, sizeof key, 0);
	check(!c, "EVP_AEAD_CTX_new");
	double s = now();
	long n = 0;
	for (; now() < s + seconds; n++) {
		size_t len;
		memcpy(nonce, &n, sizeof n);
		check(!EVP_AEAD_CTX_seal(c, out, &len, sizeof out, nonce, sizeof nonce,
					 (uint8_t *)block, RECORD, NULL, 0),
		      "EVP_AEAD_CTX_seal");
	}
	fig("aes_gcm_one_core", n * (double)RECORD / 1e6 / (now() - s), "MB/s");
	EVP_AEAD_CTX_free(c);
}

static void cpu(void)
{
	double s = now();
	long f = 0;
	for (; now() < s + 2; f++) {
		pid_t p = fork();
		if (!p)
			_exit(0);
		waitpid(p, NULL, 0);
	}
	fig("fork_exit_wait", f / (now() - s), "proc/s");
	size_t z = 256 << 20;
	char *a = malloc(z), *b = malloc(z);
	memset(a, 1, z);
	memset(b, 2, z);
	s = now();
	int n = 0;
	for (; now() < s + 2; n++)
		memcpy(n & 1 ? a : b, n & 1 ? b : a, z);
	fig("memcpy_256MiB", n * (double)z / 1e6 / (now() - s), "MB/s");
	struct crypt_data cd = { 0 };
	s = now();
	for (n = 0; now() < s + 2; n++)
		crypt_r("secret", "$6$saltsaltsaltsalt$", &cd);
	fig("sha512_crypt_one_core", n / (now() - s), "hash/s");
	free(a);
	free(b);
}

int main(int argc, char **argv)
{
	bool is_lmdb = argc == 4 && strcmp(argv[2], "lmdb") == 0;
	check(argc != 2 && !is_lmdb, "usage: limits DIR [lmdb SECONDS]");
	dir = argv[1];
	memset(block, 'x', 4096);
	if (is_lmdb) {
		seconds = strtod(argv[3], NULL);
		lmdb_rate(1, 0, "lmdb_sync_1x4K");
		return 0;
	}
	fig("disk_fdatasync_4K_overwrite", sync_rate(1, 1), "op/s");
	fig("disk_fdatasync_4K_append", sync_rate(1, 0), "op/s");
	fig("disk_fdatasync_4K_append_8_threads", sync_rate(8, 0), "op/s");
	fig("disk_fdatasync_4K_append_32_threads", sync_rate(32, 0), "op/s");
	maildir_way();
	seq_write();
	lmdb_rate(1, 0, "lmdb_sync_1x4K");
	lmdb_rate(100, 0, "lmdb_sync_100x4K");
	lmdb_rate(100, MDB_NOMETASYNC, "lmdb_nometasync_100x4K");
	lmdb_rate(1, MDB_NOSYNC, "lmdb_nosync_1x4K");
	loopback();
	aes_gcm();
	cpu();
	return 0;
}
