// timeout: 120
/* Every system call there is, with arguments that make no sense, each in a child of its own: whatever it does to the child,
 * the parent and the kernel live on. */
#include "test.h"
#include "linux.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

/* Calls that end or hide the child, reach beyond it, or change the host's machine when they succeed. */
static const short left_out[] = {
	SYS_rt_sigreturn, SYS_pause, SYS_fork, SYS_vfork, SYS_clone, SYS_clone3, SYS_exit, SYS_exit_group, SYS_kill, SYS_reboot,
	SYS_vhangup, SYS_ptrace, SYS_sethostname, SYS_setdomainname, SYS_sync, SYS_swapoff, SYS_swapon, SYS_acct,
	SYS_settimeofday, SYS_clock_settime, SYS_adjtimex, SYS_clock_adjtime, SYS_syslog, SYS_bpf, SYS_kexec_load,
	SYS_kexec_file_load, SYS_init_module, SYS_finit_module, SYS_delete_module, SYS_tkill, SYS_umount2, SYS_pivot_root,
	SYS_setpriority, SYS_sched_setscheduler, SYS_sched_setattr, SYS_quotactl, SYS_nfsservctl, SYS_iopl, SYS_ioperm,
	SYS_add_key, SYS_request_key, SYS_keyctl,
};

static int is_left_out(long number) {
	for (size_t i = 0; i < sizeof left_out / sizeof *left_out; i++)
		if (left_out[i] == number) return 1;
	return number >= 335 && number < 424; /* not numbers of Linux */
}

static void call_with(uintptr_t value) {
	for (long number = 0; number <= 450; number++) {
		if (is_left_out(number)) continue;
		pid_t child = fork();
		CHECK(child >= 0);
		if (!child) {
			int null = open("/dev/null", O_RDWR);
			for (int fd = 0; fd < 3; fd++) dup2(null, fd);
			setpgid(0, 0);
			signal(SIGALRM, SIG_DFL);
			alarm(1);
			syscall(number, value, value, value, value, value, value);
			_exit(0);
		}
		/* What blocks for ever on a lawful argument is not waited for. */
		for (int tries = 0;; tries++) {
			pid_t ended = waitpid(child, NULL, WNOHANG);
			if (ended == child) break;
			CHECK_EQ(ended, 0);
			if (tries == 50) kill(child, SIGKILL);
			CHECK(tries < 10000);
			sleep_ms(tries < 5 ? 0 : 1);
		}
	}
}

TEST(zero_arguments_harm_nobody) {
	TRY(call_with(0));
}

TEST(minus_one_arguments_harm_nobody) {
	TRY(call_with(~0ul));
}

TEST(kernel_addresses_harm_nobody) {
	TRY(call_with(0xffffffff81000001));
}

TEST(non_canonical_addresses_harm_nobody) {
	TRY(call_with(0x8000000000000123));
}

TEST(the_last_user_page_harms_nobody) {
	TRY(call_with(0x00007fffffffeff9));
}

TEST(unaligned_low_addresses_harm_nobody) {
	TRY(call_with(0x1003));
}
