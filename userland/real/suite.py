"""CPython's own test modules, a line a test: `suite.py MODULE [TEST…]`.

`ok`, `skipped` or `fails` and the test's name; what fails on Linux too is no difference. Tests named after the module, or
whose name contains such a word, are left out, and said to be.
"""
import os
import sys
import time
import unittest

# What the tests themselves print goes to standard error.
LINES = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)


class Lines(unittest.TestResult):
    """Prints each test's outcome; the reasons go to standard error."""

    def __init__(self):
        super().__init__()
        self.outcomes = {}

    def note(self, test, outcome, reason=""):
        # The worst of a test's parts is its outcome.
        order = ["ok", "skipped", "fails"]
        before = self.outcomes.get(test.id(), "ok")
        self.outcomes[test.id()] = max(before, outcome, key=order.index)
        if outcome == "fails":
            print(f"{test.id()}\n{reason}", file=sys.stderr)

    def addError(self, test, err):
        super().addError(test, err)
        self.note(test, "fails", self.errors[-1][1])

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.note(test, "fails", self.failures[-1][1])

    def addSkip(self, test, reason):
        self.note(test, "skipped")

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.note(test, "fails", str(err))

    def startTest(self, test):
        super().startTest(test)
        self.begun = time.monotonic()

    def stopTest(self, test):
        super().stopTest(test)
        took = time.monotonic() - self.begun
        print(self.outcomes.get(test.id(), "ok"), test.id(), file=LINES, flush=True)
        print(f"{took:.2f} s {test.id()}", file=sys.stderr)


def flatten(tests):
    for test in tests:
        if isinstance(test, unittest.TestSuite):
            yield from flatten(test)
        else:
            yield test


def main(module, left_out):
    loaded = unittest.defaultTestLoader.loadTestsFromName("test." + module)
    kept = unittest.TestSuite()
    for test in flatten(loaded):
        if any(word in test.id() for word in left_out):
            print("left out", test.id(), file=LINES)
        else:
            kept.addTest(test)
    kept.run(Lines())


main(sys.argv[1], sys.argv[2:])
