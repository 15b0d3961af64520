/* Robust mutexes: the death of the owner is told to the next one (set_robust_list(2)). */
#include "test.h"
#include <pthread.h>
#include <stddef.h>
#include <sys/syscall.h>

static void init_robust(pthread_mutex_t *mutex, int protocol) {
	pthread_mutexattr_t attributes;
	pthread_mutexattr_init(&attributes);
	CHECK_EQ(pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST), 0);
	CHECK_EQ(pthread_mutexattr_setprotocol(&attributes, protocol), 0);
	CHECK_EQ(pthread_mutex_init(mutex, &attributes), 0);
}

static void *lock_and_die(void *mutex) {
	EXPECT(pthread_mutex_lock(mutex) == 0);
	return NULL;
}

static void *lock_sleep_and_die(void *mutex) {
	EXPECT(pthread_mutex_lock(mutex) == 0);
	usleep(30000);
	return NULL;
}

static void run(void *(*body)(void *), void *argument) {
	pthread_t thread;
	CHECK_EQ(pthread_create(&thread, NULL, body, argument), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
}

TEST(the_next_owner_learns_of_the_death_and_can_repair) {
	pthread_mutex_t mutex;
	TRY(init_robust(&mutex, PTHREAD_PRIO_NONE));
	TRY(run(lock_and_die, &mutex));
	CHECK_EQ(pthread_mutex_lock(&mutex), EOWNERDEAD);
	CHECK_EQ(pthread_mutex_consistent(&mutex), 0);
	CHECK_EQ(pthread_mutex_unlock(&mutex), 0);
	CHECK_EQ(pthread_mutex_lock(&mutex), 0);
	CHECK_EQ(pthread_mutex_unlock(&mutex), 0);
}

TEST(an_unrepaired_mutex_is_not_recoverable) {
	pthread_mutex_t mutex;
	TRY(init_robust(&mutex, PTHREAD_PRIO_NONE));
	TRY(run(lock_and_die, &mutex));
	CHECK_EQ(pthread_mutex_trylock(&mutex), EOWNERDEAD);
	CHECK_EQ(pthread_mutex_unlock(&mutex), 0);
	CHECK_EQ(pthread_mutex_lock(&mutex), ENOTRECOVERABLE);
}

TEST(a_waiter_is_woken_by_the_death_of_the_owner) {
	pthread_mutex_t mutex;
	pthread_t thread;
	TRY(init_robust(&mutex, PTHREAD_PRIO_NONE));
	CHECK_EQ(pthread_create(&thread, NULL, lock_sleep_and_die, &mutex), 0);
	usleep(10000);
	CHECK_EQ(pthread_mutex_lock(&mutex), EOWNERDEAD);
	CHECK_EQ(pthread_mutex_consistent(&mutex), 0);
	CHECK_EQ(pthread_mutex_unlock(&mutex), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
}

static void *lock_many_and_die(void *mutexes) {
	for (int i = 0; i < 20; i++) EXPECT(pthread_mutex_lock((pthread_mutex_t *)mutexes + i) == 0);
	EXPECT(pthread_mutex_unlock((pthread_mutex_t *)mutexes + 7) == 0);
	return NULL;
}

TEST(every_lock_held_at_death_is_marked_and_no_other) {
	pthread_mutex_t mutexes[21];
	for (int i = 0; i < 21; i++) TRY(init_robust(&mutexes[i], PTHREAD_PRIO_NONE));
	TRY(run(lock_many_and_die, mutexes));
	for (int i = 0; i < 21; i++) CHECK_EQ(pthread_mutex_trylock(&mutexes[i]), i == 7 || i == 20 ? 0 : EOWNERDEAD);
}

struct node {
	struct node *next;
	unsigned word;
};

struct head {
	struct node *list;
	long offset;
	struct node *pending;
};

struct hand_made {
	struct head head;
	struct node nodes[3];
	unsigned before[3];
};

/* Registers a list of its own making (musl does not mind), owns words in different ways, and dies. */
static void *die_with_a_list(void *argument) {
	struct hand_made *lists = argument;
	unsigned tid = (unsigned)syscall(SYS_gettid);
	lists->head.offset = offsetof(struct node, word);
	lists->head.list = &lists->nodes[0];
	lists->nodes[0].next = &lists->nodes[1];
	lists->nodes[1].next = (struct node *)&lists->head;
	lists->head.pending = &lists->nodes[2];
	lists->nodes[0].word = tid | 0x80000000u;
	lists->nodes[1].word = tid + 1;
	lists->nodes[2].word = tid;
	for (int i = 0; i < 3; i++) lists->before[i] = lists->nodes[i].word;
	EXPECT(syscall(SYS_set_robust_list, &lists->head, sizeof lists->head) == 0);
	return NULL;
}

TEST(exit_marks_words_owned_and_pending_and_leaves_foreign_ones) {
	static struct hand_made lists;
	TRY(run(die_with_a_list, &lists));
	CHECK_EQ(lists.nodes[0].word, 0xc0000000u);
	CHECK_EQ(lists.nodes[1].word, lists.before[1]);
	CHECK_EQ(lists.nodes[2].word, 0x40000000u);
}

static void *die_with_a_bad_list(void *address) {
	EXPECT(syscall(SYS_set_robust_list, address, 24) == 0);
	return NULL;
}

static void *die_with_a_circle(void *argument) {
	struct hand_made *lists = argument;
	lists->head.offset = offsetof(struct node, word);
	lists->head.list = &lists->nodes[0];
	lists->nodes[0].next = &lists->nodes[1];
	lists->nodes[1].next = &lists->nodes[0];
	EXPECT(syscall(SYS_set_robust_list, &lists->head, sizeof lists->head) == 0);
	return NULL;
}

TEST(a_bad_or_circular_list_only_ends_the_walk) {
	static struct hand_made lists;
	TRY(run(die_with_a_bad_list, (void *)8));
	TRY(run(die_with_a_bad_list, (void *)0xffff800000000000));
	TRY(run(die_with_a_bad_list, (void *)0x7ffffffff000));
	TRY(run(die_with_a_circle, &lists));
}

TEST(set_robust_list_takes_its_exact_size_only) {
	struct head head = {0};
	CHECK_ERRNO(syscall(SYS_set_robust_list, &head, 23), EINVAL);
	CHECK_ERRNO(syscall(SYS_set_robust_list, &head, 25), EINVAL);
}

TEST(get_robust_list_gives_back_what_was_set) {
	static struct head head;
	void *got = NULL;
	size_t size = 0;
	head.list = (struct node *)&head;
	CHECK_EQ(syscall(SYS_set_robust_list, &head, sizeof head), 0);
	CHECK_EQ(syscall(SYS_get_robust_list, 0, &got, &size), 0);
	CHECK(got == &head);
	CHECK_EQ(size, sizeof head);
	CHECK_ERRNO(syscall(SYS_get_robust_list, 0x3fffffff, &got, &size), ESRCH);
}
