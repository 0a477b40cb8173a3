"""What the benchmarks have in common around their measuring: settings, interruption, clean-up."""

import os
import shutil
import signal
import sys
import tempfile

from children import LOAD_CPU, SERVER_CPU, BenchError, Children


class Failed(Exception):
    """What was measured is not as it must be."""


def setting(name, default):
    return os.environ.get(name) or default


def say(bench, text):
    print(f"{bench}: {text}", file=sys.stderr, flush=True)


def check_host(bin_dir, programs):
    if not {SERVER_CPU, LOAD_CPU} <= os.sched_getaffinity(0):
        raise BenchError("two CPUs (0 and 1) are needed, to keep server and load apart")
    for program in programs:
        if not os.access(f"{bin_dir}/{program}", os.X_OK):
            raise BenchError(f"{bin_dir}/{program} is missing; run make everything")


def _interrupted(number, _frame):
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)  # a second Ctrl-C must not cut the clean-up short
    sys.exit(128 + number)


def main(bench, measure):
    """Runs measure(children, scratch directory, directory of programs) beside the load; returns the
    exit status. What was started is ended, however that goes."""
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupted)
    children, scratch = Children(), tempfile.mkdtemp()
    try:
        measure(children, scratch, setting("EPULSE_BIN", "build/release/bin"))
    except BenchError as error:
        say(bench, error)
        return 2
    except Failed as error:
        say(bench, error)
        return 1
    finally:
        children.end_all()
        shutil.rmtree(scratch)
    return 0
