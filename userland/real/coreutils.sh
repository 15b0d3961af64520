#!/bin/sh
# Debian's own tools: dynamic programs, by glibc's loader.
# cpus: 2
# timeout: 60
set -u
PATH=/usr/bin
rm -rf /tmp/coreutils && mkdir -p /tmp/coreutils && cd /tmp/coreutils || exit 1
done_with() { echo "ok $1"; }

mkdir -p a/b; for i in $(seq 30); do echo "line $i" >a/b/f$i; done; cp -a a c; ln -s f1 a/b/l
ls a/b | wc -l; ls -l a/b/l | sed 's/.*f1$/-> f1/; s/.*-> /-> /'; ls -1v a/b | tail -n 2; ls --color=always -d a | od -c | head -n 1
ls a/b >one; ls c/b | grep -v '^l$' >two; sed -i '/^l$/d' one; cmp one two | tr -s ' '; rm one two; mv c d; rm -r d; ls
install -m 600 a/b/f1 g; stat -c '%a %s %h' g; truncate -s 100 g; stat -c %s g; touch -d @1000 g; date -u -r g +%s
realpath a/b/../b/l; readlink -f a/b/l; mktemp -d /tmp/coreutils/XXXX >/dev/null && echo made
df /tmp >/dev/null && echo df; du -s a >/dev/null && echo du; sync; link g h; unlink h; chmod u+x,go-rwx g; stat -c %A g
done_with files

seq 5000 | shuf --random-source=/usr/bin/python3.11 | sort -n | md5sum; seq 2000 | sort -R --random-source=/usr/bin/python3.11 | wc -l
seq 20000 | sort -r --parallel=2 -S 1M | md5sum
seq 10 | tac | paste -sd ' '; seq 10 >ten; split -n l/3 ten p.; wc -l p.* | tr -s ' '; seq 100 | csplit -sz - 33 66; ls xx*
seq 5 | tee x y | cat -n; seq 3 >one; seq 2 4 >two; join one two; comm -3 one two; printf '%s\n' a b | nl; seq 3 | numfmt --to=iec --from-unit=1024
sha256sum /usr/bin/seq >s && sha256sum -c s; b2sum </dev/null | cut -c 1-16; echo hello | base32; factor 1234567890; echo abc | tr a-c x-z
find a -newer g -type f | wc -l; find a -name 'f1?' | sort | xargs -n 3 -P 2 echo | sort; grep -rn 'line 1$' a | sort; grep -c . a/b/f1
sed -n 's/line \(.\)$/\1/p' a/b/f? | sort | paste -sd ''; mawk '{ s += $2 } END { print s }' a/b/f*; tar cf - a | tar tf - | wc -l; tar czf t.tgz a && gzip -t t.tgz && tar xzf t.tgz -O a/b/f7
done_with text

timeout 0.2 sleep 5; echo "timeout $?"; nohup true 2>/dev/null; echo $?; nice -n 3 nice; env -i X=1 env; stdbuf -oL echo buffered
timeout -s KILL 0.2 sleep 5; echo "timeout $?"; kill -l TERM; tail -f -n 1 --pid=$$ /dev/null & tail=$!; sleep 0.1; kill $tail; wait $tail; echo "status $?"
(sleep 0.3; echo late >>growing) & : >growing; timeout 2 tail -f -n +1 growing | head -n 1; wait
ps -o pid= -p $$ | wc -l; ps -eo comm= | grep -c '^ps$'; pgrep -f nothing-like-this; echo "pgrep $?"; nproc >/dev/null && echo nproc; uptime >/dev/null && echo uptime; free >/dev/null && echo free
vmstat >/dev/null && echo vmstat; top -b -n 1 | head -n 1 | cut -c 1-5; w -h >/dev/null; echo "w $?"
done_with processes

echo '{"b":[1,2,{"c":null}],"a":"text"}' | gron; echo '{"b":[1,2]}' | gron | gron --ungron | tr -d ' \n'; echo
seq 3000 | sed 's/.*/{"n": &}/' | gron --stream | tail -n 1
done_with "a Go program"
