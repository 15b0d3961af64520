#!/usr/bin/bash-static
# bash's process substitution: programs that open pipes again, by their names in /dev/fd.
# cpus: 1 2
rm -rf /tmp/substitution && mkdir -p /tmp/substitution && cd /tmp/substitution || exit 1
cat <(echo left) <(echo right); paste -d + <(seq 3) <(seq 4 6); diff <(seq 3) <(seq 2 4)
tee >(wc -l >count) >(sort -rn | head -n 1 >top) < <(seq 50) >/dev/null; sleep 0.5; xargs <count; xargs <top
while read -r a b; do echo "$b $a"; done < <(printf '1 2\n3 4\n')
mapfile -t lines < <(seq 5); echo "${#lines[@]} ${lines[*]:1:3}"
read -r -t 0.2 nothing < <(sleep 0.5); echo "read gave $(($? > 128))"
echo "ok process substitution"
