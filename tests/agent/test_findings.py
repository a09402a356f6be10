from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from installing import Host

from orchestrator.agent.findings import cache_folders, find_all, included_torch, old_locks, runtimes
from orchestrator.agent.shared_folder import is_on_network

NOW_S = 1_000_000.0
NFS = "36 35 0:33 /export/home /home rw - nfs4 server:/export rw\n"
ROOT = "35 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
NINJA = (
    "cflags = -DTORCH_EXTENSION_NAME=fused_adam -I/x/csrc"
    " -isystem {torch}/include -isystem {torch}/include/torch/csrc/api/include -fPIC\n"
)


class Home:
    """A home in which torch has compiled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.extensions = folder / ".cache" / "torch_extensions" / "py311_cu130"
        self.platlib = folder / "site-packages"
        (self.platlib / "torch").mkdir(parents=True)

    def build(self, op: str, *, torch: str = "torch") -> Path:
        build = self.extensions / op
        build.mkdir(parents=True)
        (build / "build.ninja").write_text(NINJA.format(torch=self.platlib / torch))
        return build

    def lock(self, op: str, *, age_s: float) -> Path:
        lock = self.build(op) / "lock"
        lock.touch()
        os.utime(lock, (NOW_S - age_s, NOW_S - age_s))
        return lock

    def runtime(self, folder: str, content: str) -> Path:
        path = self.folder / folder / "libcudart.so.12"
        path.parent.mkdir(parents=True)
        path.write_text(content)
        return path

    def find(self, **environment: str) -> dict[str, dict[str, Any]]:
        found = find_all(environment, str(self.folder), str(self.platlib), NOW_S)
        return {each["kind"]: each for each in found}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_a_home_where_nothing_was_compiled_has_nothing_to_tell(home: Home) -> None:
    assert home.find() == {}


def test_a_build_of_the_torch_that_is_installed_is_no_finding(home: Home) -> None:
    home.build("fused_adam")
    assert home.find() == {}


def test_an_old_lock_that_nobody_holds_is_told_with_the_command_that_removes_it(home: Home) -> None:
    lock = home.lock("fused adam", age_s=300)
    found = home.find()["jit-lock-stale"]
    assert str(lock) in found["text"]
    assert found["hint"] == f"rm '{lock}'"


def test_a_lock_that_a_process_holds_is_not_stale(home: Home) -> None:
    lock = home.lock("fused_adam", age_s=300)
    with lock.open():
        assert home.find() == {}
    assert "jit-lock-stale" in home.find()


def test_a_young_lock_is_not_stale(home: Home) -> None:
    home.lock("fused_adam", age_s=5)
    assert home.find() == {}


def test_only_locks_of_before_a_time_are_old(home: Home) -> None:
    old, _ = home.lock("a", age_s=300), home.lock("b", age_s=100)
    assert old_locks([str(home.extensions / op) for op in "abc"], NOW_S - 200) == [str(old)]


def test_a_build_whose_torch_is_gone_is_told(home: Home) -> None:
    build = home.build("fused_adam", torch="gone/torch")
    found = home.find()["jit-cache-stale"]
    assert str(home.platlib / "gone/torch") in found["text"]
    assert found["hint"] == f"rm -r {build}"


def test_many_leftovers_are_counted_and_all_of_them_are_in_the_command(home: Home) -> None:
    builds = [home.build(f"op{number}", torch="gone/torch") for number in range(8)]
    found = home.find()["jit-cache-stale"]
    assert found["text"].endswith("and 3 more")
    assert found["hint"] == " ".join(["rm -r", *map(str, builds)])


def test_the_folder_that_the_user_chose_is_the_one_that_is_read(home: Home, tmp_path: Path) -> None:
    build = tmp_path / "chosen" / "fused_adam"
    build.mkdir(parents=True)
    (build / "lock").touch()
    os.utime(build / "lock", (0, 0))
    assert str(build) in home.find(TORCH_EXTENSIONS_DIR=str(tmp_path / "chosen"))["jit-lock-stale"]["text"]


def test_caches_are_where_their_variables_say_else_at_home() -> None:
    assert cache_folders({}, "/u") == ("/u/.cache/torch_extensions", "/u/.triton/cache")
    assert cache_folders({"XDG_CACHE_HOME": "/c"}, "/u")[0] == "/c/torch_extensions"
    assert cache_folders({"TORCH_EXTENSIONS_DIR": "/e", "TRITON_CACHE_DIR": "/t"}, "/u") == ("/e", "/t")


def test_a_build_file_of_something_else_includes_no_torch() -> None:
    assert included_torch("cflags = -isystem /usr/include -I/x/torchvision/include\n") is None


def test_another_runtime_on_the_library_path_than_torchs_is_told(home: Home) -> None:
    own = home.runtime("site-packages/nvidia/cuda_runtime/lib", "12.8")
    system = home.runtime("usr/local/cuda/lib64", "12.4")
    found = home.find(LD_LIBRARY_PATH=f"/nowhere::{system.parent}")["several-cudart"]
    assert found["text"].endswith(f"{system}, {own}")


def test_the_same_runtime_twice_is_no_finding_nor_are_torchs_own_without_a_library_path(home: Home) -> None:
    same = [home.runtime("site-packages/nvidia/cuda_runtime/lib", "12.8"), home.runtime("cuda/lib64", "12.8")]
    home.runtime("site-packages/nvidia/cu13/lib", "13.0")
    assert runtimes([str(path.parent) for path in same]) == [str(same[0])]
    assert home.find() == {}


@pytest.mark.parametrize(
    ("mount", "expected"),
    [
        (NFS, True),
        ("36 35 0:33 / /home rw - gpfs gpfs0 rw\n", True),
        ("36 35 0:33 / /home rw - fuse.sshfs me@server:/home rw\n", True),
        ("36 35 0:33 / /home rw - fuse.fuse-overlayfs fuse-overlayfs rw\n", False),
        ("36 35 0:33 / /home rw - 9p none rw\n", False),
        ("36 35 0:33 / /home rw - tmpfs tmpfs rw\n", False),
        ("", False),
    ],
)
def test_a_folder_is_on_the_network_where_its_mount_names_a_server(mount: str, expected: bool) -> None:  # noqa: FBT001
    assert is_on_network("/home/me/.cache", ROOT + mount) is expected


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    host = Host(tmp_path)
    yield host
    host.agent.hang_up()


@pytest.mark.process
def test_verify_tells_what_it_saw_and_stays_good(host: Host) -> None:
    host.has_deepspeed()
    lock = host.folder / "torch_extensions" / "py311_cpu" / "fused_adam" / "lock"
    lock.parent.mkdir(parents=True)
    lock.touch()
    os.utime(lock, (0, 0))
    verification = host.verify("good")
    assert [finding.kind for finding in verification.findings] == ["jit-lock-stale"]
    assert verification.is_good
