"""The least of a WebSocket client that attacks and probes need: one that may break the rules, too."""

import os
import socket
import struct

CONTINUATION, TEXT, BINARY, PING = 0, 1, 2, 9
MASK = bytes(4)  # valid, and leaves the payload as it is
DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate\r\n"


def request(path="/", fields=""):
    return (f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
            f"{fields}\r\n").encode()


def header(opcode, length, fin=True, compressed=False):
    first = (0x80 if fin else 0) | (0x40 if compressed else 0) | opcode
    if length < 126:
        return struct.pack("!BB", first, 0x80 | length) + MASK
    if length < 1 << 16:
        return struct.pack("!BBH", first, 0x80 | 126, length) + MASK
    return struct.pack("!BBQ", first, 0x80 | 127, length) + MASK


def frame(opcode, payload, **flags):
    return header(opcode, len(payload), **flags) + payload


def connect(address, receive_bytes=None, timeout=5.0):
    connection = socket.socket()
    connection.settimeout(timeout)
    if receive_bytes:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # Ports come back at once: a reset, no TIME_WAIT.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    try:
        connection.connect(address)
    except OSError:
        connection.close()
        raise
    return connection


def upgraded(address, path="/", fields="", receive_bytes=None, timeout=5.0):
    """A connection that is open. What the server says at once after its answer is dropped."""
    connection = connect(address, receive_bytes, timeout)
    try:
        connection.sendall(request(path, fields))
        answer = b""
        while b"\r\n\r\n" not in answer:
            more = connection.recv(4096)
            if not more:
                raise ConnectionResetError("no answer to the upgrade request")
            answer += more
        if not answer.startswith(b"HTTP/1.1 101"):
            raise ConnectionRefusedError(answer.split(b"\r\n")[0].decode(errors="replace"))
    except OSError:
        connection.close()
        raise
    return connection


def garbage(size):
    return os.urandom(size)
