#!/usr/bin/bash-static
# bash: traps, coprocesses, arrays, jobs.
# cpus: 1
# (On 2 CPUs, 2 runs of 20 hung, one of them where a stopped job is continued, killed and waited for: not found yet.)
# timeout: 60
set -u
rm -rf /tmp/bash && mkdir -p /tmp/bash && cd /tmp/bash || exit 1
done_with() { echo "ok $1"; }

trap 'echo "usr1 in line"' USR1; kill -USR1 $$; trap - USR1
trap 'echo "err $?"' ERR; false; (exit 3); trap - ERR
f() { trap 'echo "return of f"' RETURN; echo in f; }; f; trap - RETURN
(trap 'echo "exit of the subshell"' EXIT; exit 5); echo "status $?"
(trap '' TERM; kill -TERM $BASHPID; echo "term is ignored")
(trap 'echo "got int"; exit 9' INT; kill -INT $BASHPID; sleep 1); echo "status $?"
(kill -TERM $BASHPID); echo "status $?"
trap 'n=$((n + 1))' CHLD; n=0; for i in 1 2 3; do /usr/bin/true & wait $!; done; [ $n -ge 3 ] && echo "every child was told of"; trap - CHLD
i=0; trap 'i=$((i + 1))' USR2; for ((k = 0; k < 200; k++)); do kill -USR2 $$; done; echo "$i signals"; trap - USR2
done_with traps

coproc UPPER { while read -r line; do echo "${line^^}"; done; }
for word in one two three; do echo $word >&"${UPPER[1]}"; read -r answer <&"${UPPER[0]}"; echo "$answer"; done
exec {UPPER[1]}>&-; wait "$UPPER_PID"; echo "coproc ended with $?"
coproc /usr/bin/cat; echo through >&"${COPROC[1]}"; read -r -t 5 back <&"${COPROC[0]}"; echo "$back"; kill "$COPROC_PID"; wait "$COPROC_PID" 2>/dev/null; echo "status $?"
done_with coprocesses

declare -A map=([one]=1 [two]=2 [three]=3); for k in "${!map[@]}"; do echo "$k=${map[$k]}"; done | sort
mapfile -t lines <<<"$(seq 5)"; echo "${#lines[@]} ${lines[*]:1:3}"
done_with arrays

sleep 100 & sleep 0.1 & wait -n; echo "first out: $?"; kill %1; wait %1; echo "status $?"
set -m; sleep 100 & kill -STOP %%; sleep 0.2; jobs %%  | tr -s ' '; kill -CONT %%; kill -TERM %%; wait %% 2>/dev/null; echo "status $?"; set +m
pids=(); for i in {1..20}; do (exit $((i % 3))) & pids+=($!); done; sum=0; for p in "${pids[@]}"; do wait $p; sum=$((sum + $?)); done; echo "sum $sum"
sleep 0.5 | read -r -t 0.2 nothing; echo "read gave $((  $? > 128 ))"
( ulimit -n 20; exec 19>/dev/null && echo "19 is there"; exec 30>/dev/null ) 2>/dev/null || echo "30 is not"
( ulimit -t 1; while :; do :; done ) 2>/dev/null; echo "status $?"
exec {fd}<<<"here string"; read -r text <&$fd; echo "$text"; exec {fd}<&-
done_with jobs

fib() { local n=$1; ((n < 2)) && { echo "$n"; return; }; echo $(($(fib $((n - 1))) + $(fib $((n - 2))))); }; fib 9
printf -v padded '%08.3f' 3.14159; echo "$padded"; echo {a..e}{1,2}; x=abcdef; echo "${x:2:3} ${x/cd/XY} ${x^^} ${#x}"
[[ "linux-6.1" =~ ^([a-z]+)-([0-9.]+)$ ]] && echo "${BASH_REMATCH[@]:1}"
shopt -s globstar nullglob; mkdir -p d/e/f; touch d/{1,2}.c d/e/3.c d/e/f/4.c; echo **/*.c; echo d/*.h
for ((i = 0, s = 0; i < 5000; i++)); do ((s += i)); done; echo $s
/usr/bin/seq 3 | { read -r a; read -r b; echo "$a $b"; }; echo "${PIPESTATUS[@]}"
exec 3>&1; out=$( { echo hidden >&2; echo shown >&3; } 2>&1 ); echo "$out"
done_with language
