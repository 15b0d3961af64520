#!/usr/bin/busybox sh
# busybox's shell and applets: pipes, redirections, here documents, jobs, archives, text.
# cpus: 1 2
# timeout: 60
set -u
rm -rf /tmp/busybox && mkdir -p /tmp/busybox && cd /tmp/busybox || exit 1
umask 022

# A section's output stands above its line; a difference in either is a failure.
done_with() { echo "ok $1"; }

seq 1000 | grep 7 | sort -rn | head -n 5 | tr '\n' ' ' && echo
seq 1 100000 | tail -n 1
yes | head -n 100000 | wc -c
dd if=/dev/zero bs=64k count=40 2>/dev/null | tr '\0' x | md5sum
false | true && echo "the last one counts"
( seq 5; echo five >&2 ) 2>&1 | cat -n
done_with pipes

echo one >f; echo two >>f; cat <f
{ echo out; echo err >&2; } >both 2>&1; cat both
{ echo out; echo err >&2; } 2>&1 >only_out | sed 's/^/piped: /'
exec 5>five; echo "to five" >&5; exec 5>&-; cat five
exec 6<f; read -r first <&6; read -r second <&6; exec 6<&-; echo "$first $second"
exec 7<>rw; echo hello >&7; exec 7>&-; cat rw
set -C; (echo no >f) 2>/dev/null || echo "noclobber holds"; set +C
(cat <&9) 2>/dev/null || echo "a closed descriptor is an error"
done_with redirections

name=world
cat <<END
hello $name, $((6 * 7)), $(echo nested)
END
cat <<'END'
hello $name
END
cat <<-END | tr a-z A-Z
	tabs are gone
	END
seq 20000 >long
cat <<END | md5sum
$(cat long)
END
done_with "here documents"

sleep 100 & sleep 200 &
jobs | sed 's/  */ /g'
kill %1; wait %1; echo "status $?"
kill -STOP %2; kill -KILL %2; wait %2; echo "status $?"
(exit 7) & wait $!; echo "status $?"
sleep 100 & pid=$!; (sleep 0.2; kill $pid) & wait $pid; echo "status $?"; wait
trap 'echo caught' USR1; kill -USR1 $$; trap - USR1
trap 'echo "at the end"' EXIT
( trap 'echo inner end' EXIT; exit 3 ); echo "status $?"
timeout 0.2 sleep 10; echo "timeout $?"
done_with jobs

mkdir -p tree/a/b tree/c
for i in 1 2 3 4 5; do echo "text $i" >tree/a/f$i; cp tree/a/f$i tree/a/b/g$i; done
ln -s ../a/f1 tree/c/link; ln tree/a/f2 tree/c/hard; mkfifo tree/c/fifo; : >"tree/c/with blank"
find tree | sort
find tree -type f -print0 | xargs -0 md5sum | sort -k 2
find tree -name 'f*' -size -2 -exec basename {} \; | sort | xargs echo
find tree -type l -o -type p | sort
chmod 640 tree/a/f3; stat -c '%n %a %h %s %F' tree/a/f3 tree/c/hard tree/c/link tree/c/fifo
du -a tree >/dev/null && echo "du ends with $?"
done_with "find, xargs, sort"

tar cf t.tar tree; tar tf t.tar | sort; mkdir out; tar xf t.tar -C out; diff -r tree/a out/tree/a && echo same
tar czf t.tgz tree; gunzip -c t.tgz | tar t | wc -l
gzip -c long | gunzip | cmp - long && echo "gzip gives it back"
bzip2 -c long | bunzip2 | cmp - long && echo "bzip2 gives it back"
( cd tree && find . | sort | cpio -o -H newc 2>/dev/null ) >t.cpio; mkdir cp; ( cd cp && cpio -id <../t.cpio 2>/dev/null ); diff -r tree/a cp/a && echo "cpio too"
done_with archives

printf '%s\n' apple banana cherry | sed -n '2,$p' | sed 's/an/AN/g; /CH/d; s/^\(.\)\(.*\)$/\2\1/'
seq 10 | sed -e '3i\
inserted' -e '$!N;s/\n/+/'
cp long edit; sed -i 's/9/nine/g' edit; md5sum <edit
awk 'BEGIN { for (i = 1; i < 6; i++) s = s i * i " "; print s; printf "%5.2f|%-4s|%03d\n", 22 / 7, "ab", 7 }'
seq 100 | awk '{ sum[$1 % 3] += $1 } END { for (i = 0; i < 3; i++) print i, sum[i] }'
echo 'a:b:c' | awk -F: -v OFS=- '{ $2 = toupper($2); print; print NF }'
awk 'BEGIN { "echo from a command" | getline line; print line; print "to a command" | "cat"; close("cat"); exit 4 }'; echo "awk ended with $?"
done_with "sed and awk"

printf 'b 2\na 1\nc 3\n' | sort -k 2n | cut -d ' ' -f 1 | paste -s -d , -
printf 'a\na\nb\n' | uniq -c | sed 's/^ *//'
seq 3 >l; seq 2 4 >r; comm -12 l r | xargs; diff l r; diff -u l r | tail -n +3 | patch -p0 l >/dev/null 2>&1; cat l | xargs
od -An -tx1 <f; hexdump -C f | head -n 1; echo aGVsbG8= | base64 -d; echo
echo '2 3 + p' | dc; expr 7 \* 6; echo 'scale=4; 1/3' | bc
split -l 5000 long part.; ls part.*; cat part.* | cmp - long && echo "the parts make it up"
date -u -d @86400 '+%Y-%m-%d %H:%M:%S'; touch -d '2001-02-03 04:05:06' f; date -u -r f '+%Y-%m-%d'
env -i A=1 B=2 env | sort; printf '%s-%s\n' a b c d; basename /x/y.c .c; dirname /x/y.c
nice -n 5 nice; uname -s; id -u; pwd; test -d tree -a ! -e nothing && echo "test agrees"
sha256sum <long; cksum <long; rev <f; tac l | xargs; fold -w 3 f | head -n 2; expand </dev/null; nl l | head -n 1
done_with "small tools"
