#!/bin/sh
# CPython's tests of its module posix.
# cpus: 1
# timeout: 300
mkdir -p /tmp/python_posix && cd /tmp/python_posix || exit 1
exec python3.11 -B /real/suite.py test_posix
