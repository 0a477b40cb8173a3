"""Servers held against each other: who takes part, and a window of each in turn."""

import contextlib
import dataclasses
import time

import windows
from children import SERVER_CPU, BenchError
from contenders import Contender
from running import running

FIRST_ANSWER_S = 30
WARM_UP_S = 0.3
IDLE_BEFORE, IDLE_MORE = 1000, 10000


@dataclasses.dataclass(frozen=True)
class Case:
    title: str
    load: tuple  # options of epulse-load
    units: str = "messages"
    offer: str = "echo"  # what a server must do for it: contenders.OFFERS


@dataclasses.dataclass(frozen=True)
class Entrant:
    """A server, and what is at work beside it: a function of it that gives a context."""
    name: str
    contender: Contender
    cpus: tuple = (SERVER_CPU,)
    beside: object = None

    def at_work(self, server):
        return self.beside(server) if self.beside else contextlib.nullcontext()


class Contest:
    """`say` tells the user who is left out. A window is at least `seconds` long, and taken up to
    `tries` times while others use more than `noise` of the server's CPUs."""

    def __init__(self, bench, say, seconds, noise, tries):
        self.bench, self._say = bench, say
        self._seconds, self._noise, self._tries = seconds, noise, tries
        self.left_out = []  # sentences

    def leave_out(self, why):
        self.left_out.append(why)
        self._say(why)

    def those_that_keep(self, offer, everyone):
        """Of the contenders: an engine may be refused by the kernel, an offer by a peer."""
        return [one for one in everyone if one.offers(offer) and self._keeps(one, offer)]

    def _keeps(self, contender, offer):
        try:
            with running(contender, offer, self.bench) as server:
                server.try_out()
        except BenchError as error:
            self.leave_out(f"{contender.name} is left out of {offer}: {error}")
            return False
        return True

    def window(self, entrant, case):
        """Every window taken in which messages came back, the least disturbed of them first."""
        with running(entrant.contender, case.offer, self.bench, cpus=entrant.cpus) as server:
            load_pid = server.start_load(case.load)
            server.await_answers(FIRST_ANSWER_S)
            with entrant.at_work(server):
                time.sleep(WARM_UP_S)
                taken = windows.measure_quiet(server, load_pid, self._seconds, self._tries,
                                              self._noise, entrant.cpus)
            if server.errors():
                raise BenchError(f"{entrant.name} answers wrongly: {server.errors()} errors of "
                                 f"epulse-load {' '.join(case.load)}")
        answered = [one for one in taken if one["messages"] > 0]
        if not answered:
            self.leave_out(f"{case.title}: a window of {entrant.name}, in which no message came back")
        return sorted(answered, key=lambda one: windows.disturbed(one["steal"], one["foreign"]))

    def idle_bytes(self, contender):
        """Bytes that each of IDLE_MORE further connections adds to a server that has some already."""
        with running(contender, "echo", self.bench) as server:
            # Buffers of the whole server are touched first, and connections leave no gaps in the
            # heap that further ones would fill.
            warm_up = server.load(("-c", "100"))
            time.sleep(1)
            warm_up.end()
            before = self._idle(server, IDLE_BEFORE)
            after = self._idle(server, IDLE_MORE)
            return (after - before) / IDLE_MORE

    @staticmethod
    def _idle(server, connections):
        """Opens connections that say nothing more; the server's memory then."""
        load = server.load(("-c", str(connections), "-r", "0.001"))
        if load.connections() != connections:
            raise BenchError(f"{server.name} has {load.connections()} of {connections} idle connections")
        return server.anonymous_bytes()
