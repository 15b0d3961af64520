#!/usr/bin/zsh-static -f
# zsh: traps, coprocesses, substitution by files, its language.
# cpus: 1
# timeout: 60
rm -rf /tmp/zsh && mkdir -p /tmp/zsh && cd /tmp/zsh || exit 1
done_with() { print "ok $1" }

TRAPUSR1() { print "usr1 is $1 and more" >/dev/null; print caught }
kill -USR1 $$
(trap 'print end of the subshell' EXIT; exit 4); print "status $?"
(trap 'print int; exit 8' INT; kill -INT $(/bin/sh -c 'echo $PPID'); sleep 1); print "status $?"
(sleep 100 & kill $!; wait $!); print "status $?"
done_with traps

coproc while read -r line; do print -r -- ${(U)line}; done
for word in one two; do print -p $word; read -p answer; print $answer; done
coproc exit
done_with coprocesses

print -l -- "$(<=(print from a file))" =(print text)(:h)
diff =(seq 3) =(seq 2 4)
done_with "substitution by files"

typeset -A map; map=(one 1 two 2); print -l ${(ok)map} ${(ov)map}
a=({1..10}); print $a[2,4] $#a ${a:#*1*} ${(j:,:)a}
mkdir -p d/e; touch d/{1,2}.c d/e/3.c; print **/*.c(.) **/*(/) ; print d/*(N.om[1]:t:r) >/dev/null
print ${${:-hello world}//o/0} ${(l:5::0:)${:-42}} $((2 ** 10)) $((1.0 / 4))
for ((i = 0, s = 0; i < 5000; i++)) ((s += i)); print $s
setopt extendedglob; [[ linux-6.1 == (#b)([a-z]##)-* ]] && print $match[1]
done_with language

zmodload zsh/datetime && (( EPOCHSECONDS > 1000000000 )) && print "the clock is set"
done_with modules
