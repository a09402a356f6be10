"""The two wheels whose places are changed: two versions of DeepSpeed, with one op each that is quickly compiled."""

from __future__ import annotations

import shutil
from pathlib import Path

from testcluster.state import Cluster

from faultsbench.controller import Controller, reach_hosts
from faultsbench.disks import Wheel, read_wheel
from faultsbench.errors import BenchError

_CHOICES = {"first": ("0.19.8", "cpu_adagrad"), "second": ("0.19.7", "deepspeed_shm_comm")}
_RECIPE = """\
deepspeed: {{version: {version}}}
accelerator: cpu
ops: {{want: [{op}], require: [{op}]}}
"""


def build_wheels(folder: Path, cluster: Cluster, controller: Controller) -> tuple[Wheel, Wheel]:
    """Return both wheels; what an earlier run has left in `folder` is not built again. Raises BenchError."""
    first, second = (
        _find(folder / name) or build_wheel(folder / name, choice, cluster, controller)
        for name, choice in _CHOICES.items()
    )
    return read_wheel(first), read_wheel(second)


def _find(folder: Path) -> Path | None:
    return next(folder.glob("*.whl"), None)


def build_wheel(folder: Path, choice: tuple[str, str], cluster: Cluster, controller: Controller) -> Path:
    """Return a wheel in `folder` of a version of DeepSpeed with one op (`choice`). Raises BenchError."""
    version, op = choice
    folder.mkdir(parents=True, exist_ok=True)
    recipe = folder / f"{folder.name}.yaml"
    recipe.write_text(_RECIPE.format(version=version, op=op), encoding="utf-8")
    answer = controller.run(folder / "build.json", "build", *reach_hosts(cluster), "-r", recipe)
    if answer.exit_code != 0 or answer.document is None:
        raise BenchError(f"no wheel of DeepSpeed {version} could be built: {answer.stderr[-2000:]}")
    (key,) = (wheel["build_key"] for wheel in answer.document["wheels"])
    (built,) = controller.folder.glob(f"data/dsdeploy/wheels-v1/{key}/*/*.whl")
    draft = folder / f"{built.name}.part"
    shutil.copyfile(built, draft)
    return draft.rename(folder / built.name)
