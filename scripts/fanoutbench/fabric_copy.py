"""Copies the file with fabric; runs in the peers' environment: `fabric_copy.py SETTINGS.json`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from fabric import Config, ThreadingGroup  # type: ignore[attr-defined]  # it states no exports

settings = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
config = Config(runtime_ssh_path=settings["ssh_config"])  # type: ignore[no-untyped-call]
with ThreadingGroup(*settings["hosts"], config=config) as group:  # type: ignore[no-untyped-call]
    group.put(settings["source"], settings["target"])
