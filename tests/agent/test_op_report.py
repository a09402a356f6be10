from __future__ import annotations

from pathlib import Path

from orchestrator.agent.op_report import parse_op_report
from orchestrator.model.codec import from_document
from orchestrator.model.verification import OpReport

CAPTURES = Path(__file__).parents[1] / "captures" / "ds_report"


def read(name: str) -> OpReport:
    return from_document(OpReport, parse_op_report((CAPTURES / name).read_text(encoding="utf-8")))


def names(states: object) -> list[str]:
    assert isinstance(states, dict)
    return sorted(name for name, state in states.items() if state)


def test_the_new_layout_is_read() -> None:
    report = read("deepspeed-0.19.8-cpu.txt")
    assert names(report.installed) == ["cpu_adam", "deepspeed_not_implemented"]
    assert len(report.installed) == len(report.compatible) == 9
    assert report.torch_version == "2.13.0+cpu"
    assert report.deepspeed_version == "0.19.8"
    assert report.torch_wheel == "torch 2.13"


def test_the_old_layout_is_read_around_its_warnings() -> None:
    """Printed by 0.8.3's own env_report.py, over stand-ins for its builders."""
    report = read("deepspeed-0.8.3-cuda.txt")
    assert names(report.installed) == ["cpu_adam", "fused_adam", "utils"]
    assert set(report.installed) - set(names(report.compatible)) == {"sparse_attn", "async_io"}
    assert report.torch_version == "1.12.1+cu113"
    assert report.torch_wheel == "torch 1.12, cuda 11.3"


def test_other_text_has_no_ops() -> None:
    report = parse_op_report("Traceback (most recent call last):\nModuleNotFoundError: No module named 'torch'\n")
    assert report["installed"] == {}
    assert report["deepspeed_version"] is None
