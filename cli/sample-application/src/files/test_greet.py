import unittest

from GreetFunction.greet import greet


class Greet(unittest.TestCase):
    def test_names_whom_it_greets(self):
        self.assertEqual(greet("Ada"), "GREETING, Ada!")

    def test_greets_nobody_in_particular(self):
        self.assertEqual(greet(""), "GREETING!")

    @unittest.skip("nobody knows all languages")
    def test_greets_in_all_languages(self):
        pass
