// cpus: 1 2
/* System V objects looked at as a whole: limits and sums, copies of messages, /proc/sysvipc. */
#include "test.h"
#include <fcntl.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

#ifndef MSG_COPY
#define MSG_COPY 040000
#endif

struct message {
	long type;
	char text[16];
};

static int listed(const char *path, int id, const char *rest) {
	char line[512];
	int found = 0;
	FILE *file = fopen(path, "r");
	while (file && fgets(line, sizeof line, file)) {
		int key, number, used = 0;
		if (sscanf(line, "%d %d %n", &key, &number, &used) >= 2 && number == id) found = !strncmp(line + used, rest, strlen(rest));
	}
	if (file) fclose(file);
	return found;
}

TEST(a_message_can_be_copied_and_stays) {
	struct message first = {3, "first"}, second = {5, "second"}, got;
	int queue = msgget(IPC_PRIVATE, 0600);
	CHECK_EQ(msgsnd(queue, &first, 6, 0), 0);
	CHECK_EQ(msgsnd(queue, &second, 7, 0), 0);
	CHECK_EQ(msgrcv(queue, &got, 16, 1, MSG_COPY | IPC_NOWAIT), 7);
	CHECK(got.type == 5 && !strcmp(got.text, "second"));
	CHECK_EQ(msgrcv(queue, &got, 16, 0, MSG_COPY | IPC_NOWAIT), 6);
	CHECK_ERRNO(msgrcv(queue, &got, 16, 2, MSG_COPY | IPC_NOWAIT), ENOMSG);
	CHECK_ERRNO(msgrcv(queue, &got, 16, -1, MSG_COPY | IPC_NOWAIT), ENOMSG);
	CHECK_ERRNO(msgrcv(queue, &got, 16, 0, MSG_COPY), EINVAL);
	CHECK_ERRNO(msgrcv(queue, &got, 16, 0, MSG_COPY | IPC_NOWAIT | MSG_EXCEPT), EINVAL);
	CHECK_ERRNO(msgrcv(queue, &got, 2, 0, MSG_COPY | IPC_NOWAIT), E2BIG);
	struct msqid_ds status;
	CHECK_EQ(msgctl(queue, IPC_STAT, &status), 0);
	CHECK_EQ(status.msg_qnum, 2);
	CHECK_EQ(status.msg_lrpid, 0);
	CHECK_EQ(msgctl(queue, IPC_RMID, NULL), 0);
}

TEST(limits_and_sums_of_message_queues) {
	struct msginfo before, info;
	struct message message = {1, "x"};
	CHECK(msgctl(0, MSG_INFO, (struct msqid_ds *)&before) >= 0);
	int queue = msgget(IPC_PRIVATE, 0600);
	CHECK_EQ(msgsnd(queue, &message, 10, 0), 0);
	CHECK(msgctl(0, IPC_INFO, (struct msqid_ds *)&info) >= 0);
	CHECK_EQ(info.msgmax, 8192);
	CHECK_EQ(info.msgmnb, 16384);
	CHECK_EQ(info.msgmni, 32000);
	CHECK(msgctl(0, MSG_INFO, (struct msqid_ds *)&info) >= 0);
	CHECK_EQ(info.msgpool, before.msgpool + 1);
	CHECK_EQ(info.msgmap, before.msgmap + 1);
	CHECK_EQ(info.msgtql, before.msgtql + 10);
	CHECK_ERRNO(msgctl(-1, IPC_INFO, (struct msqid_ds *)&info), EINVAL);
	CHECK(listed("/proc/sysvipc/msg", queue, "600          10          1 "));
	CHECK_EQ(msgctl(queue, IPC_RMID, NULL), 0);
	CHECK(!listed("/proc/sysvipc/msg", queue, ""));
}

TEST(limits_and_sums_of_semaphores) {
	struct seminfo before, info;
	CHECK(semctl(0, 0, SEM_INFO, &before) >= 0);
	int set = semget(IPC_PRIVATE, 3, 0640);
	CHECK(semctl(0, 0, IPC_INFO, &info) >= 0);
	CHECK_EQ(info.semmni, 32000);
	CHECK_EQ(info.semopm, 500);
	CHECK_EQ(info.semvmx, 32767);
	CHECK_EQ(info.semusz, 20);
	CHECK(semctl(0, 0, SEM_INFO, &info) >= 0);
	CHECK_EQ(info.semusz, before.semusz + 1);
	CHECK_EQ(info.semaem, before.semaem + 3);
	CHECK(listed("/proc/sysvipc/sem", set, "640          3     0     0 "));
	CHECK_EQ(semctl(set, 0, IPC_RMID), 0);
}

TEST(shared_memory_is_listed) {
	int segment = shmget(IPC_PRIVATE, 5000, 0600);
	CHECK(listed("/proc/sysvipc/shm", segment, "600                  5000 "));
	CHECK_EQ(shmctl(segment, IPC_RMID, NULL), 0);
	CHECK(!listed("/proc/sysvipc/shm", segment, ""));
}

/* What a file says, or NULL. */
static const char *said(const char *path) {
	static char text[64];
	int fd = open(path, O_RDONLY);
	ssize_t bytes = read(fd, text, sizeof text - 1);
	close(fd);
	if (bytes < 0) return NULL;
	text[bytes] = 0;
	return text;
}

#define CHECK_SAID(name, value)                              \
	do {                                                     \
		const char *text = said("/proc/sys/kernel/" name);   \
		CHECK(text && !strcmp(text, value "\n"));            \
	} while (0)

TEST(the_limits_are_settings) {
	CHECK_SAID("msgmax", "8192");
	CHECK_SAID("msgmnb", "16384");
	CHECK_SAID("msgmni", "32000");
	CHECK_SAID("sem", "32000\t1024000000\t500\t32000");
	CHECK_SAID("shmall", "18446744073692774399");
	CHECK_SAID("shmmax", "18446744073692774399");
	CHECK_SAID("shmmni", "4096");
}
