#!/bin/sh
# strace -f on a shell's children: ptrace in real use.
# cpus: 1
# timeout: 60
mkdir -p /tmp/strace && cd /tmp/strace || exit 1
strace -f -qq -e trace=execve,exit_group -e signal=none -o log /bin/bash-static -c '/usr/bin/true; /usr/bin/seq 3 | /usr/bin/tail -n 1; exit 5'
echo "status $?"
# A call that another one's lines come between stands in two parts.
sed '/ resumed>/d; s/^[0-9]* *//; s/0x[0-9a-f]*/ADDRESS/g; s/ <unfinished \.\.\.>/) = 0/' log | sort
echo "ok strace -f follows children"

strace -o log /real/hello; echo "status $?"; sed 's/0x[0-9a-f]*/ADDRESS/g; s/([0-9]*)/(PID)/; s/= [0-9]*$/= N/' log | grep -E '^(execve|write|exit_group|\+\+\+)' | sed 's/, [0-9]* vars.*/ VARS/'
echo "ok strace shows calls and the end"

strace -qq -e trace=none -o log /bin/bash-static -c 'trap : USR1; kill -USR1 $$; kill -TERM $$'; echo "status $?"; sed 's/si_pid=[0-9]*/si_pid=PID/' log
echo "ok strace shows signals"

strace -c -f -o log /bin/bash-static -c 'for i in 1 2 3; do /usr/bin/true; done'; mawk '$NF == "execve" { print $4, $NF }' log
echo "ok strace counts"

strace -e inject=getpid:retval=42 -qq -o log python3.11 -S -E -c 'import os; print(os.getpid())'
echo "ok strace changes results"
(sleep 1; echo end) & strace -f -qq -p $! -e trace=exit_group -e signal=none -o log; wait; sed 's/^[0-9]* *//' log | sort -u
echo "ok strace attaches"
