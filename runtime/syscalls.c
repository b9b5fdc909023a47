/* runtime/syscalls.c - seccomp filters by libseccomp: a list of what may be called for front
 * and back, a list of what may not for the supervisor.
 *
 * What is not allowed is trapped, not refused by the filter itself: the handler writes one
 * line for the first attempt of each kind, so that a forgotten call shows in the log, and
 * answers EACCES. Who blocks SIGSYS first is killed by the kernel instead. Only what
 * libraries try on the off chance is refused silently. */
#include "runtime/syscalls_priv.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <netinet/in.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/log.h"

enum { CALLS_MAX = 512 };
/* CLONE_NEWTIME is of clone3() only. */
#define CLONE_NAMESPACES                                                               \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | \
	 CLONE_NEWPID | CLONE_NEWNET)

/* Memory, threads, time, and descriptors that are open already. */
static const int common_calls[] = {
	SCMP_SYS(read),
	SCMP_SYS(readv),
	SCMP_SYS(write),
	SCMP_SYS(writev),
	SCMP_SYS(close),
	SCMP_SYS(dup),
	SCMP_SYS(dup3),
	SCMP_SYS(pipe2),
	SCMP_SYS(eventfd2),
	SCMP_SYS(epoll_create1),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(epoll_pwait2),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(fstat),
	SCMP_SYS(recvfrom),
	SCMP_SYS(recvmsg),
	SCMP_SYS(sendto),
	SCMP_SYS(sendmsg),
	SCMP_SYS(shutdown),
	SCMP_SYS(getsockname),
	SCMP_SYS(getpeername),
	SCMP_SYS(getsockopt),
	SCMP_SYS(setsockopt),
	SCMP_SYS(brk),
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(madvise),
	SCMP_SYS(futex),
	SCMP_SYS(rseq),
	SCMP_SYS(set_robust_list),
	SCMP_SYS(get_robust_list),
	SCMP_SYS(sched_yield),
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(sigaltstack),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_getres),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(nanosleep),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(time),
	SCMP_SYS(getrandom),
	SCMP_SYS(sysinfo), /* qsort() asks how much memory it may take */
	SCMP_SYS(getpid),
	SCMP_SYS(getppid),
	SCMP_SYS(gettid),
	SCMP_SYS(getuid),
	SCMP_SYS(geteuid),
	SCMP_SYS(getgid),
	SCMP_SYS(getegid),
	SCMP_SYS(getrusage),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
};
static const int front_calls[] = {
	SCMP_SYS(accept4), SCMP_SYS(listen),   SCMP_SYS(bind),
	SCMP_SYS(connect), SCMP_SYS(recvmmsg), SCMP_SYS(sendmmsg),
};
/* Which files these reach is Landlock's to say. */
static const int back_calls[] = {
	SCMP_SYS(open),
	SCMP_SYS(openat),
	SCMP_SYS(stat),
	SCMP_SYS(lstat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(statx),
	SCMP_SYS(statfs),
	SCMP_SYS(fstatfs),
	SCMP_SYS(access),
	SCMP_SYS(faccessat),
	SCMP_SYS(getdents64),
	SCMP_SYS(lseek),
	SCMP_SYS(pread64),
	SCMP_SYS(preadv),
	SCMP_SYS(pwrite64),
	SCMP_SYS(pwritev),
	SCMP_SYS(ftruncate),
	SCMP_SYS(fallocate),
	SCMP_SYS(fsync),
	SCMP_SYS(fdatasync),
	SCMP_SYS(msync),
	SCMP_SYS(flock),
	SCMP_SYS(fadvise64),
	SCMP_SYS(unlink),
	SCMP_SYS(unlinkat),
	SCMP_SYS(rename),
	SCMP_SYS(renameat),
	SCMP_SYS(renameat2),
	SCMP_SYS(mincore),
	SCMP_SYS(readahead),
	SCMP_SYS(sync_file_range),
	SCMP_SYS(uname),
};
/* What neither the supervisor nor a child that it starts has any use for. */
static const int supervisor_refuses[] = {
	SCMP_SYS(ptrace),
	SCMP_SYS(process_vm_readv),
	SCMP_SYS(process_vm_writev),
	SCMP_SYS(process_madvise),
	SCMP_SYS(pidfd_getfd),
	SCMP_SYS(kcmp),
	SCMP_SYS(mount),
	SCMP_SYS(umount2),
	SCMP_SYS(pivot_root),
	SCMP_SYS(move_mount),
	SCMP_SYS(open_tree),
	SCMP_SYS(fsopen),
	SCMP_SYS(fsmount),
	SCMP_SYS(mount_setattr),
	SCMP_SYS(setns),
	SCMP_SYS(unshare),
	SCMP_SYS(swapon),
	SCMP_SYS(swapoff),
	SCMP_SYS(reboot),
	SCMP_SYS(kexec_load),
	SCMP_SYS(kexec_file_load),
	SCMP_SYS(init_module),
	SCMP_SYS(finit_module),
	SCMP_SYS(delete_module),
	SCMP_SYS(bpf),
	SCMP_SYS(perf_event_open),
	SCMP_SYS(userfaultfd),
	SCMP_SYS(io_uring_setup),
	SCMP_SYS(io_uring_enter),
	SCMP_SYS(io_uring_register),
	SCMP_SYS(add_key),
	SCMP_SYS(request_key),
	SCMP_SYS(keyctl),
	SCMP_SYS(quotactl),
	SCMP_SYS(acct),
	SCMP_SYS(settimeofday),
	SCMP_SYS(clock_settime),
	SCMP_SYS(adjtimex),
	SCMP_SYS(clock_adjtime),
	SCMP_SYS(sethostname),
	SCMP_SYS(setdomainname),
	SCMP_SYS(iopl),
	SCMP_SYS(ioperm),
	SCMP_SYS(modify_ldt),
	SCMP_SYS(open_by_handle_at),
	SCMP_SYS(name_to_handle_at),
	SCMP_SYS(personality),
	SCMP_SYS(syslog),
	SCMP_SYS(vhangup),
	SCMP_SYS(fanotify_init),
	SCMP_SYS(lookup_dcookie),
};

/* ---- what happens to a call that is not allowed ---- */

static char *call_names[CALLS_MAX]; /* made before: a handler may not allocate */
static atomic_bool call_seen[CALLS_MAX];
static bool violators_die;

struct text {
	char octets[128];
	size_t len;
};

static void add(struct text *text, const char *more)
{
	while (*more && text->len < sizeof(text->octets))
		text->octets[text->len++] = *more++;
}

/* By hand: log_write() takes locks, and whoever was interrupted may hold them. */
static void report(unsigned call)
{
	struct text line = { .len = 0 };
	char digits[12] = "";
	size_t at = sizeof(digits) - 1;
	for (unsigned left = call; at > 0 && (left > 0 || !digits[at]); left /= 10)
		digits[--at] = (char)('0' + left % 10);
	add(&line, "error event=sandbox-violation syscall=");
	add(&line, digits + at);
	if (call < CALLS_MAX && call_names[call]) {
		add(&line, " name=");
		add(&line, call_names[call]);
	}
	add(&line, "\n");
	ssize_t written = write(STDERR_FILENO, line.octets, line.len);
	(void)written;
}

static void set_result(ucontext_t *context, int result)
{
#if defined(__x86_64__)
	context->uc_mcontext.gregs[REG_RAX] = result;
#elif defined(__aarch64__)
	context->uc_mcontext.regs[0] = (unsigned long long)result;
#elif defined(__riscv)
	context->uc_mcontext.__gregs[10] = (unsigned long)result;
#else
#error "Say in which register a system call returns its result here."
#endif
}

static void on_violation(int signal_number, siginfo_t *info, void *context)
{
	unsigned number = (unsigned)info->si_syscall;
	if (number >= CALLS_MAX || !atomic_exchange(&call_seen[number], true))
		report(number);
	if (violators_die)
		abort();
	set_result(context, -EACCES);
}

static void watch_violations(void)
{
	struct sigaction action = { .sa_sigaction = on_violation,
				    .sa_flags = SA_SIGINFO | SA_NODEFER };
	for (int i = 0; i < CALLS_MAX; i++)
		if (!call_names[i])
			call_names[i] = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, i);
	sigaction(SIGSYS, &action, NULL);
}

/* ---- the filters ---- */

struct filter {
	scmp_filter_ctx ctx;
	int failed; /* the first error: a negative errno */
};

static void rule(struct filter *filter, uint32_t action, int call, unsigned count,
		 const struct scmp_arg_cmp *compares)
{
	int failed = seccomp_rule_add_array(filter->ctx, action, call, count, compares);
	if (failed && !filter->failed)
		filter->failed = failed;
}

static void allow_all(struct filter *filter, const int *calls, size_t count)
{
	for (size_t i = 0; i < count; i++)
		rule(filter, SCMP_ACT_ALLOW, calls[i], 0, NULL);
}

static void allow_where(struct filter *filter, int call, struct scmp_arg_cmp compare)
{
	rule(filter, SCMP_ACT_ALLOW, call, 1, &compare);
}

static void allow_common(struct filter *filter)
{
	static const unsigned long ioctls[] = { FIONBIO, FIONREAD, FIOCLEX };
	static const int fcntls[] = { F_GETFL, F_SETFL, F_GETFD, F_SETFD, F_DUPFD_CLOEXEC };

	allow_all(filter, common_calls, ARRAY_LEN(common_calls));
	/* Memory that is written is never executed. */
	allow_where(filter, SCMP_SYS(mmap), SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	allow_where(filter, SCMP_SYS(mprotect), SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	/* Threads, but no processes. The filter cannot see the flags of clone3(): glibc goes
	 * back to clone() when it hears ENOSYS. */
	allow_where(filter, SCMP_SYS(clone),
		    SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD | CLONE_NAMESPACES, CLONE_THREAD));
	rule(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0, NULL);
	rule(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(io_uring_setup), 0, NULL);
	/* abort() */
	allow_where(filter, SCMP_SYS(tgkill), SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()));
	allow_where(filter, SCMP_SYS(prctl), SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME));
	/* getrlimit(), not setrlimit() */
	allow_where(filter, SCMP_SYS(prlimit64), SCMP_A2(SCMP_CMP_EQ, 0));
	allow_where(filter, SCMP_SYS(socketpair), SCMP_A0(SCMP_CMP_EQ, AF_UNIX));
	for (size_t i = 0; i < ARRAY_LEN(ioctls); i++)
		allow_where(filter, SCMP_SYS(ioctl), SCMP_A1(SCMP_CMP_EQ, ioctls[i]));
	for (size_t i = 0; i < ARRAY_LEN(fcntls); i++)
		allow_where(filter, SCMP_SYS(fcntl), SCMP_A1(SCMP_CMP_EQ, (scmp_datum_t)fcntls[i]));
}

/* TCP and UDP, and none of the other things that a socket of the internet families can be. */
static void allow_front(struct filter *filter)
{
	static const int families[] = { AF_INET, AF_INET6 };
	/* The protocol may be said, as libunbound does for TCP. */
	static const struct {
		int kind, protocol;
	} kinds[] = { { SOCK_STREAM, 0 },
		      { SOCK_STREAM, IPPROTO_TCP },
		      { SOCK_DGRAM, 0 },
		      { SOCK_DGRAM, IPPROTO_UDP } };
	allow_common(filter);
	allow_all(filter, front_calls, ARRAY_LEN(front_calls));
	for (size_t f = 0; f < ARRAY_LEN(families); f++)
		for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
			const struct scmp_arg_cmp compares[] = {
				SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)families[f]),
				SCMP_A1(SCMP_CMP_MASKED_EQ,
					~(scmp_datum_t)(SOCK_CLOEXEC | SOCK_NONBLOCK),
					(scmp_datum_t)kinds[k].kind),
				SCMP_A2(SCMP_CMP_EQ, (scmp_datum_t)kinds[k].protocol),
			};
			rule(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 3, compares);
		}
}

static void allow_back(struct filter *filter)
{
	static const int locks[] = { F_GETLK,	  F_SETLK,     F_SETLKW,
				     F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW };
	allow_common(filter);
	allow_all(filter, back_calls, ARRAY_LEN(back_calls));
	for (size_t i = 0; i < ARRAY_LEN(locks); i++)
		allow_where(filter, SCMP_SYS(fcntl), SCMP_A1(SCMP_CMP_EQ, (scmp_datum_t)locks[i]));
}

static void refuse_supervisor(struct filter *filter)
{
	for (size_t i = 0; i < ARRAY_LEN(supervisor_refuses); i++)
		rule(filter, SCMP_ACT_ERRNO(EACCES), supervisor_refuses[i], 0, NULL);
}

enum err syscalls_shut(enum syscalls_role role, bool kill_violators)
{
	struct filter filter = { .ctx = NULL };
	enum err err = ERR_DENIED;

	if (prctl(PR_GET_SECCOMP) < 0 && errno == EINVAL) {
		log_warning(NULL, EVENT("sandbox-layer-missing"), WORD("layer", "seccomp"));
		return ERR_OK;
	}
	filter.ctx = seccomp_init(role == SYSCALLS_SUPERVISOR ? SCMP_ACT_ALLOW : SCMP_ACT_TRAP);
	if (!filter.ctx)
		goto out;
	/* All threads at once, and a binary tree: half the cost of a list. */
	if ((filter.failed = seccomp_attr_set(filter.ctx, SCMP_FLTATR_CTL_TSYNC, 1)) < 0 ||
	    (filter.failed = seccomp_attr_set(filter.ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2)) < 0)
		goto out;
	switch (role) {
	case SYSCALLS_FRONT: allow_front(&filter); break;
	case SYSCALLS_BACK: allow_back(&filter); break;
	case SYSCALLS_SUPERVISOR: refuse_supervisor(&filter); break;
	}
	if (role != SYSCALLS_SUPERVISOR) {
		violators_die = kill_violators;
		watch_violations();
	}
	if (!filter.failed)
		filter.failed = seccomp_load(filter.ctx);
	if (!filter.failed)
		err = ERR_OK;
out:
	if (err != ERR_OK)
		log_error(NULL, EVENT("sandbox-failed"), WORD("layer", "seccomp"),
			  ERRNO(-filter.failed));
	if (filter.ctx)
		seccomp_release(filter.ctx);
	return err;
}
