#!/usr/bin/env python3
"""Clients of the soak that epulse-load has no mode for: they come and go, end abruptly, or hardly read.

  soak_clients.py ROLE HOST PORT

Works until SIGTERM; says "ready" when it has begun, and at its end as JSON what it has opened and sent.
Only what was surely taken by the server is counted: every message was answered.
"""

import json
import select
import signal
import ssl
import struct
import sys
import time

sys.dont_write_bytecode = True

import websocket as ws

CHURN_PER_S, TLS_CHURN_PER_S = 100, 20
SLOW_SUBSCRIBERS = 10
SLOW_READERS, SLOW_BYTES, SLOW_STEP = 5, 65536, 4096
CLOSE = 8


class Counts:
    def __init__(self):
        self.opened = self.messages = self.failed = 0
        self.certificates = set()
        self.ended = False
        signal.signal(signal.SIGTERM, self._end)

    def _end(self, *_):
        self.ended = True

    def tell(self):
        print(json.dumps({"opened": self.opened, "messages": self.messages, "failed": self.failed,
                          "certificates": len(self.certificates)}), flush=True)


def echo(connection, counts, payload=b"twenty bytes of text"):
    connection.sendall(ws.frame(ws.BINARY, payload))
    left = 2 + len(payload)
    while left > 0:
        more = connection.recv(left)
        if not more:
            raise ConnectionResetError("no echo")
        left -= len(more)
    counts.messages += 1


def open_plain(address, counts):
    connection = ws.upgraded(address)
    counts.opened += 1
    return connection


# Ways to end. Closing without more is a reset: websocket.py.

def with_a_close_frame(address, counts):
    with open_plain(address, counts) as connection:
        echo(connection, counts)
        connection.sendall(ws.frame(CLOSE, struct.pack("!H", 1000)))
        while connection.recv(4096):
            pass


def with_a_reset(address, counts):
    with open_plain(address, counts) as connection:
        echo(connection, counts)


def with_the_end_of_the_stream(address, counts):
    with open_plain(address, counts) as connection:
        echo(connection, counts)
        connection.shutdown(1)
        while connection.recv(4096):
            pass


def within_a_message(address, counts):
    with open_plain(address, counts) as connection:
        echo(connection, counts)
        connection.sendall(ws.header(ws.BINARY, 100_000) + bytes(1000))


def within_the_request(address, _counts):
    with ws.connect(address) as connection:
        connection.sendall(ws.request()[:40])


WAYS = (with_a_close_frame, with_a_reset, with_the_end_of_the_stream, within_a_message,
        within_the_request)


def paced(rate, counts):
    start, number = time.monotonic(), 0
    while not counts.ended:
        yield number
        number += 1
        time.sleep(max(0, start + number / rate - time.monotonic()))


def churn(address, counts):
    print("ready", flush=True)
    for number in paced(CHURN_PER_S, counts):
        try:
            WAYS[number % len(WAYS)](address, counts)
        except OSError:
            counts.failed += 1


def tls_churn(address, counts):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    print("ready", flush=True)
    for _ in paced(TLS_CHURN_PER_S, counts):
        try:
            with context.wrap_socket(ws.connect(address)) as connection:
                counts.certificates.add(connection.getpeercert(binary_form=True))
                connection.sendall(ws.request())
                if connection.recv(4096).startswith(b"HTTP/1.1 101"):
                    counts.opened += 1
                    echo(connection, counts)
        except OSError:
            counts.failed += 1


def slow_subscribers(address, counts):
    """They hear the topic, and read nothing."""
    connections = [ws.upgraded(address, "/topic/soak", receive_bytes=4096)
                   for _ in range(SLOW_SUBSCRIBERS)]
    counts.opened = len(connections)
    print("ready", flush=True)
    while not counts.ended:
        time.sleep(0.1)


def slow_readers(address, counts):
    """They ask for 64 KiB at a time and take it in steps of 4 KiB, ten a second."""
    connections = [open_plain(address, counts) for _ in range(SLOW_READERS)]
    message = ws.frame(ws.BINARY, bytes(SLOW_BYTES))
    left = [0] * SLOW_READERS
    print("ready", flush=True)
    while not counts.ended or any(left):
        for index, connection in enumerate(connections):
            if left[index] == 0 and not counts.ended:
                connection.sendall(message)
                counts.messages += 1
                left[index] = 4 + SLOW_BYTES
            if left[index] and select.select([connection], [], [], 0)[0]:
                left[index] -= len(connection.recv(min(SLOW_STEP, left[index])))
        time.sleep(0.1 if not counts.ended else 0.001)


ROLES = {role.__name__: role for role in (churn, tls_churn, slow_subscribers, slow_readers)}


def main():
    name, host, port = sys.argv[1:]
    counts = Counts()
    ROLES[name]((host, int(port)), counts)
    counts.tell()


if __name__ == "__main__":
    main()
