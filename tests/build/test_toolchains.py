"""The providers of toolchains, on this machine through a real agent; and one contract for them and the fake."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from fakes.toolchains import FakeToolchains
from toolchain_parts import (
    TAGS,
    TOOLKIT,
    VERSION,
    WHEELS,
    WheelsInAFolder,
    installed,
    make_toolchain,
    pack_wheel,
    toolkit_wheels,
    write_files,
)

from orchestrator.build.steps import DRIVERS
from orchestrator.build.toolchains.installed import InstalledToolchains
from orchestrator.build.toolchains.wheels import WheelToolchains
from orchestrator.errors import BuildError
from orchestrator.model.toolchain import Toolchain, ToolchainKind
from orchestrator.ports import ToolchainProvider
from orchestrator.remote.local import open_local
from orchestrator.remote.session import AgentSession

pytestmark = pytest.mark.process
CPU = make_toolchain(ToolchainKind.SYSTEM, cuda=None)
DAY_S = 24 * 3600


@dataclass(frozen=True)
class Builder:
    """This machine, with a cache of its own."""

    remote: AgentSession
    sets: Path

    def provide(self, provider: ToolchainProvider, toolchain: Toolchain) -> tuple[str, ...]:
        return provider.provide(toolchain, self.remote, TAGS, sys.executable)


@pytest.fixture
def builder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Builder]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    session = open_local()
    yield Builder(session, tmp_path / "cache" / "dsdeploy" / "toolchains")
    session.close()


@pytest.fixture
def index(tmp_path: Path) -> WheelsInAFolder:
    return toolkit_wheels(tmp_path)


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def wheels(index: WheelsInAFolder, told: list[str]) -> WheelToolchains:
    return WheelToolchains(index, told.append)


@pytest.fixture(params=["installed", "wheels", "fake"])
def offer(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[ToolchainProvider, Toolchain]:
    """A provider and a toolchain that it has."""
    home = write_files(tmp_path / "cuda-13.0", TOOLKIT)
    offers: dict[str, tuple[ToolchainProvider, Toolchain]] = {
        "installed": (InstalledToolchains(), installed(home)),
        "wheels": (WheelToolchains(toolkit_wheels(tmp_path), lambda _text: None), WHEELS),
        "fake": (FakeToolchains(str(home)), installed(home)),
    }
    return offers[request.param]


def test_the_first_root_is_absolute_and_its_nvcc_runs(
    builder: Builder, offer: tuple[ToolchainProvider, Toolchain]
) -> None:
    roots = builder.provide(*offer)
    assert Path(roots[0]).is_absolute()
    assert VERSION in subprocess.check_output([f"{roots[0]}/bin/nvcc", "--version"], text=True)


def test_the_same_roots_are_provided_again(builder: Builder, offer: tuple[ToolchainProvider, Toolchain]) -> None:
    assert builder.provide(*offer) == builder.provide(*offer)


def test_the_cpu_needs_no_roots(builder: Builder) -> None:
    assert builder.provide(InstalledToolchains(), CPU) == ()
    assert builder.provide(FakeToolchains("/opt/cuda"), CPU) == ()


def test_an_nvcc_that_calls_another_one_is_followed_to_its_toolkit(builder: Builder, tmp_path: Path) -> None:
    home = write_files(tmp_path / "cuda-13.0", TOOLKIT)
    on_path = write_files(tmp_path / "local", {"bin/nvcc": f'#!/bin/sh\nexec {home}/bin/nvcc "$@"\n'})
    assert builder.provide(InstalledToolchains(), installed(on_path)) == (str(home),)


def test_an_nvcc_that_is_gone_wants_a_new_plan(builder: Builder, tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="does not run any more") as caught:
        builder.provide(InstalledToolchains(), installed(tmp_path))
    assert caught.value.hint is not None
    assert "plan again" in caught.value.hint


def test_an_nvcc_of_another_version_wants_a_new_plan(builder: Builder, tmp_path: Path) -> None:
    planned = replace(installed(write_files(tmp_path / "cuda", TOOLKIT)), nvcc_version="12.4.131")
    with pytest.raises(BuildError, match=r"is version 13\.0\.88, not 12\.4\.131"):
        builder.provide(InstalledToolchains(), planned)


def test_wheels_become_one_folder_with_programs_that_run(builder: Builder, wheels: WheelToolchains) -> None:
    (root,) = builder.provide(wheels, WHEELS)
    found = {str(path.relative_to(root)) for path in Path(root).rglob("*") if path.is_file()}
    assert root.endswith("/tree/nvidia/cu13")
    assert found == set(TOOLKIT)
    assert os.access(f"{root}/nvvm/bin/cicc", os.X_OK)
    assert not os.access(f"{root}/include/cuda.h", os.X_OK)


def test_the_wheels_themselves_do_not_stay(builder: Builder, wheels: WheelToolchains) -> None:
    builder.provide(wheels, WHEELS)
    assert not list(builder.sets.rglob("*.whl"))


def test_the_index_is_asked_alike_for_every_python(
    builder: Builder, wheels: WheelToolchains, index: WheelsInAFolder
) -> None:
    for python, abi in (("3.12.1", "cp312"), ("3.13.0", "cp313t")):
        tags = replace(TAGS, python_version=python, abi_tag=abi)
        wheels.provide(WHEELS, builder.remote, tags, sys.executable)
    first, second = index.asked
    assert first == second
    assert (first[0], first[1].machine, first[1].glibc, first[2]) == (WHEELS.requirements, "x86_64", "2.36", {})


def test_what_is_unpacked_is_neither_sent_nor_unpacked_again(
    builder: Builder, wheels: WheelToolchains, told: list[str]
) -> None:
    nvcc = Path(builder.provide(wheels, WHEELS)[0], "bin", "nvcc")
    before, words = nvcc.stat(), [line.split()[2] for line in told]
    builder.provide(wheels, WHEELS)
    assert words == ["cuda-toolkit[nvcc]==13.0.*", "sending", "sending", "unpacking"]
    assert [line.split()[2] for line in told[len(words) :]] == words[:1]
    assert (nvcc.stat().st_ino, nvcc.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_after_a_kill_only_what_is_not_whole_is_sent_again(
    builder: Builder, wheels: WheelToolchains, index: WheelsInAFolder, told: list[str]
) -> None:
    folder = Path(builder.provide(wheels, WHEELS)[0]).parents[2]
    (folder / "tree").rename(folder / "part-killed")
    whole, damaged = index.paths
    (folder / "wheels" / whole.name).write_bytes(whole.read_bytes())
    (folder / "wheels" / damaged.name).write_bytes(damaged.read_bytes()[:-1])
    told.clear()
    builder.provide(wheels, WHEELS)
    assert [line.split()[-1] for line in told if "sending" in line] == [damaged.name]
    assert {path.name for path in folder.iterdir()} == {"lock", "tree", "unpack_wheels.py", "wheels"}


def test_what_another_build_is_sending_is_left_alone(builder: Builder, wheels: WheelToolchains) -> None:
    folder = Path(builder.provide(wheels, WHEELS)[0]).parents[2]
    (folder / "tree").rename(folder / "part-killed")
    write_files(folder, {"wheels/.nvidia_nvcc.whl.0123.part": ""})
    builder.provide(wheels, WHEELS)
    assert [path.name for path in (folder / "wheels").iterdir()] == [".nvidia_nvcc.whl.0123.part"]


def test_builds_at_the_same_time_share_one_folder(builder: Builder, wheels: WheelToolchains) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _number: builder.provide(wheels, WHEELS), range(4)))
    assert len(set(answers)) == 1
    assert not list(builder.sets.glob("*/part-*"))


def test_wheels_without_a_compiler_are_refused_by_name(builder: Builder, tmp_path: Path) -> None:
    files = {"nvidia/cuda_nvcc/bin/ptxas": "#!/bin/sh\n"}
    provider = WheelToolchains(WheelsInAFolder(pack_wheel(tmp_path, "nvidia_cu12", files)), lambda _text: None)
    with pytest.raises(BuildError, match=r"no nvcc in nvidia_cu12-13\.0"):
        builder.provide(provider, WHEELS)
    assert not list(builder.sets.glob("*/tree"))


def test_the_folder_with_the_compiler_is_the_first_of_several(builder: Builder, tmp_path: Path) -> None:
    files = {"nvidia/cublas/lib/libcublas.so.13": "", "nvidia/cuda_nvcc/bin/nvcc": "#!/bin/sh\n"}
    provider = WheelToolchains(WheelsInAFolder(pack_wheel(tmp_path, "parts", files)), lambda _text: None)
    assert [Path(root).name for root in builder.provide(provider, WHEELS)] == ["cuda_nvcc", "cublas"]


def test_old_sets_are_forgotten_but_never_one_that_may_be_in_use(tmp_path: Path) -> None:
    ages_s = {"new": 10, "today": 60, "earlier": 3600, "in-use": DAY_S - 60, "old": DAY_S + 60, "older": 9 * DAY_S}
    for name, age_s in ages_s.items():
        (tmp_path / name / "tree").mkdir(parents=True)
        os.utime(tmp_path / name, (time.time() - age_s,) * 2)
    driver = [sys.executable, "-I", str(DRIVERS / "unpack_wheels.py")]
    subprocess.run(driver, cwd=tmp_path / "new", check=True, stdout=subprocess.DEVNULL)
    assert {path.name for path in tmp_path.iterdir()} == {"new", "today", "earlier", "in-use"}


def test_the_newest_sets_stay_however_old_they_are(tmp_path: Path) -> None:
    for number in range(1, 5):
        (tmp_path / f"{number}-days").mkdir()
        os.utime(tmp_path / f"{number}-days", (time.time() - number * DAY_S - 60,) * 2)
    driver = [sys.executable, "-I", str(DRIVERS / "unpack_wheels.py")]
    subprocess.run(driver, cwd=tmp_path / "4-days", check=True, stdout=subprocess.DEVNULL)
    assert {path.name for path in tmp_path.iterdir()} == {"1-days", "2-days", "4-days"}
