#!/bin/sh
# stress-ng: some classes at a time, two seconds each; their status is what Linux gives. (Its sockets are TCP's:
# left out, not tried again since there are some.)
# cpus: 2
# timeout: 180
mkdir -p /tmp/stress && cd /tmp/stress || exit 1

# together CLASS…: at the same time, with a worker each.
together() {
	workers=
	for class in "$@"; do workers="$workers --$class 1"; done
	# shellcheck disable=SC2086 # a list
	stress-ng $workers --timeout 2 --vm-bytes 16m --mmap-bytes 16m --mremap-bytes 16m --temp-path /tmp/stress --quiet >out 2>&1
	status=$?
	[ $status = 0 ] && echo "ok $*" || { echo "$* ended with $status"; cat out >&2; }
}

together clone fork vfork exec pthread
together futex mutex sem switch nanosleep
together pipe poll epoll eventfd fifo dup
together signal sigsegv sigq timer timerfd
together mmap mremap brk vm madvise
