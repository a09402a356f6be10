"""How ops end on GPUs: a real agent, and a torch of a few lines whose first operation on each GPU ends as told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from installing import Host

from orchestrator.model.codec import from_document
from orchestrator.model.verification import CheckState, OpCheck, Verification

pytestmark = pytest.mark.process

TORCH = """
import os, signal
SEEN = os.environ["CUDA_VISIBLE_DEVICES"]

class cuda:
    chosen = 0
    def device_count(): return {gpus}
    def set_device(index): cuda.chosen = index
    def get_device_capability(device): return (8, 6)
    def get_device_name(device): return "Tiny A10"

def zeros(*sizes, **options):
    {ends}[cuda.chosen]()

def no_code(): raise RuntimeError("CUDA error: no kernel image is available for execution on the device\\nmore")
def fails(): raise RuntimeError("CUDA error: out of memory")
def other_arguments(): raise TypeError("lamb(): incompatible function arguments. The following are\\n 1. (x)")
def other_type(): raise TypeError("'int' object is not iterable")
def other_names(): raise AttributeError("module 'fused_lamb_op' has no attribute 'lamb'")
def tells_gpus(): raise RuntimeError(f"{{SEEN!r}} then {{os.environ.get('CUDA_VISIBLE_DEVICES')!r}}")
def crashes(): os.kill(os.getpid(), signal.SIGSEGV)
def hangs(): signal.pause()
def ends_all(): os.kill(os.getppid(), signal.SIGKILL)
"""
BUILDERS = """
import importlib
class Builder:
    def __init__(self, name): self.name = name
    def absolute_name(self): return f"deepspeed.ops.{self.name}_op"
    def sources(self): return ["csrc/x.cpp"]
    def load(self, verbose=True): return importlib.import_module(self.absolute_name())
ALL_OPS = {name: Builder(name) for name in ("fused_lamb", "transformer")}
"""


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    host = Host(tmp_path)
    host.has_deepspeed()
    ops = {f"deepspeed/ops/{name}_op.py": "" for name in ("fused_lamb", "transformer")}
    host.write({**ops, "deepspeed/ops/op_builder/all_ops.py": BUILDERS})
    yield host
    host.agent.hang_up()


def check(host: Host, *ends: str, ops: tuple[str, ...] = ("fused_lamb",), timeout_s: float = 60.0) -> list[OpCheck]:
    """Check ops on as many GPUs as there are ends: names of functions of the tiny torch."""
    return check_with(TORCH.format(gpus=len(ends), ends=f"({', '.join(ends)})"), host, ops=ops, timeout_s=timeout_s)


def check_with(
    torch: str, host: Host, *, ops: tuple[str, ...] = ("fused_lamb",), timeout_s: float = 60.0
) -> list[OpCheck]:
    host.write({"torch/__init__.py": torch})
    document = host.agent.ask(
        "verify",
        python=str(host.python),
        version="1.2.3+cpu",
        accelerator="cuda",
        ops=[{"name": op, "module": None} for op in ops],
        timeout_s=timeout_s,
    )
    return list(from_document(Verification, document).checks)


def test_no_code_for_a_gpu_crash_and_error_are_told_apart_gpu_by_gpu(host: Host) -> None:
    checks = check(host, "no_code", "crashes", "fails")
    assert [(each.gpu, each.state) for each in checks] == [
        (0, CheckState.NO_KERNEL_IMAGE),
        (1, CheckState.CRASHED),
        (2, CheckState.FAILED),
    ]
    assert checks[0].text == "its library has no code for sm_86 (Tiny A10)"
    assert "SIGSEGV" in checks[1].text
    assert checks[2].text == "RuntimeError: CUDA error: out of memory"
    assert sorted(event["gpu"] for event in host.agent.events) == [0, 1, 2]


def test_a_gpu_that_hangs_does_not_hold_the_others(host: Host) -> None:
    states = {each.gpu: each.state for each in check(host, "no_code", "hangs", timeout_s=1.0)}
    assert states == {0: CheckState.NO_KERNEL_IMAGE, 1: CheckState.TIMED_OUT}


def test_an_interface_of_another_version_is_no_failure_and_a_plain_type_error_is_one(host: Host) -> None:
    checks = check(host, "other_arguments", "other_names", "other_type")
    assert [each.state for each in checks] == [CheckState.LOADED, CheckState.LOADED, CheckState.FAILED]
    assert all(each.text.startswith("not run: this version is called in another way") for each in checks[:2])
    assert "\n" not in checks[0].text


def test_nothing_that_is_imported_before_the_forks_sees_a_gpu_and_each_op_sees_them_all(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,0")
    host.restart()
    (seen, _) = check(host, "tells_gpus", "tells_gpus")
    assert seen.text == "RuntimeError: '' then '1,0'"


def test_an_op_without_a_trial_is_loaded_once_whatever_the_number_of_gpus(host: Host) -> None:
    (loaded,) = check(host, "fails", "fails", ops=("transformer",))
    assert (loaded.state, loaded.gpu, loaded.text) == (CheckState.LOADED, None, "")


@pytest.mark.parametrize("counting", ["return 0", "import os; os.abort()", "raise RuntimeError('driver too old')"])
def test_where_torch_sees_no_gpu_their_ops_cannot_be_used(counting: str, host: Host) -> None:
    (failed,) = check_with(f"class cuda:\n    def device_count(): {counting}\n", host)
    assert (failed.state, failed.gpu) == (CheckState.FAILED, None)
    assert "torch sees no GPU" in failed.text


def test_when_the_whole_check_dies_no_gpu_counts_as_good(host: Host) -> None:
    checks = check(host, "ends_all", "hangs", ops=("transformer", "fused_lamb"))
    assert [(each.op, each.gpu) for each in checks[1:]] == [("fused_lamb", 0), ("fused_lamb", 1)]
    assert all(each.state is CheckState.CRASHED for each in checks[1:])
    assert all("SIGKILL" in each.text for each in checks[1:])
