"""Proves what an installed DeepSpeed can do: its own report, and every op loaded with JIT made impossible."""

from __future__ import annotations

import json
import os

from .errors import AgentError
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
        checks, (report, report_error) = gather(
            lambda: _check_ops(request, interpreter, folder),
            lambda: _read_report(request, interpreter["executable"], folder),
        )
    finally:
        request.cache.discard(folder)
    return {"checks": checks, "report": report, "report_error": report_error}


def _refuse_version(interpreter: dict[str, Any], version: str) -> None:
    deepspeed = interpreter["deepspeed"]
    if deepspeed is None:
        raise AgentError("verify", f"{interpreter['executable']} has no DeepSpeed; {version} was deployed")
    if deepspeed["version"] != version:
        found = f"{deepspeed['version']} in {deepspeed['location']}"
        raise AgentError("verify", f"{interpreter['executable']} has DeepSpeed {found}; {version} was deployed")


def _check_ops(request: Request, interpreter: dict[str, Any], folder: str) -> list[Check]:
    """Return one check for each op, in the order asked for; ops without an answer share the fate of the script."""
    ops = request.value("ops", list)
    timeout_s = request.seconds("timeout_s") or _DEFAULT_OP_TIMEOUT_S
    checks: dict[str, Check] = {}
    noise: list[str] = []

    def listen(line: str) -> None:
        if line.startswith(MARK):
            check = json.loads(line[len(MARK) :])
            checks[check["op"]] = check
            request.event("check", **check)
        else:
            noise.append(line)

    order = {"ops": ops, "timeout_s": timeout_s, "platlib": interpreter["platlib"], "folder": folder}
    ended = request.children.run(
        script_argv(interpreter["executable"], "op_checks", json.dumps(order)),
        on_line=listen,
        cwd=folder,
        environment=_without_jit(request.value("accelerator", str), folder),
        timeout_s=_IMPORT_TIMEOUT_S + timeout_s * len(ops),
    )
    state = "timed-out" if ended.is_timed_out else "crashed" if ended.returncode < 0 else "failed"
    text = last_line(noise) if state == "failed" else f"importing DeepSpeed {how_it_ended(ended.returncode)}"
    missing = {op["name"]: {"op": op["name"], "state": state, "text": text, "elapsed_s": 0.0} for op in ops}
    return [checks.get(name) or check for name, check in missing.items()]


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
        "PYTORCH_NVML_BASED_CUDA_CHECK": "1",  # asking for GPUs must not start CUDA before the ops are forked
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
