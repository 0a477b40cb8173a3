"""Peers of Debian's and npm's that are installed here. libwebsockets' test server is not among them:
it has no protocol that echoes to the sender alone."""

import os
import shutil
import subprocess
import sys

from contenders import Contender

HERE = os.path.dirname(os.path.abspath(__file__))


def _works(*command):
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _peer(name, program, script):
    command = f"{program} {os.path.join(HERE, script)} {{port}}"
    return Contender(name, {"echo": command, "deflate": f"{command} deflate"})


def peers():
    """The peers found, and a sentence for each that is not."""
    found, missing = [], []
    # Debian's package belongs to Debian's interpreter, which need not be the one that runs this.
    pythons = [one for one in (sys.executable, "/usr/bin/python3") if _works(one, "-c", "import websockets")]
    if pythons:
        found.append(_peer("python3-websockets", f"{pythons[0]} -B", "peer_websockets.py"))
    else:
        missing.append("python3-websockets: not installed; tools/setup bench does it")
    # A node that is not Debian's does not look where Debian's packages are.
    node = ("env", "NODE_PATH=/usr/share/nodejs", "node")
    if shutil.which("node") and _works(*node, "-e", "require('ws').WebSocketServer"):
        found.append(_peer("ws (node)", " ".join(node), "peer_ws.cjs"))
    else:
        missing.append("ws (node): not installed; tools/setup bench does it")
    return found, missing
