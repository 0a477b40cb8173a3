"""A certificate for the servers under test: one for all, since its key decides what a handshake costs."""

import os
import subprocess

from children import BenchError


def make(scratch):
    """Where its PEM files lie, by the names that commands of servers have for them."""
    paths = {"cert": os.path.join(scratch, "cert.pem"), "key": os.path.join(scratch, "key.pem")}
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
               "-nodes", "-days", "1", "-subj", "/CN=localhost", "-out", paths["cert"],
               "-keyout", paths["key"]]
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise BenchError("openssl is missing, to make a certificate: tools/setup bench") from None
    if said.returncode != 0:
        raise BenchError(f"openssl makes no certificate: {said.stderr.strip()[-300:]}")
    return paths
