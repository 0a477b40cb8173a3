"""WebSocket clients of this process's own: closed loop, each of which can be ended by itself, and is
known to belong to a worker. For what epulse-load cannot do."""

import selectors
import socket
import time
import urllib.request

from children import BenchError

REQUEST = ("GET / HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
PAYLOAD = b"x" * 20
# RFC 6455, 5.2: FIN and binary; masked, with a mask of zeros, which changes nothing.
MESSAGE = bytes([0x82, 0x80 | len(PAYLOAD), 0, 0, 0, 0]) + PAYLOAD
ANSWER_BYTES = 2 + len(PAYLOAD)


def connections_by_worker(port):
    """As the server tells them."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/stats", timeout=5) as answer:
        lines = [line.split() for line in answer.read().decode().splitlines()]
    return [int(line[3]) for line in lines if line[2] == "connections"]


class Client:
    def __init__(self, port):
        before = connections_by_worker(port)
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=5)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(REQUEST.encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            more = self.socket.recv(4096)
            if not more:
                raise BenchError("epulse-ws refused a connection")
            head += more
        after = connections_by_worker(port)
        self.worker = next(k for k, count in enumerate(after) if count != before[k])
        self._missing = 0
        self._sent_s = 0.0

    def ask(self):
        self.socket.sendall(MESSAGE)
        self._missing = ANSWER_BYTES
        self._sent_s = time.monotonic()

    def answered(self):
        """Seconds that the answer took; None when more of it is to come."""
        self._missing -= len(self.socket.recv(self._missing))
        return time.monotonic() - self._sent_s if self._missing == 0 else None

    def close(self):
        self.socket.close()


def measure(clients, seconds):
    """p99 in us and messages per second, of all of them with one message under way each."""
    taken = []
    end = time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        for client in clients:
            selector.register(client.socket, selectors.EVENT_READ, client)
            client.ask()
        waiting = len(clients)
        while waiting:
            for key, _ in selector.select(5) or [(None, None)]:
                if key is None:
                    raise BenchError("epulse-ws does not answer any more")
                took_s = key.data.answered()
                if took_s is None:
                    continue
                taken.append(took_s * 1e6)
                if time.monotonic() < end:
                    key.data.ask()
                else:
                    waiting -= 1
    taken.sort()
    return {"p99_us": taken[int(0.99 * (len(taken) - 1))], "rate": len(taken) / seconds}


def spread(clients, workers):
    """The most connections that a worker has, over the mean."""
    counts = [sum(client.worker == k for client in clients) for k in range(workers)]
    return max(counts) * workers / len(clients)


def open_evenly(port, each, workers):
    """So many clients for each worker, whoever chooses."""
    clients, surplus = [], []
    while len(clients) < each * workers:
        client = Client(port)
        full = sum(one.worker == client.worker for one in clients) >= each
        (surplus if full else clients).append(client)
    for client in surplus:
        client.close()
    return clients


