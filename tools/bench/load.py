"""epulse-load in the background, and what its progress lines tell while it runs."""

import json
import signal
import statistics
import subprocess
import threading
import time

from children import LOAD_CPU, BenchError

PROGRESS_S = 0.1  # some lines must fall whole into a window
SILENCE_S = 20  # opening many connections takes a while


class Load:
    """`first`: a command that starts the load, such as chrt. An interval that is as long as a window
    has the exact percentiles of that window."""

    def __init__(self, children, bin_dir, url, options, progress_s=PROGRESS_S, first=(),
                 cpus=(LOAD_CPU,)):
        self._children, self._url = children, url
        self._intervals = []  # (arrived, the interval)
        self._messages = 0
        self._said = []
        self.summary = None  # what it says at its end
        self._ended = False
        self._news = threading.Condition()
        self.process = children.start(
            [*first, f"{bin_dir}/epulse-load", url, "-d", "100000", "--progress", str(progress_s), "-j",
             *options], cpus, subprocess.PIPE)
        self.pid = self.process.pid
        threading.Thread(target=self._collect, daemon=True).start()

    def _collect(self):
        for line in self.process.stdout:
            with self._news:
                self._take(line.decode(errors="replace"))
                self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()

    def _take(self, line):
        if not line.startswith("{"):
            self._said.append(line.strip())
            return
        interval = json.loads(line)
        if interval["type"] == "summary":
            self.summary = interval
        if interval["type"] == "interval":
            self._messages += interval["messages"]
            self._intervals.append((time.monotonic(), interval))

    def count(self):
        """When, by the load's own clock, and messages until then: of the next progress line."""
        with self._news:
            seen = len(self._intervals)
            self._news.wait_for(lambda: self._ended or len(self._intervals) > seen, SILENCE_S)
            if len(self._intervals) == seen:
                why = "; ".join(self._said) or f"no progress in {SILENCE_S} s"
                raise BenchError(f"the load on {self._url} does not run: {why}")
            return self._intervals[-1][1]["time_s"], self._messages

    def next_interval(self):
        """The next progress line that has begun by now."""
        self.count()
        self.count()
        return self._intervals[-1][1]

    def connections(self):
        """Open at the next progress line."""
        self.count()
        return self._intervals[-1][1]["connections"]

    def errors(self):
        return sum(interval["errors_total"] for _, interval in self._intervals)

    def p99_us(self, start, end):
        """Median over the progress intervals that lie within the span."""
        whole = [interval["p99_us"] for at, interval in self._intervals
                 if start + PROGRESS_S <= at <= end and interval["messages"] > 0]
        return statistics.median(whole) if whole else None

    def running(self):
        return self.process.poll() is None

    def end(self):
        self._children.end(self.process)

    def ask_to_end(self):
        self.process.send_signal(signal.SIGTERM)

    def result(self):
        """What it says of the whole run, when it has ended."""
        with self._news:
            self._news.wait_for(lambda: self._ended, SILENCE_S)
        if self.summary is None:
            raise BenchError(f"the load on {self._url} has no result: {'; '.join(self._said)}")
        return self.summary
