"""A diagram as SVG: two axes, curves over them, a legend. Knows nothing of what it shows."""

import math
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 720, 420
LEFT, RIGHT, TOP, BOTTOM = 76, 32, 44, 56  # around the area of the curves
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # Okabe and Ito: for all eyes
GRID, INK, PAPER = "#dddddd", "#333333", "#ffffff"
FONT = "font-family=\"sans-serif\" font-size=\"12\""


class Axis:
    """From values to a share of its length. `ticks`: (value, label)."""

    def __init__(self, label, low, high, ticks, place=lambda value: value):
        self.label, self.ticks, self._place = label, ticks, place
        self._low, self._high = place(low), place(high)

    def share(self, value):
        return (self._place(value) - self._low) / (self._high - self._low)


def log_steps(low, high):
    """1, 2 and 5 of each decade, from the last that is not above `low` to the first that is not below `high`."""
    steps = [factor * 10.0 ** decade for decade in range(math.floor(math.log10(low)) - 1,
                                                         math.ceil(math.log10(high)) + 1)
             for factor in (1, 2, 5)]
    first = max(at for at, step in enumerate(steps) if step <= low * (1 + 1e-9))
    last = min((at for at, step in enumerate(steps) if step >= high * (1 - 1e-9)), default=len(steps) - 1)
    return steps[first:max(last, first + 1) + 1]


def log_axis(label, values, text):
    steps = log_steps(min(values), max(values))
    return Axis(label, steps[0], steps[-1], [(step, text(step)) for step in steps], math.log10)


def linear_axis(label, high, text):
    """From 0."""
    step = next(step for step in log_steps(high / 10, high) if high / step <= 8)
    count = math.ceil(high / step - 1e-9)
    return Axis(label, 0, count * step, [(step * k, text(step * k)) for k in range(count + 1)])


class Curve:
    """`line`: (x, y), none or several; `marks`: (x, y, whether it is hollow)."""

    def __init__(self, name, line, marks=()):
        self.name, self.line, self.marks = name, line, marks


def number(value):
    return f"{value:.1f}".removesuffix(".0")


class Diagram:
    """`legend_left`: at the top left instead of the bottom right; curves rise, sooner or later."""

    def __init__(self, title, x_axis, y_axis, legend_left=False):
        self._title, self._x_axis, self._y_axis, self._legend_left = title, x_axis, y_axis, legend_left
        self._curves, self._levels = [], []

    def add(self, curve):
        self._curves.append(curve)

    def add_level(self, y, label):
        """A dashed line across."""
        self._levels.append((y, label))

    def x(self, value):
        return LEFT + self._x_axis.share(value) * (WIDTH - LEFT - RIGHT)

    def y(self, value):
        return HEIGHT - BOTTOM - self._y_axis.share(value) * (HEIGHT - TOP - BOTTOM)

    def svg(self):
        parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
                 f'viewBox="0 0 {WIDTH} {HEIGHT}" {FONT} fill="{INK}">',
                 f'<rect width="{WIDTH}" height="{HEIGHT}" fill="{PAPER}"/>',
                 text_at(WIDTH / 2, 24, self._title, "middle", 'font-size="14"'),
                 *self._grid(), *self._level_lines()]
        for curve, colour in zip(self._curves, self._colours()):
            parts += self._curve(curve, colour)
        return "\n".join([*parts, *self._legend(), "</svg>"]) + "\n"

    def _colours(self):
        return [COLOURS[at % len(COLOURS)] for at in range(len(self._curves))]

    def _grid(self):
        bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
        for value, label in self._x_axis.ticks:
            yield line_of(self.x(value), TOP, self.x(value), bottom, GRID)
            yield text_at(self.x(value), bottom + 18, label, "middle")
        for value, label in self._y_axis.ticks:
            yield line_of(LEFT, self.y(value), right, self.y(value), GRID)
            yield text_at(LEFT - 8, self.y(value) + 4, label, "end")
        yield text_at((LEFT + right) / 2, HEIGHT - 14, self._x_axis.label, "middle")
        yield text_at(16, (TOP + bottom) / 2, self._y_axis.label, "middle",
                      f'transform="rotate(-90 16 {number((TOP + bottom) / 2)})"')

    def _level_lines(self):
        for y, label in self._levels:
            yield line_of(LEFT, self.y(y), WIDTH - RIGHT, self.y(y), INK, 'stroke-dasharray="5 4"')
            yield text_at(WIDTH - RIGHT - 4, self.y(y) - 5, label, "end")

    def _curve(self, curve, colour):
        points = " ".join(f"{number(self.x(x))},{number(self.y(y))}" for x, y in curve.line)
        yield f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'
        for x, y, hollow in curve.marks:
            yield (f'<circle cx="{number(self.x(x))}" cy="{number(self.y(y))}" r="4" stroke="{colour}" '
                   f'fill="{PAPER if hollow else colour}"/>')

    def _legend(self):
        left = LEFT + 12 if self._legend_left else WIDTH - RIGHT - 36
        top = TOP + 16 if self._legend_left else HEIGHT - BOTTOM - 14 - 18 * (len(self._curves) - 1)
        for at, (curve, colour) in enumerate(zip(self._curves, self._colours())):
            y = top + 18 * at
            yield line_of(left, y, left + 24, y, colour, 'stroke-width="2"')
            yield (text_at(left + 30, y + 4, curve.name, "start") if self._legend_left
                   else text_at(left - 6, y + 4, curve.name, "end"))


def text_at(x, y, text, anchor, more=""):
    return f'<text x="{number(x)}" y="{number(y)}" text-anchor="{anchor}" {more}>{escape(text)}</text>'


def line_of(x1, y1, x2, y2, colour, more=""):
    return (f'<line x1="{number(x1)}" y1="{number(y1)}" x2="{number(x2)}" y2="{number(y2)}" '
            f'stroke="{colour}" {more}/>')
