"""Proves what an installed DeepSpeed can do: its own report, and every op loaded and run with JIT made impossible."""

from __future__ import annotations

import json
import os
import time

from .errors import AgentError
from .findings import find_all
from .gathering import gather
from .interpreter import MARK, describe_interpreter, script_argv
from .op_report import parse_op_report
from .processes import capture, how_it_ended, last_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .request import Request

    Check = dict[str, Any]

_IMPORT_TIMEOUT_S = 180.0
"""For torch and DeepSpeed themselves, from a cold disk or a slow network one."""
_DEFAULT_OP_TIMEOUT_S = 120.0


def verify(request: Request) -> dict[str, Any]:
    """Check each op of `ops`, with an event for each as it ends; return the model's `Verification`.

    Raises AgentError (verify) when another DeepSpeed than `version` is installed.
    """
    interpreter = describe_interpreter(request.value("python", str), request.children)
    _refuse_version(interpreter, request.value("version", str))
    folder = request.cache.make_workspace()
    try:
        checks, (report, report_error), findings = gather(
            lambda: _check_ops(request, interpreter, folder),
            lambda: _read_report(request, interpreter["executable"], folder),
            lambda: find_all(os.environ, os.path.expanduser("~"), interpreter["platlib"], time.time()),
        )
    finally:
        request.cache.discard(folder)
    return {"checks": checks, "report": report, "report_error": report_error, "findings": findings}


def _refuse_version(interpreter: dict[str, Any], version: str) -> None:
    deepspeed = interpreter["deepspeed"]
    if deepspeed is None:
        raise AgentError("verify", f"{interpreter['executable']} has no DeepSpeed; {version} was deployed")
    if deepspeed["version"] != version:
        found = f"{deepspeed['version']} in {deepspeed['location']}"
        raise AgentError("verify", f"{interpreter['executable']} has DeepSpeed {found}; {version} was deployed")


def _check_ops(request: Request, interpreter: dict[str, Any], folder: str) -> list[Check]:
    """Return each op's checks, in the order asked for; those without an answer share the fate of the script."""
    ops = request.value("ops", list)
    accelerator = request.value("accelerator", str)
    timeout_s = request.seconds("timeout_s") or _DEFAULT_OP_TIMEOUT_S
    answers = _Answers(request, ops)
    order = {
        "ops": ops,
        "accelerator": accelerator,
        "timeout_s": timeout_s,
        "platlib": interpreter["platlib"],
        "folder": folder,
    }
    ended = request.children.run(
        script_argv(interpreter["executable"], "op_checks", json.dumps(order)),
        on_line=answers.listen,
        cwd=folder,
        environment=_without_jit(accelerator, folder),
        timeout_s=_IMPORT_TIMEOUT_S + timeout_s * len(ops),
    )
    state = "timed-out" if ended.is_timed_out else "crashed" if ended.returncode < 0 else "failed"
    how = f"importing DeepSpeed {how_it_ended(ended.returncode)}"
    return answers.checks(state, last_line(answers.noise) if state == "failed" else how)


class _Answers:
    """What the script says: which checks there will be, then each as it ends, and the noise of what it imports."""

    def __init__(self, request: Request, ops: list[dict[str, Any]]) -> None:
        self.noise: list[str] = []
        self._request = request
        self._asked: list[list[Any]] = [[op["name"], None] for op in ops]
        self._found: dict[tuple[str, int | None], Check] = {}

    def listen(self, line: str) -> None:
        """Take one line, and pass a check on as an event."""
        if not line.startswith(MARK):
            self.noise.append(line)
            return
        said = json.loads(line[len(MARK) :])
        if isinstance(said, list):
            self._asked = said
        else:
            self._found[said["op"], said["gpu"]] = said
            self._request.event("check", **said)

    def checks(self, state: str, text: str) -> list[Check]:
        """Return all that were asked for; those that did not come have this state and text."""
        fate = {"state": state, "text": text, "elapsed_s": 0.0}
        return [self._found.get((op, gpu)) or dict(fate, op=op, gpu=gpu) for op, gpu in self._asked]


def _without_jit(accelerator: str, folder: str) -> dict[str, str]:
    """Return an environment in which nothing can be compiled: no program is found, and no folder for the result."""
    nothing = os.path.join(folder, "no-programs")
    os.makedirs(nothing)
    extensions = os.path.join(folder, "no-folder")
    with open(extensions, "x", encoding="ascii"):
        pass
    changes = {
        "DS_ACCELERATOR": accelerator,
        "PATH": nothing,
        "TORCH_EXTENSIONS_DIR": extensions,
        "CC": "false",
        "CXX": "false",
        "PYTORCH_NVCC": "false",
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",  # GPUs are numbered as nvidia-smi does
        "PYTORCH_NVML_BASED_CUDA_CHECK": "1",  # asking whether there are GPUs must not start CUDA
    }
    return dict(os.environ, **changes)


def _read_report(request: Request, program: str, folder: str) -> tuple[dict[str, Any] | None, str | None]:
    """Return what `ds_report` says, which is this module's main, or why it could not be read."""
    environment = dict(os.environ, DS_ACCELERATOR=request.value("accelerator", str))
    argv = [program, "-m", "deepspeed.env_report"]
    try:
        report = parse_op_report(
            capture(request.children, argv, _IMPORT_TIMEOUT_S, environment=environment, cwd=folder)
        )
    except AgentError as error:
        return None, error.message
    if not report["installed"]:
        return None, "ds_report listed no ops"
    return report, None
