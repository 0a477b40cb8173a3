"""What a run of the suite states, and whether two runs agree."""

import os
import random
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tools/bench"))

import figures
import windows


def window(server_ns, noisy=False):
    return {"server_ns": server_ns, "both_ns": 2 * server_ns, "rate": 1e9 / server_ns, "busy": 1.0,
            "p99_us": None, "noisy": noisy}


def run_of(**medians):
    """A run with one case for each name, of one server."""
    return {"cases": {name: {"summary": {"ours": {"server_ns": figures.stated(values)}}}
                      for name, values in medians.items()}}


class Stated(unittest.TestCase):
    def test_of_nothing_there_is_nothing(self):
        self.assertIsNone(figures.stated([None, None]))

    def test_few_values_state_all_that_was_seen(self):
        found = figures.stated([100, 110, 90], 0.0)
        self.assertEqual((found["low"], found["median"], found["high"]), (90, 100, 110))
        self.assertAlmostEqual(found["confidence"], 0.75)
        self.assertAlmostEqual(found["spread"], 0.1)

    def test_an_interval_of_many_ignores_the_outermost(self):
        found = figures.stated([1, 98, 99, 99, 100, 100, 101, 101, 102, 500], 0.0)
        self.assertEqual((found["low"], found["high"], found["confidence"]), (98, 102, 0.95))

    def test_the_wider_side_counts(self):
        self.assertAlmostEqual(figures.stated([99, 100, 120], 0.0)["spread"], 0.2)

    def test_what_runs_differ_by_is_added_in_quadrature(self):
        self.assertAlmostEqual(figures.stated([97, 100, 103], 0.04)["spread"], 0.05)

    def test_the_interval_of_a_median_keeps_its_word(self):
        numbers = random.Random(7)
        trials = 2000
        within = 0
        for _ in range(trials):
            found = figures.stated([numbers.expovariate(1.0) for _ in range(8)], 0.0)
            within += found["low"] <= 0.6931 <= found["high"]  # median: ln 2
        self.assertGreater(within / trials, 0.95)


class Noise(unittest.TestCase):
    def test_noisy_rounds_do_not_count_where_quiet_ones_are_enough(self):
        used, counts = figures.chosen_windows([[window(10)], [window(99, True), window(98, True)],
                                               [window(11)]])
        self.assertEqual([one["server_ns"] for one in used], [10, 11])
        self.assertEqual(counts, {"rounds": 3, "repeated": 1, "noisy": 1, "noisy_used": False})

    def test_all_count_where_most_are_noisy_and_it_is_said(self):
        used, counts = figures.chosen_windows([[window(10)], [window(99, True)], [window(98, True)]])
        self.assertEqual(len(used), 3)
        self.assertTrue(counts["noisy_used"])

    def test_a_repeated_window_that_was_quiet_is_no_noisy_round(self):
        _, counts = figures.chosen_windows([[window(10), window(99, True)]])
        self.assertEqual((counts["repeated"], counts["noisy"]), (1, 0))


    def test_steal_is_not_made_up_for_by_ticks_that_were_missed(self):
        self.assertAlmostEqual(windows.disturbed(0.11, -0.08), 0.11)
        self.assertAlmostEqual(windows.disturbed(0.02, 0.05), 0.07)


class Summary(unittest.TestCase):
    def test_ratios_leave_noisy_rounds_out_too(self):
        rounds = [{"a": [window(100)], "b": [window(150)]}, {"a": [window(100)], "b": [window(150)]},
                  {"a": [window(100)], "b": [window(900, True)]}]
        self.assertEqual(figures.summarize(rounds, ["a", "b"])["b"]["ratio"]["high"], 1.5)

    def test_ratios_of_all_where_most_are_noisy(self):
        rounds = [{"a": [window(100)], "b": [window(ns, True)]} for ns in (150, 900)]
        self.assertEqual(figures.summarize(rounds, ["a", "b"])["b"]["ratio"]["high"], 9.0)

    def test_ratios_are_of_the_same_round(self):
        rounds = [{"a": [window(100)], "b": [window(150)]}, {"a": [window(200)], "b": [window(300)]}]
        found = figures.summarize(rounds, ["a", "b"])
        self.assertIsNone(found["a"]["ratio"])
        self.assertEqual((found["b"]["ratio"]["low"], found["b"]["ratio"]["high"]), (1.5, 1.5))

    def test_a_server_without_cpu_time_has_a_rate(self):
        nameless = {**window(100), "server_ns": None}
        found = figures.summarize([{"a": [window(100)], "b": [nameless]}], ["a", "b"])["b"]
        self.assertIsNone(found["server_ns"])
        self.assertIsNone(found["ratio"])
        self.assertEqual(found["rate"]["median"], 1e7)


class Agreement(unittest.TestCase):
    def test_the_same_agrees(self):
        run = run_of(echo=[99, 100, 101])
        self.assertTrue(all(row[-1] for row in figures.compare(run, run)))

    def test_both_spreads_count_in_quadrature(self):
        one = {"median": 100, "spread": 0.03}
        self.assertTrue(figures.agree(one, {"median": 104.9, "spread": 0.04}))
        self.assertFalse(figures.agree(one, {"median": 105.3, "spread": 0.04}))

    def test_a_change_beyond_the_spread_is_told_whichever_run_comes_first(self):
        one, other = run_of(echo=[99, 100, 101]), run_of(echo=[119, 120, 121])
        self.assertEqual([row[-1] for row in figures.compare(one, other)], [False])
        self.assertEqual([row[-1] for row in figures.compare(other, one)], [False])

    def test_only_what_both_have_is_compared(self):
        rows = figures.compare(run_of(echo=[1], tls=[1]), run_of(echo=[1], deflate=[1]))
        self.assertEqual([row[0] for row in rows], ["echo"])

    def test_what_only_one_has_is_named(self):
        one, other = run_of(echo=[1], tls=[1]), run_of(echo=[1])
        one["cases"]["echo"]["summary"]["theirs"] = one["cases"]["echo"]["summary"]["ours"]
        self.assertEqual(figures.only_in(one, other), ["theirs in echo", "tls"])
        self.assertEqual(figures.only_in(other, one), [])


if __name__ == "__main__":
    unittest.main()
