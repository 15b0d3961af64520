/*
 * A QEMU plugin that counts how often each guest instruction runs between the benchmark program's last two readings of
 * the time stamp counter. `./just profile LINE` compiles it, loads it and reads what it leaves: `address count` lines.
 *
 * QEMU's header is not part of Debian's package, so the few functions used of its plugin interface (version 1) are
 * declared here.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
extern void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, struct qemu_plugin_tb *));
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
extern struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
extern const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *);
extern size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *);
extern uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *);
extern void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *, int op, void *, uint64_t);
extern void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *, void (*)(unsigned, void *), int flags, void *);
extern void qemu_plugin_register_atexit_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, void *), void *);

__attribute__((visibility("default"))) int qemu_plugin_version = 1;

/* The program is linked low; the vDSO, which reads the counter too, lies high. */
#define PROGRAM_END 0x100000000ull
#define SLOTS (1u << 20)

struct slot {
	uint64_t address, count, kept;
};
static struct slot *slots; /* a hash table, open addressing */
static const char *output;

static struct slot *slot_of(uint64_t address) {
	for (uint64_t i = address * 0x9e3779b97f4a7c15ull >> 44;; i = (i + 1) % SLOTS) {
		if (slots[i].address == 0) slots[i].address = address;
		if (slots[i].address == address) return &slots[i];
	}
}

/* The program reads the counter: what was counted since it did so before is kept, until it does so again. */
static void counter_read(unsigned cpu, void *unused) {
	(void)cpu, (void)unused;
	for (size_t i = 0; i < SLOTS; i++) {
		slots[i].kept = slots[i].count;
		slots[i].count = 0;
	}
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *block) {
	(void)id;
	for (size_t i = 0; i < qemu_plugin_tb_n_insns(block); i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(block, i);
		uint64_t address = qemu_plugin_insn_vaddr(insn);
		qemu_plugin_register_vcpu_insn_exec_inline(insn, 0, &slot_of(address)->count, 1);
		bool is_rdtsc = qemu_plugin_insn_size(insn) == 2 && !memcmp(qemu_plugin_insn_data(insn), "\x0f\x31", 2);
		if (is_rdtsc && address < PROGRAM_END) qemu_plugin_register_vcpu_insn_exec_cb(insn, counter_read, 0, NULL);
	}
}

static void finished(qemu_plugin_id_t id, void *unused) {
	(void)id, (void)unused;
	FILE *file = fopen(output, "w");
	if (!file) return;
	for (size_t i = 0; i < SLOTS; i++)
		if (slots[i].kept) fprintf(file, "%llx %llu\n", (unsigned long long)slots[i].address, (unsigned long long)slots[i].kept);
	fclose(file);
}

/* The one argument is `output=PATH`. */
__attribute__((visibility("default"))) int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv) {
	(void)info;
	if (argc != 1 || strncmp(argv[0], "output=", 7)) return 1;
	output = strdup(argv[0] + 7);
	slots = calloc(SLOTS, sizeof *slots);
	if (!output || !slots) return 1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	qemu_plugin_register_atexit_cb(id, finished, NULL);
	return 0;
}
