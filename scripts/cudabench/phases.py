"""What is measured: DeepSpeed's literal command, and ours in each situation that the goals name."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from cudabench.errors import BenchError
from cudabench.measuring import measure
from cudabench.preparing import DOWNLOADS, LEFT_OUT, SMALL_OP, build_command, unpack_source
from cudabench.results import PhaseResult
from cudabench.wheel_checks import check_wheel
from cudabench.workplace import Interpreter, Workplace
from orchestrator.store.folder import FolderStore

Phase = Callable[[Workplace, Path], PhaseResult]


def upstream(place: Workplace, _ssh_config: Path) -> PhaseResult:
    """Run `DS_BUILD_OPS=1 … python setup.py build_ext -jN bdist_wheel` in a new tree, without ccache."""
    tree = unpack_source(place, place.folder / "upstream")
    left_out = {f"DS_BUILD_{op.upper()}": "0" for op in LEFT_OUT}
    environment = place.environment() | left_out | {
        "CUDA_HOME": str(place.cuda_home),
        "DS_ACCELERATOR": "cuda",
        "DS_BUILD_OPS": "1",
        "LIBRARY_PATH": str(place.cuda_home / "lib64" / "stubs"),
        "TORCH_CUDA_ARCH_LIST": "9.0",
    }  # fmt: skip
    command: list[str | Path] = [place.first.python, "setup.py", "build_ext", f"-j{os.cpu_count()}", "bdist_wheel"]
    cost = measure(command, cwd=tree, environment=environment, log=place.log("upstream"))
    wheels = list(tree.glob("dist/*.whl"))
    if cost.returncode != 0 or not wheels:
        raise BenchError(f"upstream's command ended with {cost.returncode}: see {place.log('upstream')}")
    return PhaseResult(cost=cost, wheel=check_wheel(wheels[0], place.first, driver_stub(place)))


def ours(place: Workplace, ssh_config: Path) -> PhaseResult:
    """Build with nothing but the downloads."""
    home = new_home(place, "ours")
    take(place.home("warm"), home, DOWNLOADS)
    return build(place, "ours", home, build_command(place, "sm_90", "all", ssh_config))


def again(place: Workplace, ssh_config: Path) -> PhaseResult:
    """Give the same command once more."""
    return build(place, "again", place.home("ours"), build_command(place, "sm_90", "all", ssh_config))


def add_op(place: Workplace, ssh_config: Path) -> PhaseResult:
    """Build where all ops but a small one were built before: its library, ccache and all else are gone."""
    home = new_home(place, "add-op")
    take(place.home("ours"), home, (*DOWNLOADS, "ops-v1", "compile-history.json"))
    libraries = list(home.glob(f"cache/dsdeploy/ops-v1/*/{SMALL_OP}_op.*"))
    if not libraries:
        raise BenchError(f"the build of all ops left no library of {SMALL_OP} in {home}")
    for library in libraries:
        shutil.rmtree(library.parent)
    return build(place, "add-op", home, build_command(place, "sm_90", "all", ssh_config))


def second_python(place: Workplace, ssh_config: Path) -> PhaseResult:
    """Build for another Python, after the first one's."""
    home = copy_home(place, "ours", "second-python")
    command = build_command(place, "second-python", "all", ssh_config)
    return build(place, "second-python", home, command, interpreter=place.second)


def single_80(place: Workplace, ssh_config: Path) -> PhaseResult:
    """Build for the other GPU, after the first one's."""
    home = copy_home(place, "ours", "single-80")
    return build(place, "single-80", home, build_command(place, "sm_80", "all", ssh_config))


def fat(place: Workplace, ssh_config: Path) -> PhaseResult:
    """Build one wheel for both GPUs, after one for each."""
    home = copy_home(place, "single-80", "fat")
    return build(place, "fat", home, build_command(place, "both", "union", ssh_config))


PHASES: Mapping[str, Phase] = {
    "upstream": upstream,
    "ours": ours,
    "again": again,
    "add-op": add_op,
    "second-python": second_python,
    "single-80": single_80,
    "fat": fat,
}
"""In the order in which they must be run the first time."""


def build(
    place: Workplace, name: str, home: Path, command: list[str | Path], *, interpreter: Interpreter | None = None
) -> PhaseResult:
    """Measure one run of `dsdeploy build`, and check the newest wheel of its store."""
    cost = measure(command, cwd=place.folder, environment=place.environment(home), log=place.log(name))
    if cost.returncode != 0:
        raise BenchError(f"`dsdeploy build` ended with {cost.returncode}: see {place.log(name)}")
    store = FolderStore(home / "data" / "dsdeploy")
    wheel = store.path_of(store.all()[0])
    return PhaseResult(cost=cost, wheel=check_wheel(wheel, interpreter or place.first, driver_stub(place)))


def driver_stub(place: Workplace) -> Path:
    """Return the library that stands in for the GPU driver's."""
    return place.cuda_home / "lib64" / "stubs" / "libcuda.so"


def new_home(place: Workplace, name: str) -> Path:
    """Make an empty home."""
    home = place.home(name)
    shutil.rmtree(home, ignore_errors=True)
    (home / "ccache").mkdir(parents=True)
    return home


def take(source: Path, target: Path, names: tuple[str, ...]) -> None:
    """Give a home some entries of another one's `dsdeploy` cache."""
    for name in names:
        entry = Path("cache", "dsdeploy", name)
        if (source / entry).is_dir():
            link_folder(source / entry, target / entry)
        elif (source / entry).exists():
            (target / entry).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source / entry, target / entry)


def copy_home(place: Workplace, source: str, target: str) -> Path:
    """Make a home that knows all that another one knows."""
    home = place.home(target)
    shutil.rmtree(home, ignore_errors=True)
    link_folder(place.home(source), home)
    return home


def link_folder(source: Path, target: Path) -> None:
    """Copy a folder; its files are hard links, for everything in a cache is replaced, never changed in place."""
    shutil.copytree(source, target, symlinks=True, copy_function=os.link)
