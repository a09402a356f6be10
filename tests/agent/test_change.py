"""A change of an interpreter's folder, cut off at every single thing that it does to the disk."""

from __future__ import annotations

import errno
import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from crashing_disk import Crashed, CrashingDisk, Tree, install, tree

from orchestrator.agent.cache import Cache
from orchestrator.agent.change import Change
from orchestrator.agent.errors import AgentError
from orchestrator.agent.keeping import survey
from orchestrator.agent.ledger import Ledger
from orchestrator.agent.own_files import Site

T = TypeVar("T")
STEPS = 15
ENDS = ("verified", "commit", "leave", "undo")
NAMES = ["deepspeed", "hjson", "new-one"]
OLD = {
    "deepspeed/__init__.py": "old",
    "deepspeed/ops/adam/cpu_adam.so": "old library",
    "deepspeed/only_old.py": "gone in the new one",
    "../bin/ds_report": "#!old",
}
NEW = {
    "deepspeed/__init__.py": "new",
    "deepspeed/ops/adam/cpu_adam.so": "new library",
    "deepspeed/inference/v2/only_new.py": "came",
    "../bin/ds_report": "#!new",
    "../bin/ds_bench": "#!came",
    "shared.py": "of the new one",
}


class NoLinks(CrashingDisk):
    """A cache on another file system."""

    def link(self, source: str, path: str) -> None:
        raise OSError(errno.EXDEV, "cross-device link", source, None, path)


class FullDisk(CrashingDisk):
    """Has no room for a new file as long as the reserve takes it."""

    def __init__(self, cache: Cache) -> None:
        super().__init__()
        self._cache = Path(cache.folder)

    def write(self, path: str, content: bytes) -> None:
        if list(self._cache.glob("deployments/*.reserve")):
            raise OSError(errno.ENOSPC, "no space left on device", path)
        super().write(path, content)


class Host:
    """An interpreter's folders with DeepSpeed 1 from somewhere, a neighbour, and somebody's own files among them."""

    def __init__(self, folder: Path) -> None:
        self.cache = Cache(str(folder / "cache"))
        Path(self.cache.folder).mkdir(parents=True)
        self.prefix = folder / "venv"
        self.packages = self.prefix / "lib"
        self.packages.mkdir(parents=True)
        paths = {"platlib": "lib", "purelib": "lib", "scripts": "bin", "data": ".", "headers": "include"}
        self.site = Site({name: str(self.prefix / path) for name, path in paths.items()})
        install(self.packages, "deepspeed", "1", OLD)
        install(self.packages, "hjson", "3.0", {"hjson.py": "3.0"})
        install(self.packages, "torch", "2", {"torch/__init__.py": ""})
        self.write("deepspeed/ops/notes.txt", "somebody's")
        self.write("deepspeed/__pycache__/only_old.cpython-311.pyc", "compiled")
        self.write("deepspeed/__init__.py", "old, and edited")
        self.write("shared.py", "nobody knows whose")
        self.write("~old-litter/x", "")
        (self.packages / "deepspeed" / "latest.so").symlink_to("ops/adam/cpu_adam.so")
        self._record("deepspeed/latest.so,,\n")
        (self.prefix / "bin" / "ds_report").chmod(0o755)
        (self.packages / "deepspeed" / "ops").chmod(0o750)
        os.utime(self.packages / "deepspeed" / "only_old.py", ns=(1, 1_234_567_891_234_567_891))

    def write(self, name: str, text: str) -> None:
        path = self.packages / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def _record(self, line: str) -> None:
        with (self.packages / "deepspeed-1.dist-info" / "RECORD").open("a") as stream:
            stream.write(line)

    def tree(self) -> Tree:
        return tree(self.prefix)

    def change(self, disk: CrashingDisk | None = None) -> Change:
        return Change(self.cache, str(self.prefix), disk)

    def ledger(self) -> Ledger:
        return Ledger.load(self.cache, str(self.prefix))

    def kept_folders(self) -> list[str]:
        previous = Path(self.cache.folder) / "previous"
        return sorted(path.name for path in previous.iterdir()) if previous.exists() else []

    def begin(self, deployment: str = "d1", disk: CrashingDisk | None = None) -> Change:
        metadata = [f"{name}-2.dist-info/RECORD" for name in ("deepspeed", "hjson", "new_one")]
        incoming = [str(self.packages / name) for name in [*NEW, "hjson.py", "new_one/__init__.py", *metadata]]
        change = self.change(disk)
        change.begin(pending(deployment, self.prefix), survey(self.site, NAMES, incoming))
        return change

    def put_in(self, *, steps: int = 99) -> None:
        """Do what pip does, up to a step."""
        for step in self._pip_s_steps()[:steps]:
            step()

    def _pip_s_steps(self) -> list[Callable[[], object]]:
        lib = self.packages
        return [
            lambda: (lib / "deepspeed" / "ops" / "adam").rename(lib / "deepspeed" / "ops" / "~dam"),
            lambda: (lib / "deepspeed-1.dist-info").rename(lib / "~eepspeed-1.dist-info"),
            *((lib / name).unlink for name in ("deepspeed/__init__.py", "deepspeed/only_old.py", "../bin/ds_report")),
            (lib / "deepspeed" / "__pycache__" / "only_old.cpython-311.pyc").unlink,
            (lib / "deepspeed" / "latest.so").unlink,
            lambda: self.write("deepspeed/inference/v2/__pycache__/only_new.cpython-311.pyc.140", "half"),
            lambda: install(lib, "deepspeed", "2", NEW),
            lambda: self.write("deepspeed/inference/v2/__pycache__/only_new.cpython-311.pyc", "compiled"),
            lambda: install(lib, "new_one", "2", {"new_one/__init__.py": ""}),
            lambda: shutil.rmtree(lib / "deepspeed" / "ops" / "~dam"),
            lambda: shutil.rmtree(lib / "~eepspeed-1.dist-info"),
            lambda: shutil.rmtree(lib / "hjson-3.0.dist-info"),
            lambda: install(lib, "hjson", "2", {"hjson.py": "2"}),
        ]

    def verified(self, deployment: str = "d1") -> Tree:
        """Go all the way to where it may be committed, and return what is there then."""
        change = self.begin(deployment)
        self.put_in()
        change.activated("sha")
        change.verified(deployment)
        return self.tree()


def pending(deployment: str, prefix: Path, after: str | None = "2") -> dict[str, Any]:
    stamp = {"deployment": deployment, "prefix": str(prefix), "record_sha256": ""}
    return {
        "deployment": deployment,
        "prefix": str(prefix),
        "author": "me@here",
        "since": "2026-01-01T00:00:00Z",
        "before": "1",
        "after": after,
        "stamp": stamp,
    }


def crashes(
    folder: Path, before: Callable[[Host], T], act: Callable[[Host, CrashingDisk], object]
) -> Iterator[tuple[Host, T]]:
    """Yield hosts on which `act` died in place of its first change, its second, and so on, with what `before` said."""
    for number in itertools.count():
        host = Host(folder / str(number))
        said = before(host)
        try:
            act(host, CrashingDisk(number))
        except Crashed:
            yield host, said
        else:
            assert number > 2  # else nothing was cut off
            yield host, said
            return


def is_at_rest(host: Host, expected: Tree) -> bool:
    """Whether a host has exactly that, and nothing is under way or left over."""
    ledger = host.ledger()
    is_tidy = host.kept_folders() == sorted(kept["id"] for kept in ledger.kept)
    has_reserve = any(Path(host.cache.folder).rglob("*.reserve"))
    return host.tree() == expected and ledger.pending is None and is_tidy and not has_reserve


def test_keeping_cut_off_anywhere_has_changed_nothing(tmp_path: Path) -> None:
    for host, expected in crashes(tmp_path, Host.tree, lambda host, disk: host.begin(disk=disk)):
        assert host.tree() == expected
        host.change().undo("d1")
        assert is_at_rest(host, expected)


@pytest.mark.parametrize("steps", range(STEPS + 1))
def test_pip_cut_off_anywhere_is_undone(tmp_path: Path, steps: int) -> None:
    host = Host(tmp_path)
    expected = host.tree()
    host.begin()
    host.put_in(steps=steps)
    assert steps == 0 or host.tree() != expected
    host.change().undo("d1")
    assert is_at_rest(host, expected)


@pytest.mark.parametrize("steps", [2, STEPS])
def test_undoing_cut_off_anywhere_is_undone_by_the_next_one(tmp_path: Path, steps: int) -> None:
    def before(host: Host) -> Tree:
        expected = host.tree()
        host.begin()
        host.put_in(steps=steps)
        return expected

    for host, expected in crashes(tmp_path, before, lambda host, disk: host.change(disk).undo("d1")):
        host.change().undo("d1")
        assert is_at_rest(host, expected)
        host.change().undo("d1")
        assert is_at_rest(host, expected)


def test_committing_cut_off_anywhere_is_finished_by_the_next_one(tmp_path: Path) -> None:
    for host, expected in crashes(tmp_path, Host.verified, lambda host, disk: host.change(disk).commit("d1")):
        host.change().commit("d1")
        assert is_at_rest(host, expected)
        ledger = host.ledger()
        assert ledger.stamp == {"deployment": "d1", "prefix": str(host.prefix), "record_sha256": "sha"}
        assert [(kept["replaced_by"], kept["version"]) for kept in ledger.kept] == [("d1", "1")]
        host.change().commit("d1")
        assert is_at_rest(host, expected)


def deploy_then_restore(host: Host, disk: CrashingDisk | None = None) -> Tree:
    """Put back what the last deployment replaced, as a deployment of its own."""
    content = host.change().content_of(host.ledger().kept[0]["id"])
    change = host.change(disk)
    change.begin(pending("d2", host.prefix, "1"), survey(host.site, content["distributions"], content["incoming"]))
    change.put_in(content)
    change.activated("sha")
    return host.tree()


def files(found: Tree) -> Tree:
    """All but folders: one that was left empty is not made again."""
    return {path: what for path, what in found.items() if what[0] != "folder"}


def committed(host: Host) -> Tree:
    expected = host.verified()
    host.change().commit("d1")
    return expected


def test_restoring_cut_off_anywhere_is_undone(tmp_path: Path) -> None:
    for host, expected in crashes(tmp_path, committed, deploy_then_restore):
        host.change().undo("d2")
        assert is_at_rest(host, expected)


def test_what_was_kept_comes_back_and_restoring_that_goes_forward_again(tmp_path: Path) -> None:
    host = Host(tmp_path)
    old = host.tree()
    new = committed(host)
    assert deploy_then_restore(host) == old
    host.change().verified("d2")
    host.change().commit("d2")
    assert is_at_rest(host, old)
    assert files(deploy_then_restore(host)) == files(new)


def test_restoring_over_several_deployments_takes_each_distribution_from_before_the_first_one(tmp_path: Path) -> None:
    host = Host(tmp_path)
    old = host.tree()
    committed(host)
    incoming = [str(host.packages / name) for name in ("hjson.py", "hjson-5.dist-info/RECORD")]
    change = host.change()
    change.begin(pending("d1b", host.prefix, "2"), survey(host.site, ["hjson"], incoming))
    shutil.rmtree(host.packages / "hjson-2.dist-info")
    install(host.packages, "hjson", "5", {"hjson.py": "5"})
    change.activated("sha")
    change.verified("d1b")
    change.commit("d1b")
    oldest = host.ledger().kept[-1]["id"]
    content = host.change().content_of(oldest)
    change = host.change()
    change.begin(pending("d2", host.prefix, "1"), survey(host.site, content["distributions"], content["incoming"]))
    change.put_in(content)
    assert host.tree() == old


def test_whatever_happens_to_the_new_one_is_undone_and_what_others_made_stays(tmp_path: Path) -> None:
    host = Host(tmp_path)
    expected = host.tree()
    host.begin()
    host.put_in()
    host.write("deepspeed/__init__.py", "new, and edited")
    (host.packages / "deepspeed" / "ops" / "adam" / "cpu_adam.so").unlink()
    shutil.rmtree(host.packages / "new_one")
    host.write("deepspeed/inference/v2/result.txt", "somebody's")
    (host.packages / "~another").mkdir()
    host.change().undo("d1")
    found = host.tree()
    extra = {path for path in found if path not in expected}
    assert {path: what for path, what in found.items() if path not in extra} == expected
    assert {Path(path).name for path in extra} == {"inference", "v2", "result.txt", "~another"}


def test_a_file_edited_in_place_before_anything_replaced_it_stays_as_it_was_edited(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.begin()
    host.write("deepspeed/only_old.py", "edited meanwhile")
    expected = host.tree()
    host.change().undo("d1")
    assert is_at_rest(host, expected)


def test_nothing_is_put_back_behind_a_link_that_is_new(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.begin()
    elsewhere = tmp_path / "my-sources"
    shutil.move(host.packages / "deepspeed", elsewhere)
    (host.packages / "deepspeed").symlink_to(elsewhere)
    expected = tree(tmp_path / "my-sources")
    with pytest.raises(AgentError, match="leads to"):
        host.change().undo("d1")
    assert tree(elsewhere) == expected
    assert host.ledger().pending is not None


def test_damaged_bytes_are_not_put_back(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.begin()
    host.put_in()
    expected = host.tree()
    (kept,) = (Path(host.cache.folder) / "previous").iterdir()
    (kept / "0").write_text("other bytes")
    with pytest.raises(AgentError, match="byte for byte"):
        host.change().undo("d1")
    assert host.tree() == expected


def test_a_deployment_neither_starts_over_another_one_nor_ends_it(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.begin("d1")
    with pytest.raises(AgentError, match="deployment d1"):
        host.begin("d2")
    for name in ENDS:
        with pytest.raises(AgentError, match="deployment d1"):
            getattr(host.change(), name)("d2")
    with pytest.raises(AgentError, match="is activating here, not verified"):
        host.change().commit("d1")


def test_what_is_left_to_be_looked_at_can_still_be_restored(tmp_path: Path) -> None:
    host = Host(tmp_path)
    old = host.tree()
    host.begin()
    host.put_in(steps=9)
    host.change().leave("d1")
    host.change().leave("d1")
    ledger = host.ledger()
    assert (ledger.pending, ledger.stamp) == (None, None)
    litter = [path for path in host.tree() if "/~" in path and path not in old]
    assert litter
    assert deploy_then_restore(host) == {**old, **{path: host.tree()[path] for path in litter}}


def test_three_replaced_ones_are_kept_and_no_more(tmp_path: Path) -> None:
    host = Host(tmp_path)
    for number in range(5):
        change = host.begin(f"d{number}")
        change.activated("sha")
        change.verified(f"d{number}")
        change.commit(f"d{number}")
    assert [kept["replaced_by"] for kept in host.ledger().kept] == ["d4", "d3", "d2"]
    assert is_at_rest(host, host.tree())


def test_a_host_that_shares_the_folder_keeps_nothing_and_undoes_nothing(tmp_path: Path) -> None:
    host = Host(tmp_path)
    expected = host.tree()
    change = host.change()
    change.begin(pending("d1", host.prefix), None)
    host.change().undo("d1")
    assert is_at_rest(host, expected)


def test_where_files_cannot_be_linked_they_are_copied(tmp_path: Path) -> None:
    host = Host(tmp_path)
    expected = host.tree()
    host.begin(disk=NoLinks())
    host.put_in()
    host.change(NoLinks()).undo("d1")
    assert is_at_rest(host, expected)


def test_on_a_full_disk_a_change_is_undone_all_the_same(tmp_path: Path) -> None:
    host = Host(tmp_path)
    expected = host.tree()
    host.begin()
    host.put_in(steps=6)
    host.change(FullDisk(host.cache)).undo("d1")
    assert is_at_rest(host, expected)


def test_a_disk_too_full_to_keep_anything_changes_nothing(tmp_path: Path) -> None:
    host = Host(tmp_path)
    expected = host.tree()
    with pytest.raises(AgentError, match="could not be kept"):
        host.begin(disk=FullDisk(host.cache))
    assert is_at_rest(host, expected)


def test_a_distribution_without_a_list_of_files_is_refused(tmp_path: Path) -> None:
    host = Host(tmp_path)
    (host.packages / "hjson-3.0.dist-info" / "RECORD").unlink()
    with pytest.raises(AgentError, match="no list of its files") as refused:
        host.begin()
    assert refused.value.hint
    assert host.ledger().pending is None
