"""Runs the unit tests, and writes how many have passed and how many were skipped to tests.txt."""

import sys
import unittest

tests = unittest.defaultTestLoader.discover(".", pattern="test_*.py")
result = unittest.TextTestRunner(verbosity=2).run(tests)
passed = result.testsRun - len(result.failures) - len(result.errors) - len(result.skipped)
with open("tests.txt", "w") as file:
    print(passed, len(result.skipped), file=file)
sys.exit(not result.wasSuccessful())
