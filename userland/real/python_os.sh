#!/bin/sh
# CPython's tests of its module os.
# There is no TCP for TestSendfile.
# cpus: 1
# timeout: 300
mkdir -p /tmp/python_os && cd /tmp/python_os || exit 1
exec python3.11 -B /real/suite.py test_os TestSendfile
