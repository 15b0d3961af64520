#!/bin/sh
# gdb on a program with threads: breakpoints, steps, back traces, watchpoints, memory, signals.
# cpus: 1
# timeout: 60
mkdir -p /tmp/gdb && cd /tmp/gdb || exit 1
debug() { gdb --batch -nx -iex 'set debuginfod enabled off' -ex 'set confirm off' "$@" </dev/null 2>&1 | grep -vE '^(\[New|\[Thread|Using host|warning|This normally|\[Inferior|$)' | sed 's/0x[0-9a-f]*/ADDRESS/g; s/process [0-9]*/process PID/; s/LWP [0-9]*/LWP N/g'; }

debug -ex 'break main' -ex run -ex bt -ex next -ex next -ex 'info breakpoints' -ex 'print $rip != 0' -ex 'x/2i $pc' -ex continue /real/hello | grep -v '^[0-9]*.*in \.\./'
echo "ok breakpoints and steps"

debug -ex 'break main' -ex run -ex 'stepi 100' -ex 'print $eflags & 0x100' -ex 'tbreak exit' -ex continue -ex bt -ex kill /real/hello
echo "ok single steps"

debug -ex 'catch syscall 20' -ex run -ex 'print $orig_rax' -ex 'print (char)**(char **)$rsi' -ex continue -ex 'print $rax' -ex kill /real/hello
debug -ex 'tbreak main' -ex run -ex 'print ((int (*)(void))main)() + 5' -ex kill /real/hello
echo "ok calls caught and made"

debug -ex run -ex bt --args python3.11 -S -c 'import os, signal; os.kill(os.getpid(), signal.SIGABRT)' | head -n 2
echo "ok a program that dies"

debug -ex 'handle SIGUSR1 nostop pass print' -ex run --args /bin/bash-static -c 'trap "echo caught" USR1; kill -USR1 $$; exit 3' | sort
echo "ok signals passed on"
