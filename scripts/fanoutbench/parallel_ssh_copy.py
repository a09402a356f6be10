"""Copies the file with parallel-ssh; runs in the peers' environment: `parallel_ssh_copy.py SETTINGS.json`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pssh.clients import ParallelSSHClient  # type: ignore[import-not-found]  # the peers' environment has it

settings = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
addresses = settings["addresses"]
client = ParallelSSHClient(addresses, user=settings["user"], pkey=settings["identity"], pool_size=len(addresses))
for copy in client.scp_send(settings["source"], settings["target"]):
    copy.get()
