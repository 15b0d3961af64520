#!/bin/sh
# CPython's tests of its module fcntl.
# There is no F_NOTIFY, which test_fcntl_64_bit asks for.
# cpus: 1
# timeout: 300
mkdir -p /tmp/python_fcntl && cd /tmp/python_fcntl || exit 1
exec python3.11 -B /real/suite.py test_fcntl test_fcntl_64_bit
