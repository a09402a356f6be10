"""Reads what `ds_report` prints, in the layouts of DeepSpeed 0.8 to 0.19 (deepspeed/env_report.py)."""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_COLOR = re.compile(r"\x1b\[[0-9;]*m")
_OP = re.compile(r"^(\w+) \.* \[(YES|NO)\] \.* \[(OKAY|NO)\]$", re.MULTILINE)
_LINE = re.compile(r"^(torch version|deepspeed info|deepspeed wheel compiled w\.) \.+ (.+?)\s*$", re.MULTILINE)


def parse_op_report(text: str) -> dict[str, Any]:
    """Return the document of the model's `OpReport`; warnings and log lines between the rows do not disturb."""
    plain = _COLOR.sub("", text)
    rows = _OP.findall(plain)
    lines = dict(_LINE.findall(plain))
    return {
        "installed": {name: installed == "YES" for name, installed, _ in rows},
        "compatible": {name: compatible == "OKAY" for name, _, compatible in rows},
        "torch_version": lines.get("torch version"),
        "deepspeed_version": lines.get("deepspeed info", "").partition(",")[0] or None,
        "torch_wheel": lines.get("deepspeed wheel compiled w."),
    }
