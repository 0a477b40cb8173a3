"""Diagrams of what epulse-load -j prints."""

import json
import os
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as ElementTree

TOOLS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tools/bench")
sys.path.insert(0, TOOLS)

import curves
import svg

SPACE = "{http://www.w3.org/2000/svg}"


def result(points=((0, 50.0), (0.9, 100.0), (0.99, 1000.0), (1, 5000.0)), unsound=(), steps=(), ramp=None,
           received=1000):
    return {"type": "summary", "unsound": list(unsound), "received": received, "ramp": ramp,
            "percentiles": [{"share": share, "us": us} for share, us in points],
            "steps": [{"rate_due": rate, "p99_us": us, "unsound": ["late"] if bad else []}
                      for rate, us, bad in steps]}


def elements(diagram, name):
    return list(ElementTree.fromstring(diagram.svg()).iter(SPACE + name))


def lines(diagram):
    """The points of each curve."""
    return [[tuple(map(float, point.split(","))) for point in line.get("points").split()]
            for line in elements(diagram, "polyline")]


def texts(diagram):
    return [text.text for text in elements(diagram, "text")]


class Axes(unittest.TestCase):
    def test_every_nine_takes_the_same_room(self):
        axis = curves.nines_axis(4)
        self.assertAlmostEqual(axis.share(0), 0)
        for nines, share in enumerate((0.9, 0.99, 0.999, 0.9999), 1):
            self.assertAlmostEqual(axis.share(share), nines / 4)
        self.assertEqual([label for _, label in axis.ticks], ["0", "90", "99", "99.9", "99.99"])

    def test_a_logarithmic_axis_begins_and_ends_with_a_round_number(self):
        axis = svg.log_axis("", [30, 700], str)
        self.assertEqual([value for value, _ in axis.ticks], [20, 50, 100, 200, 500, 1000])
        self.assertAlmostEqual(axis.share(20), 0)
        self.assertAlmostEqual(axis.share(1000), 1)
        self.assertAlmostEqual(axis.share(100) - axis.share(50), axis.share(200) - axis.share(100))

    def test_one_value_has_an_axis_too(self):
        for value in (0.001, 1, 100, 7e9):
            axis = svg.log_axis("", [value], str)
            self.assertTrue(0 <= axis.share(value) <= 1, value)
            axis = svg.linear_axis("", value, str)
            self.assertTrue(0 < axis.share(value) <= 1, value)

    def test_a_linear_axis_begins_with_zero(self):
        axis = svg.linear_axis("", 4200, str)
        self.assertEqual([value for value, _ in axis.ticks], [0, 1000, 2000, 3000, 4000, 5000])
        self.assertAlmostEqual(axis.share(2500), 0.5)

    def test_numbers_have_their_units(self):
        self.assertEqual([curves.latency_text(us) for us in (0.5, 20, 5000, 2e6)],
                         ["0.5 us", "20 us", "5 ms", "2 s"])
        self.assertEqual([curves.rate_text(rate) for rate in (500, 20_000, 5e6)], ["500", "20 k", "5 M"])


class Percentiles(unittest.TestCase):
    def test_points_are_where_the_axes_say(self):
        diagram = curves.percentile_diagram([("one", result())], "Title")
        (line,) = lines(diagram)
        self.assertEqual(line, [(round(diagram.x(share), 1), round(diagram.y(us), 1))
                                for share, us in ((0, 50), (0.9, 100), (0.99, 1000), (0.999, 5000))])
        # Up is slower, to the right is rarer; 50 us is at the bottom, 5 ms at the top.
        self.assertEqual([y for _, y in line], sorted((y for _, y in line), reverse=True))
        self.assertEqual((line[0][1], line[-1][1]), (svg.HEIGHT - svg.BOTTOM, svg.TOP))
        self.assertEqual((line[0][0], line[-1][0]), (svg.LEFT, svg.WIDTH - svg.RIGHT))
        self.assertAlmostEqual(line[2][0] - line[1][0], line[3][0] - line[2][0], delta=0.11)
        for label in ("Title", "one", "99.9", "50 us", "1 ms", "percentile", "latency"):
            self.assertIn(label, texts(diagram))

    def test_several_results_share_the_axes(self):
        slow = result(((0, 100.0), (0.9999, 70_000.0), (1, 80_000.0)), received=100_000)
        diagram = curves.percentile_diagram([("a", result()), ("b", slow)], "")
        first, second = lines(diagram)
        self.assertLess(first[-1][0], second[-1][0])
        self.assertEqual(second[-1][0], svg.WIDTH - svg.RIGHT)
        self.assertIn("99.999", texts(diagram))
        colours = {line.get("stroke") for line in elements(diagram, "polyline")}
        self.assertEqual(len(colours), 2)

    def test_what_is_unsound_is_marked(self):
        diagram = curves.percentile_diagram([("a", result(unsound=["late"])), ("b", result())], "")
        self.assertIn("a (unsound)", texts(diagram))
        self.assertIn("b", texts(diagram))

    def test_no_time_at_all_is_drawn_at_the_bottom(self):
        diagram = curves.percentile_diagram([("a", result(((0, 0.0), (0.9, 100.0), (1, 200.0))))], "")
        (line,) = lines(diagram)
        self.assertEqual(line[0][1], line[1][1])

    def test_without_percentiles_there_is_nothing_to_draw(self):
        with self.assertRaises(curves.Unfit):
            curves.percentile_diagram([("a", result(()))], "")

    def test_names_may_be_anything(self):
        diagram = curves.percentile_diagram([("p99<2ms & \"more\"", result())], "a<b")
        self.assertIn("p99<2ms & \"more\"", texts(diagram))


class Rates(unittest.TestCase):
    STEPS = ((1000, 100.0, False), (4000, 400.0, False), (2000, 200.0, False))

    def test_steps_are_drawn_by_rate(self):
        diagram = curves.rate_diagram([("a", result(steps=self.STEPS))], "")
        (line,) = lines(diagram)
        self.assertEqual(line, [(round(diagram.x(rate), 1), round(diagram.y(us), 1))
                                for rate, us in ((1000, 100), (2000, 200), (4000, 400))])
        self.assertEqual(len(elements(diagram, "circle")), 3)
        self.assertAlmostEqual(diagram.x(2000) - diagram.x(1000), diagram.x(3000) - diagram.x(2000))

    def test_rates_far_apart_have_a_logarithmic_axis(self):
        steps = ((100, 1.0, False), (10_000, 1.0, False))
        diagram = curves.rate_diagram([("a", result(steps=steps))], "")
        self.assertAlmostEqual(diagram.x(1000) - diagram.x(100), diagram.x(10_000) - diagram.x(1000))

    def test_the_line_goes_through_the_best_sound_probe_of_each_rate(self):
        steps = ((1000, 900.0, False), (1000, 100.0, False), (2000, 50.0, True), (3000, 300.0, False))
        diagram = curves.rate_diagram([("a", result(steps=steps))], "")
        (line,) = lines(diagram)
        self.assertEqual(line, [(round(diagram.x(rate), 1), round(diagram.y(us), 1))
                                for rate, us in ((1000, 100), (3000, 300))])
        hollow = [circle.get("fill") == svg.PAPER for circle in elements(diagram, "circle")]
        self.assertEqual(sorted(hollow), [False, False, False, True])
        self.assertIn("a (hollow: unsound)", texts(diagram))

    def test_the_target_of_a_ramp_is_a_dashed_line(self):
        ramp = {"target": "p99<2ms"}
        diagram = curves.rate_diagram([("a", result(steps=self.STEPS, ramp=ramp))], "")
        (dashed,) = [line for line in elements(diagram, "line") if line.get("stroke-dasharray")]
        self.assertAlmostEqual(float(dashed.get("y1")), diagram.y(2000), delta=0.06)
        self.assertIn("target 2 ms", texts(diagram))

    def test_a_target_for_anything_else_is_not(self):
        self.assertEqual(curves.target_us({"ramp": {"target": "p99<=1.5s"}}), 1.5e6)
        self.assertIsNone(curves.target_us({"ramp": {"target": "p99.9<2ms"}}))
        self.assertIsNone(curves.target_us({"ramp": None}))

    def test_without_steps_there_is_nothing_to_draw(self):
        with self.assertRaises(curves.Unfit):
            curves.rate_diagram([("a", result())], "")


class Program(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def file(self, name, text):
        path = os.path.join(self.folder.name, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def plot(self, *arguments):
        return subprocess.run([sys.executable, os.path.join(TOOLS, "plot"), *arguments], capture_output=True,
                              text=True, check=False)

    def test_the_summary_behind_the_intervals_is_drawn(self):
        path = self.file("quick.json", '{"type":"interval"}\n' + json.dumps(result(steps=Rates.STEPS)) + "\n")
        out = os.path.join(self.folder.name, "out.svg")
        done = self.plot("percentiles", path, f"another one={path}", "-o", out, "--title", "Mine")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
        found = [text.text for text in ElementTree.parse(out).iter(SPACE + "text")]
        for label in ("quick", "another one", "Mine"):
            self.assertIn(label, found)
        to_stdout = self.plot("rates", path)
        self.assertEqual(to_stdout.returncode, 0, to_stdout.stderr)
        self.assertTrue(to_stdout.stdout.startswith("<svg "))

    def test_errors_say_which_file_and_why(self):
        good = self.file("good.json", json.dumps(result()))
        for arguments, words in (
                (["percentiles", self.file("empty", "")], ["empty: no summary of epulse-load"]),
                (["percentiles", self.file("text", "{\"type\":\n[1]\nx")], ["text: no summary"]),
                (["rates", good], ["good.json: no steps", "--ramp"]),
                (["percentiles", good, "x=/nowhere/at/all"], ["x=/nowhere/at/all: No such file"]),
                (["percentiles", good, "-o", "/nowhere/at/all"], ["/nowhere/at/all: No such file"])):
            done = self.plot(*arguments)
            self.assertEqual((done.returncode, done.stderr.count("\n")), (2, 1), done.stderr)
            for word in words:
                self.assertIn(word, done.stderr)


if __name__ == "__main__":
    unittest.main()
