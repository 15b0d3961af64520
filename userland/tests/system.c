/* What the system says of itself: uname, sysinfo, getrandom, limits, CPUs, the auxiliary vector. */
#include "test.h"
#include "linux.h"
#include <elf.h>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

TEST(uname_says_linux_on_x86_64) {
	struct utsname name;
	CHECK_EQ(uname(&name), 0);
	CHECK(!strcmp(name.sysname, "Linux"));
	CHECK(!strcmp(name.machine, "x86_64"));
	CHECK(atoi(name.release) >= 5);
	CHECK_ERRNO(syscall(SYS_uname, (void *)8), EFAULT);
}

TEST(sysinfo_counts_memory_and_processes) {
	struct sysinfo info;
	CHECK_EQ(sysinfo(&info), 0);
	CHECK(info.uptime < 1ul << 40);
	CHECK(info.totalram > 0 && info.freeram > 0 && info.freeram <= info.totalram);
	CHECK(info.procs >= 1);
	CHECK(info.mem_unit >= 1);
}

TEST(getrandom_fills_what_it_says) {
	unsigned char bytes[256], zero[256] = {0};
	memset(bytes, 0, sizeof bytes);
	CHECK_EQ(getrandom(bytes, 200, 0), 200);
	CHECK(memcmp(bytes, zero, 200));
	CHECK(!memcmp(bytes + 200, zero, 56));
	CHECK_EQ(getrandom(bytes, 16, GRND_NONBLOCK), 16);
	CHECK_EQ(getrandom(bytes, 16, GRND_RANDOM), 16);
	CHECK_EQ(getrandom(bytes, 16, 4 /* GRND_INSECURE */), 16);
	CHECK_EQ(getrandom(bytes, 0, 0), 0);
}

TEST(getrandom_refuses_unknown_flags_and_bad_addresses) {
	char byte;
	CHECK_ERRNO(getrandom(&byte, 1, 8), EINVAL);
	CHECK_ERRNO(getrandom(&byte, 1, 6), EINVAL);
	CHECK_ERRNO(syscall(SYS_getrandom, (void *)8, 1, 0), EFAULT);
}

TEST(getrandom_never_repeats_itself) {
	uint64_t numbers[1000];
	CHECK_EQ(getrandom(numbers, 256, 0), 256);
	for (int i = 0; i < 1000; i++) CHECK_EQ(getrandom(&numbers[i], 8, 0), 8);
	for (int i = 0; i < 1000; i++)
		for (int j = 0; j < i; j++) CHECK(numbers[i] != numbers[j]);
}

TEST(limits_can_be_read_and_lowered) {
	struct rlimit limit, again;
	for (int resource = 0; resource < 16; resource++) {
		CHECK_EQ(getrlimit(resource, &limit), 0);
		CHECK(limit.rlim_cur <= limit.rlim_max);
	}
	CHECK_ERRNO(getrlimit(16, &limit), EINVAL);
	CHECK_EQ(getrlimit(RLIMIT_CORE, &limit), 0);
	limit.rlim_cur = 0;
	CHECK_EQ(setrlimit(RLIMIT_CORE, &limit), 0);
	CHECK_EQ(getrlimit(RLIMIT_CORE, &again), 0);
	CHECK_EQ(again.rlim_cur, 0);
	CHECK_EQ(again.rlim_max, limit.rlim_max);
	limit.rlim_cur = 2;
	limit.rlim_max = 1;
	CHECK_ERRNO(setrlimit(RLIMIT_CORE, &limit), EINVAL);
	CHECK_EQ(syscall(SYS_prlimit64, 0, RLIMIT_CORE, NULL, &again), 0);
	CHECK_ERRNO(syscall(SYS_prlimit64, 0x3fffffff, RLIMIT_CORE, NULL, &again), ESRCH);
}

TEST(a_process_may_run_on_at_least_one_cpu) {
	cpu_set_t set;
	unsigned cpu = 1000, node = 1000;
	CPU_ZERO(&set);
	CHECK_EQ(sched_getaffinity(0, sizeof set, &set), 0);
	CHECK(CPU_COUNT(&set) >= 1);
	CHECK_EQ(syscall(SYS_getcpu, &cpu, &node, NULL), 0);
	CHECK(CPU_ISSET(cpu, &set));
	CHECK_EQ(node, 0);
	CHECK_ERRNO(syscall(SYS_sched_getaffinity, 0, 1, &set), EINVAL);
	CHECK_ERRNO(syscall(SYS_sched_getaffinity, 0, 12, &set), EINVAL);
	CHECK_ERRNO(syscall(SYS_sched_getaffinity, -5, 128, &set), ESRCH);
}

TEST(affinity_is_kept_and_must_name_a_cpu_that_exists) {
	cpu_set_t before, one, now;
	CHECK_EQ(sched_getaffinity(0, sizeof before, &before), 0);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &before)) continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		CHECK_EQ(sched_setaffinity(0, sizeof one, &one), 0);
		CHECK_EQ(sched_getcpu(), cpu);
		CHECK_EQ(sched_getaffinity(0, sizeof now, &now), 0);
		CHECK(CPU_EQUAL(&one, &now));
	}
	CPU_ZERO(&one);
	CHECK_ERRNO(sched_setaffinity(0, sizeof one, &one), EINVAL);
	CPU_SET(1000, &one);
	CHECK_ERRNO(sched_setaffinity(0, sizeof one, &one), EINVAL);
	CHECK_EQ(sched_setaffinity(0, sizeof before, &before), 0);
}

TEST(the_auxiliary_vector_describes_the_program) {
	extern char __ehdr_start[];
	const Elf64_Ehdr *header = (const void *)__ehdr_start;
	CHECK_EQ(getauxval(AT_PAGESZ), 4096);
	CHECK_EQ(getauxval(AT_PHENT), 56);
	CHECK_EQ(getauxval(AT_PHNUM), header->e_phnum);
	CHECK_EQ(getauxval(AT_PHDR), (unsigned long)__ehdr_start + header->e_phoff);
	CHECK_EQ(getauxval(AT_CLKTCK), 100);
	CHECK_EQ(getauxval(AT_UID), getuid());
	CHECK_EQ(getauxval(AT_EUID), geteuid());
	CHECK_EQ(getauxval(AT_GID), getgid());
	CHECK_EQ(getauxval(AT_EGID), getegid());
	CHECK_EQ(getauxval(AT_SECURE), 0);
	CHECK_EQ(getauxval(AT_BASE), 0);
	CHECK(getauxval(AT_ENTRY) > (unsigned long)__ehdr_start);
	CHECK(getauxval(AT_HWCAP) != 0);
	CHECK(getauxval(AT_MINSIGSTKSZ) >= 1000);
	CHECK(!strcmp((char *)getauxval(AT_PLATFORM), "x86_64"));
	CHECK(strstr((char *)getauxval(AT_EXECFN), "system"));
}

TEST(at_random_is_sixteen_random_bytes) {
	unsigned char *random = (unsigned char *)getauxval(AT_RANDOM);
	int different = 0;
	CHECK(random);
	for (int i = 1; i < 16; i++) different |= random[i] != random[0];
	CHECK(different);
}

extern char **environ;

TEST(arguments_environment_and_auxv_stand_one_behind_the_other) {
	char **end = environ;
	while (*end) end++;
	Elf64_auxv_t *auxv = (void *)(end + 1);
	while (auxv->a_type != AT_PAGESZ && auxv->a_type != AT_NULL) auxv++;
	CHECK_EQ(auxv->a_un.a_val, 4096);
}

TEST(unknown_system_calls_are_refused) {
	CHECK_ERRNO(syscall(400), ENOSYS);
	CHECK_ERRNO(syscall(100000), ENOSYS);
	CHECK_ERRNO(syscall(-1), ENOSYS);
	CHECK_ERRNO(syscall(0x40000000L), ENOSYS);
}

TEST(getpriority_and_getrusage_answer) {
	struct rusage usage;
	CHECK_EQ(getrusage(RUSAGE_SELF, &usage), 0);
	CHECK(usage.ru_maxrss >= 0);
	CHECK_EQ(getrusage(1 /* RUSAGE_THREAD */, &usage), 0);
	CHECK_ERRNO(getrusage(7, &usage), EINVAL);
	CHECK_EQ(getpriority(PRIO_PROCESS, 0), 0);
}
