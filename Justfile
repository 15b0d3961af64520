# Every command a person types. `./just` installs what is missing first; with `just` installed, `just` alone does after that.
#
# `run` and `qemu` share these options, given by environment:
#   SMP=2  MEM=512M  CPU=max,…  TIMEOUT=seconds  APPEND='kernel command line'  LOG=1  TRACE=1 or TRACE=clone,futex
#   SHARE=folder of the host  ROOTFS=folder or archive  (or as --share and --rootfs, before the program)
#   ICOUNT=1 (guest time counts instructions)  MACHINE=microvm or pc  PROFILE=release or checked
set dotenv-path := "target/setup/env"
set positional-arguments

# Where the command was typed: paths given as arguments start there.
export RUSTOS_FROM := env("RUSTOS_FROM", invocation_directory())

# Silent, unless there is much to build.
tests := "cargo run " + (if path_exists("target/debug/tests") == "true" { "-q" } else { "" }) + " -p tests --"
xtask := "cargo run " + (if path_exists("target/debug/xtask") == "true" { "-q" } else { "" }) + " -p xtask --"

# What can be done
default:
    @just --list --unsorted

# Build the kernel and the userland programs
build:
    @{{xtask}} build

# Run a program of the host (static ELF) on RustOS: its output, its exit status
[no-exit-message]
run PROGRAM *ARGS:
    @{{xtask}} run "$@"

# Boot a machine with a shell; Ctrl-A X leaves
[no-exit-message]
qemu *ARGS:
    @{{xtask}} qemu "$@"

# Make a disk image that boots from BIOS and UEFI, target/image/rustos.img; --rootfs as for qemu
[no-exit-message]
image *ARGS:
    @{{xtask}} image "$@"

# Run a program under gdb: the machine waits before its first instruction, gdb knows the kernel's symbols and the program's
[no-exit-message]
gdb PROGRAM *ARGS:
    @{{xtask}} gdb "$@"

# Run the tests of the host and, in QEMU, the userland suite; FILTER: a part of a program's name, `interactive`, `real`, `image`, or --host, --guest, --counts, --linux
[no-exit-message]
test *FILTER:
    @{{tests}} "$@"

# Hold formatting, lints and documentation against the house rules
[no-exit-message]
check:
    @{{xtask}} check

# Measure RustOS against Debian's Linux in the same QEMU; LINE: names of lines, else all, which rewrites docs/benchmarks.md
bench *LINE:
    @{{xtask}} bench "$@"

# Show where the guest instructions of a line of the benchmarks go, function by function
profile LINE:
    @{{xtask}} profile "$@"

# List the system calls there are, and how much of each; --readme writes the table of families into README.md
syscalls *WHERE:
    @cargo run -q -p kernel -- "$@"

# Forget everything built and fetched into the clone
clean:
    rm -rf target
