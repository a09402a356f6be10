"""A thousand hosts, driven by the real controller: memory and threads stay bounded, whoever dies on the way."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
SIZE_BYTES = 20_000_000


def run_large(count: int, share: float, seed: int) -> dict[str, Any]:
    argv = [sys.executable, str(HERE / "large_run.py"), str(count), str(share), str(seed)]
    environment = {"PYTHONPATH": f"{ROOT}:{HERE.parent}:{HERE}"}
    ran = subprocess.run(argv, capture_output=True, text=True, check=False, env=environment)
    assert ran.returncode == 0, ran.stderr
    document: dict[str, Any] = json.loads(ran.stdout)
    return document


@pytest.mark.process
def test_a_thousand_hosts_end_whole() -> None:
    document = run_large(1000, 0, 0)
    assert document["whole"] == 1000
    assert document["controller_bytes"] <= 1.05 * SIZE_BYTES
    assert document["peak_bytes"] < 500e6
    assert document["threads"] < 1000 + 600


@pytest.mark.process
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_of_a_thousand_hosts_the_living_end_whole_and_the_dead_are_named(seed: int) -> None:
    document = run_large(1000, 0.05, seed)
    assert document["failed"] == document["dead"]
    assert len(document["dead"]) == 50
    assert document["whole"] == 950
    assert document["unnamed"] == []
    assert document["peak_bytes"] < 500e6
