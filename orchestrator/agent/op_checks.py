"""Runs inside the target interpreter: imports torch and DeepSpeed once, then forks a process to load and run each op.

Importing torch takes seconds, forking nothing. No fork survives CUDA once it has started, and older DeepSpeeds start it
when they are imported (DeepSpeed issue 7918): so there are no GPUs to be seen until the fork.
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

from .op_trials import ON_ACCELERATOR, try_op

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, NoReturn

    Op = dict[str, Any]
    Check = dict[str, Any]
    Answer = tuple[str, str]

_MARK = "\x1e"
_AT_ONCE = 4
_POLL_S = 0.01
_REAP_S = 5.0
_VISIBLE = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES")


class Running:
    """An op that a child process is trying; its output goes to a file of its own."""

    def __init__(self, op: Op, pid: int, log: str) -> None:
        self.op = op
        self.pid = pid
        self.log = log
        self.started = time.monotonic()
        self.killed: float | None = None

    @property
    def is_stuck(self) -> bool:
        """Whether not even a kill has ended it: the driver holds it."""
        return self.killed is not None and time.monotonic() - self.killed > _REAP_S

    def kill(self) -> None:
        """End it; from now on it is timed out."""
        self.killed = time.monotonic()
        os.kill(self.pid, signal.SIGKILL)

    def check(self, status: int) -> Check:
        """Return the document of the model's `OpCheck`, now that the child has ended with this wait status."""
        with open(self.log, encoding="utf-8", errors="replace") as stream:
            lines = [line for line in stream.read().split("\n") if line.strip()]
        last = lines[-1] if lines else ""
        if self.killed is not None:
            state, text = "timed-out", f"it was ended after {self.killed - self.started:.0f} s"
        elif os.WIFSIGNALED(status):
            state, text = "crashed", f"{signal.Signals(os.WTERMSIG(status)).name} {last}".strip()
        elif last.startswith(_MARK):
            state, text = json.loads(last[len(_MARK) :])
        else:
            state, text = "failed", f"its process ended with {os.WEXITSTATUS(status)}: {last}"
        elapsed_s = time.monotonic() - self.started
        return {"op": self.op["name"], "gpu": self.op["gpu"], "state": state, "text": text, "elapsed_s": elapsed_s}


def main(arguments: list[str]) -> None:
    """Check the ops that the first argument (JSON) orders.

    Behind the mark it prints first which checks there will be, as pairs of op and GPU, then each as it ends.
    """
    order = json.loads(arguments[0])
    order["visible"] = {name: os.environ.get(name) for name in _VISIBLE}
    os.environ.update(dict.fromkeys(_VISIBLE, ""))
    builders = import_builders()
    gpus = count_gpus(order["visible"]) if order["accelerator"] == "cuda" else 0
    waiting = on_every_gpu(order["ops"], gpus)
    say([[op["name"], op["gpu"]] for op in waiting])
    at_once = max(gpus, min(_AT_ONCE, len(os.sched_getaffinity(0))))
    running: dict[int, Running] = {}
    while waiting or running:
        while waiting and len(running) < at_once:
            op = waiting.pop(0)
            started = fork(op, order["folder"], partial(check_op, op, builders, order))
            running[started.pid] = started
        for check in ended(running, order["timeout_s"]):
            say(check)


def say(document: object) -> None:
    """Tell the agent."""
    sys.stdout.write(f"\n{_MARK}{json.dumps(document)}\n")
    sys.stdout.flush()


def count_gpus(visible: dict[str, str | None]) -> int:
    """Return how many GPUs torch sees; 0 too when asking crashes. A child asks, for without NVML that starts CUDA."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            show_gpus(visible)
            os.write(writing, b"%d" % importlib.import_module("torch").cuda.device_count())
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading, encoding="ascii") as stream:
        count = int(stream.read() or 0)
    os.waitpid(pid, 0)
    return count


def show_gpus(visible: dict[str, str | None]) -> None:
    """Let this process, a child, see the GPUs that its parent was not to see; older versions of torch remember none."""
    for name, value in visible.items():
        if value is None:
            del os.environ[name]
        else:
            os.environ[name] = value
    counting = importlib.import_module("torch").cuda.device_count
    getattr(counting, "cache_clear", bool)()


def on_every_gpu(ops: list[Op], gpus: int) -> list[Op]:
    """Return each op once for each GPU that it is to run on; `gpu` is None where that makes no difference."""
    return [
        dict(op, gpu=gpu) for op in ops for gpu in (range(gpus) if gpus and op["name"] in ON_ACCELERATOR else (None,))
    ]


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


def fork(op: Op, folder: str, work: Callable[[], Answer]) -> Running:
    """Start `work` in a child process; what it returns is the last line of the child's log."""
    log = os.path.join(folder, f"{op['name']}-{op['gpu']}.log")
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
        if time.monotonic() - child.started > timeout_s and child.killed is None:
            child.kill()
        found, status = os.waitpid(pid, os.WNOHANG)
        if found or child.is_stuck:
            del running[pid]
            checks.append(child.check(status))
    return checks


def check_op(op: Op, builders: dict[str, Any], order: dict[str, Any]) -> Answer:
    """Return the state of one op (a value of `CheckState`) and a word about it."""
    try:
        if order["accelerator"] == "cuda":
            show_gpus(order["visible"])
        return load_and_run(op, builders, order)
    except Exception as error:  # noqa: BLE001 - whatever an op raises is the answer
        sys.stderr.write(traceback.format_exc())
        return "failed", f"{type(error).__name__}: {error}".strip().splitlines()[-1]


def load_and_run(op: Op, builders: dict[str, Any], order: dict[str, Any]) -> Answer:
    """Load an op as DeepSpeed does; run it where we know what it must compute."""
    name, platlib = op["name"], order["platlib"]
    builder = builders.get(name)
    if builder is None:
        return "absent", f"this DeepSpeed has no op {name} on this accelerator"
    module = op.get("module") or builder.absolute_name()
    path = find_library(module)
    if path is None:
        return "absent", f"{module} is not installed"
    if not os.path.realpath(path).startswith(os.path.realpath(platlib) + os.sep):
        return "failed", f"it is found at {path}, outside {platlib}"
    if not builder.sources():
        importlib.import_module("ctypes").CDLL(path)  # a placeholder without a module inside: it must link, no more
        return "loaded", ""
    device = use_device(order["accelerator"], op)
    loaded = builder.load(verbose=False)
    if os.path.realpath(loaded.__file__) != os.path.realpath(path):
        return "failed", f"{loaded.__file__} was loaded instead of {path}"
    return try_op(name, loaded, device, order["folder"])


def use_device(accelerator: str, op: Op) -> str | None:
    """Choose this process's GPU; return torch's word for where the accelerator's ops run, None where there is none.

    Raises RuntimeError for an op that needs a GPU where torch sees none.
    """
    gpu = op["gpu"]
    if gpu is None:
        if accelerator == "cuda" and op["name"] in ON_ACCELERATOR:
            raise RuntimeError("torch sees no GPU: nvidia-smi says whether the driver works, and which CUDA it serves")
        return "cpu" if accelerator == "cpu" else None
    importlib.import_module("torch").cuda.set_device(gpu)
    return f"cuda:{gpu}"


def find_library(module: str) -> str | None:
    """Return where a module would be loaded from; None when it is not there."""
    try:
        spec = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        return None
    return spec.origin if spec else None
