"""A script of this directory at work in the background."""

import os
import sys

from children import LOAD_CPU, NICE, read, wait_for

READY_S = 40


class Script:
    """`name` with `arguments`; there when it has said "ready"."""

    def __init__(self, bench, name, *arguments, nice=NICE):
        program = os.path.join(os.path.dirname(os.path.abspath(__file__)), name)
        self._children, self._out = bench.children, os.path.join(bench.scratch, "-".join((name, *arguments)))
        with open(self._out, "w") as file:
            self.process = bench.children.start([sys.executable, program, *arguments], [LOAD_CPU], file, nice)
        wait_for(lambda: "ready" in self.said(), f"{name} {arguments[0]} does not get ready", READY_S,
                 self.process, self._out)

    def said(self):
        return read(self._out)

    def ended(self):
        return self.process.poll() is not None

    def end(self):
        self._children.end(self.process)
