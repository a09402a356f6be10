from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from testcluster.interpreter import inspect_interpreter
from testcluster.layout import find_cache_root
from testcluster.torch_cache import DEFAULT_TORCH, find_torch
from testcluster.venvs import find_template

from orchestrator.agent.op_trials import ON_ACCELERATOR, ON_CPU

ROOT = Path(__file__).parents[2]
EMULATED = Path(__file__).with_name("emulated_ops.py")
REAL_ELSEWHERE = {"cpu_adam", "cpu_adagrad", "cpu_lion", "fused_adam", "pin_memory", "async_io"}
"""tests/whole verifies hosts on which these are installed."""


@pytest.mark.cluster
def test_each_trial_takes_an_op_that_computes_what_its_kernel_says_and_finds_one_that_does_not() -> None:
    interpreter = inspect_interpreter(sys.executable)
    cache = find_cache_root(os.environ)
    template = find_template(cache, interpreter, has_pip=True)
    torch = find_torch(cache, DEFAULT_TORCH, interpreter, template=template, say=print)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (torch, ROOT)))}
    done = subprocess.run(
        [sys.executable, EMULATED], env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    states = json.loads(done.stdout)
    assert states == {name: ["ran", "wrong"] for name in states}
    assert {name.partition(",")[0] for name in states} == {*ON_ACCELERATOR, *ON_CPU} - REAL_ELSEWHERE
