"""The budget of instructions."""

import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tools/bench"))

import budget


class Budget(unittest.TestCase):
    def test_what_is_written_is_read_again(self):
        self.assertEqual(budget.parse(budget.text("AVX2", {"a": 10.5, "b": 2.0})), ("AVX2", {"a": 10.5, "b": 2.0}))

    def test_growth_of_3_percent_is_let_pass_and_more_is_not(self):
        self.assertEqual(budget.beyond({"a": 103.0}, {"a": 100.0}), [])
        self.assertEqual(len(budget.beyond({"a": 103.1}, {"a": 100.0})), 1)

    def test_less_is_fine(self):
        self.assertEqual(budget.beyond({"a": 50.0}, {"a": 100.0}), [])

    def test_a_case_of_one_side_alone_fails(self):
        self.assertEqual(len(budget.beyond({"a": 1.0}, {"b": 1.0})), 2)


if __name__ == "__main__":
    unittest.main()
