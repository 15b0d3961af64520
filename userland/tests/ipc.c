/* System V semaphores and message queues. */
#include "test.h"
#include "linux.h"
#include <pthread.h>
#include <signal.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/wait.h>

static int status_of(pid_t child) {
	int status;
	if (waitpid(child, &status, 0) != child) return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static int operate(int id, int number, int by, int flags) {
	struct sembuf operation = {(unsigned short)number, (short)by, (short)flags};
	return semop(id, &operation, 1);
}

TEST(semaphores_count_and_refuse) {
	unsigned short values[3] = {1, 2, 3}, got[3];
	int id = semget(IPC_PRIVATE, 3, IPC_CREAT | 0600);
	CHECK(id >= 0);
	CHECK_EQ(semctl(id, 0, SETALL, values), 0);
	CHECK_EQ(operate(id, 1, -2, 0), 0);
	CHECK_ERRNO(operate(id, 1, -1, IPC_NOWAIT), EAGAIN);
	CHECK_EQ(operate(id, 2, 5, 0), 0);
	CHECK_EQ(semctl(id, 0, GETALL, got), 0);
	CHECK(got[0] == 1 && got[1] == 0 && got[2] == 8);
	CHECK_EQ(operate(id, 1, 0, 0), 0);
	CHECK_ERRNO(operate(id, 0, 0, IPC_NOWAIT), EAGAIN);
	CHECK_EQ(semctl(id, 0, GETPID), getpid());
	CHECK_ERRNO(operate(id, 3, 1, 0), EFBIG);
	CHECK_ERRNO(operate(id, 0, 32767, 0), ERANGE);
	CHECK_ERRNO(semctl(id, 0, SETVAL, 32768), ERANGE);
	struct sembuf both[2] = {{0, -1, IPC_NOWAIT}, {1, -1, IPC_NOWAIT}};
	CHECK_ERRNO(semop(id, both, 2), EAGAIN);
	CHECK_EQ(semctl(id, 0, GETVAL), 1);
	CHECK_EQ(semctl(id, 0, IPC_RMID), 0);
	CHECK_ERRNO(operate(id, 0, 1, 0), EINVAL);
}

static int set_id;

static void *release_later(void *unused) {
	sleep_ms(20);
	EXPECT(operate(set_id, 0, 1, 0) == 0);
	return unused;
}

static void *remove_later(void *unused) {
	sleep_ms(20);
	EXPECT(semctl(set_id, 0, IPC_RMID) == 0);
	return unused;
}

TEST(a_semaphore_wait_is_woken_or_ended_by_removal) {
	pthread_t thread;
	struct sembuf down = {0, -1, 0};
	struct timespec limit = {0, 20000000};
	set_id = semget(IPC_PRIVATE, 1, 0600);
	CHECK_EQ(pthread_create(&thread, NULL, release_later, NULL), 0);
	CHECK_EQ(operate(set_id, 0, -1, 0), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK_ERRNO(semtimedop(set_id, &down, 1, &limit), EAGAIN);
	CHECK_EQ(pthread_create(&thread, NULL, remove_later, NULL), 0);
	CHECK_ERRNO(operate(set_id, 0, -1, 0), EIDRM);
	CHECK_EQ(pthread_join(thread, NULL), 0);
}

TEST(undo_gives_back_at_exit) {
	int id = semget(IPC_PRIVATE, 1, 0600);
	CHECK_EQ(semctl(id, 0, SETVAL, 5), 0);
	pid_t child = fork();
	if (!child) {
		CHILD_CHECK(operate(id, 0, -3, SEM_UNDO) == 0 && semctl(id, 0, GETVAL) == 2);
		_exit(0);
	}
	CHECK_EQ(status_of(child), 0);
	CHECK_EQ(semctl(id, 0, GETVAL), 5);
	CHECK_EQ(semctl(id, 0, IPC_RMID), 0);
}

struct message {
	long type;
	char text[100];
};

TEST(messages_are_taken_by_type) {
	struct message message = {1, "one"};
	int id = msgget(IPC_PRIVATE, IPC_CREAT | 0600);
	CHECK(id >= 0);
	CHECK_EQ(msgsnd(id, &message, 4, 0), 0);
	message.type = 3;
	CHECK_EQ(msgsnd(id, &message, 5, 0), 0);
	message.type = 2;
	CHECK_EQ(msgsnd(id, &message, 6, 0), 0);
	struct msqid_ds status;
	CHECK_EQ(msgctl(id, IPC_STAT, &status), 0);
	CHECK_EQ(status.msg_qnum, 3);
	CHECK_EQ(msgrcv(id, &message, 100, 3, 0), 5);
	CHECK_ERRNO(msgrcv(id, &message, 100, 3, IPC_NOWAIT), ENOMSG);
	CHECK_EQ(msgrcv(id, &message, 100, -2, 0), 4);
	CHECK_EQ(message.type, 1);
	CHECK_ERRNO(msgrcv(id, &message, 2, 0, 0), E2BIG);
	CHECK_EQ(msgrcv(id, &message, 2, 0, MSG_NOERROR), 2);
	message.type = 0;
	CHECK_ERRNO(msgsnd(id, &message, 4, 0), EINVAL);
	CHECK_EQ(msgctl(id, IPC_RMID, NULL), 0);
	CHECK_ERRNO(msgrcv(id, &message, 2, 0, 0), EINVAL);
}

TEST(a_message_wakes_its_receiver) {
	struct message message = {0};
	int id = msgget(IPC_PRIVATE, 0600);
	pid_t child = fork();
	if (!child) {
		message.type = 9;
		sleep_ms(20);
		_exit(msgsnd(id, &message, 3, 0) == 0 ? 0 : 1);
	}
	CHECK_EQ(msgrcv(id, &message, 100, 9, 0), 3);
	CHECK_EQ(status_of(child), 0);
	CHECK_EQ(msgctl(id, IPC_RMID, NULL), 0);
}
