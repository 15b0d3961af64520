#!/bin/sh
# CPython's tests of its module subprocess.
# Left out: a test of left behind descriptors, which depends on the limit it finds.
# long: some minutes
#
# cpus: 1
# timeout: 600
mkdir -p /tmp/python_subprocess && cd /tmp/python_subprocess || exit 1
exec python3.11 -B /real/suite.py test_subprocess test_no_leaking
