"""Runs inside the target interpreter: imports torch and DeepSpeed once, then forks a process to load each op.

Importing torch takes seconds, forking nothing; and neither import starts CUDA, which no fork survives.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import sys
import time
import traceback
from functools import partial

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, NoReturn

    Check = dict[str, Any]
    Answer = tuple[str, str]

_MARK = "\x1e"
_AT_ONCE = 4
_POLL_S = 0.01
_ADAM_SIZE = 1003
"""Odd, so that the vectorised loop and its tail both work."""


class Running:
    """An op that a child process is loading; its output goes to a file of its own."""

    def __init__(self, op: str, pid: int, log: str) -> None:
        self.op = op
        self.pid = pid
        self.log = log
        self.started = time.monotonic()
        self.is_timed_out = False

    def check(self, status: int) -> Check:
        """Return the document of the model's `OpCheck`, now that the child has ended with this wait status."""
        with open(self.log, encoding="utf-8", errors="replace") as stream:
            lines = [line for line in stream.read().split("\n") if line.strip()]
        last = lines[-1] if lines else ""
        if self.is_timed_out:
            state, text = "timed-out", f"it was ended after {time.monotonic() - self.started:.0f} s"
        elif os.WIFSIGNALED(status):
            state, text = "crashed", f"{signal.Signals(os.WTERMSIG(status)).name} {last}".strip()
        elif last.startswith(_MARK):
            state, text = json.loads(last[len(_MARK) :])
        else:
            state, text = "failed", f"its process ended with {os.WEXITSTATUS(status)}: {last}"
        return {"op": self.op, "state": state, "text": text, "elapsed_s": time.monotonic() - self.started}


def main(arguments: list[str]) -> None:
    """Check the ops that the first argument (JSON) orders; print one document for each behind the mark."""
    order = json.loads(arguments[0])
    builders = import_builders()
    waiting = list(order["ops"])
    running: dict[int, Running] = {}
    while waiting or running:
        while waiting and len(running) < min(_AT_ONCE, len(os.sched_getaffinity(0))):
            op = waiting.pop(0)
            started = fork(op["name"], order["folder"], partial(check_op, op, builders, order["platlib"]))
            running[started.pid] = started
        for check in ended(running, order["timeout_s"]):
            sys.stdout.write(f"\n{_MARK}{json.dumps(check)}\n")
            sys.stdout.flush()


def import_builders() -> dict[str, Any]:
    """Return DeepSpeed's op builders by name, with torch's compiler taken away."""
    extension = importlib.import_module("torch.utils.cpp_extension")
    for name in ("load", "load_inline", "_jit_compile"):
        setattr(extension, name, refuse_jit)
    importlib.import_module("deepspeed")
    return dict(importlib.import_module("deepspeed.ops.op_builder.all_ops").ALL_OPS)


def refuse_jit(*_arguments: object, **_options: object) -> NoReturn:
    """Stand where torch's JIT compiler was."""
    raise RuntimeError("DeepSpeed wanted to compile this op instead of loading the one that is installed")


def fork(op: str, folder: str, work: Callable[[], Answer]) -> Running:
    """Start `work` in a child process; what it returns is the last line of the child's log."""
    log = os.path.join(folder, f"{op}.log")
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    pid = os.fork()
    if pid:
        os.close(descriptor)
        return Running(op, pid, log)
    try:
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        answer = work()
        sys.stdout.flush()
        os.write(descriptor, f"\n{_MARK}{json.dumps(answer)}\n".encode())
    finally:
        os._exit(0)


def ended(running: dict[int, Running], timeout_s: float) -> list[Check]:
    """Return the checks of the children that have ended, and kill those that are over their time."""
    time.sleep(_POLL_S)
    checks = []
    for pid, child in list(running.items()):
        if time.monotonic() - child.started > timeout_s and not child.is_timed_out:
            child.is_timed_out = True
            os.kill(pid, signal.SIGKILL)
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            del running[pid]
            checks.append(child.check(status))
    return checks


def check_op(op: dict[str, Any], builders: dict[str, Any], platlib: str) -> Answer:
    """Return the state of one op (a value of `CheckState`) and a word about it."""
    try:
        return load_and_run(op["name"], op.get("module"), builders, platlib)
    except Exception as error:  # noqa: BLE001 - whatever an op raises is the answer
        sys.stderr.write(traceback.format_exc())
        return "failed", f"{type(error).__name__}: {error}".strip().splitlines()[-1]


def load_and_run(name: str, module: str | None, builders: dict[str, Any], platlib: str) -> Answer:
    """Load an op as DeepSpeed does; run it where we know what it must compute."""
    builder = builders.get(name)
    if builder is None:
        return "absent", f"this DeepSpeed has no op {name} on this accelerator"
    module = module or builder.absolute_name()
    path = find_library(module)
    if path is None:
        return "absent", f"{module} is not installed"
    if not os.path.realpath(path).startswith(os.path.realpath(platlib) + os.sep):
        return "failed", f"it is found at {path}, outside {platlib}"
    if not builder.sources():
        importlib.import_module("ctypes").CDLL(path)  # a placeholder without a module inside: it must link, no more
        return "loaded", "an empty placeholder"
    loaded = builder.load(verbose=False).__file__
    if os.path.realpath(loaded) != os.path.realpath(path):
        return "failed", f"{loaded} was loaded instead of {path}"
    return run_cpu_adam() if name == "cpu_adam" else ("loaded", "")


def find_library(module: str) -> str | None:
    """Return where a module would be loaded from; None when it is not there."""
    try:
        spec = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        return None
    return spec.origin if spec else None


def run_cpu_adam() -> Answer:
    """Take one step with DeepSpeed's CPU Adam and with torch's AdamW, and compare."""
    torch = importlib.import_module("torch")
    adam = importlib.import_module("deepspeed.ops.adam").DeepSpeedCPUAdam
    start = torch.linspace(-1.0, 1.0, _ADAM_SIZE)
    gradient = torch.linspace(2.0, -1.0, _ADAM_SIZE)
    settings = {"lr": 1e-2, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.01}
    ours, theirs = (torch.nn.Parameter(start.clone()) for _ in range(2))
    ours.grad, theirs.grad = gradient.clone(), gradient.clone()
    adam([ours], adamw_mode=True, **settings).step()
    torch.optim.AdamW([theirs], **settings).step()
    difference = (ours - theirs).abs().max().item()
    if not torch.allclose(ours, theirs, rtol=1e-5, atol=1e-6):
        return "wrong", f"one step differs from torch.optim.AdamW by up to {difference:.3g}"
    return "ran", f"one step agrees with torch.optim.AdamW to {difference:.1e}"
