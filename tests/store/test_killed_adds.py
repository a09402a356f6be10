"""An add that is killed, at every step it takes, leaves the store as if it had not begun, or done."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest
from fakes.wheels import make_manifest, make_wheel

from orchestrator.model.wheels import Artifact
from orchestrator.store.folder import FolderStore

pytestmark = pytest.mark.process

KILL_AT_EVERY_STEP = """
import os, signal, sys
from pathlib import Path
from orchestrator.store.folder import FolderStore
from orchestrator.store.wheel_files import read_artifact

wheel, roots = Path(sys.argv[1]), Path(sys.argv[2])
manifest = read_artifact(wheel).manifest

def add_until(step, root):
    seen = 0
    def hook(event, arguments):
        nonlocal seen
        seen += str(root) in repr(arguments)
        if seen == step:
            signal.raise_signal(signal.SIGKILL)
    sys.addaudithook(hook)
    FolderStore(root).add(wheel, manifest)
    os._exit(0)

step = 1
while True:
    root = roots / f"{step:03}"
    child = os.fork()
    if child == 0:
        add_until(step, root)
    _pid, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status):
        sys.exit(os.waitstatus_to_exitcode(status))
    step += 1
"""

KILLED_WHILE_COPYING = """
import resource, signal, sys
from pathlib import Path
from orchestrator.store.folder import FolderStore
from orchestrator.store.wheel_files import read_artifact

wheel, root = Path(sys.argv[1]), Path(sys.argv[2])
manifest = read_artifact(wheel).manifest
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
FolderStore(root).add(wheel, manifest)
"""


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    noise = random.Random(0).randbytes(100_000)
    return make_wheel(tmp_path, files={"deepspeed/op.so": noise}, manifest=make_manifest())


def check_and_add_again(root: Path, wheel: Path) -> tuple[bool, tuple[str, ...]]:
    """Whether the killed add had done its work, and what the next add cleaned up."""
    notes: list[str] = []
    store = FolderStore(root, on_note=notes.append)
    key = make_manifest().build_key
    before = store.find(key)
    if before is not None:
        store.path_of(before)
    after = store.add(wheel, make_manifest())
    assert before in (None, after)
    assert store.all() == (after,)
    assert store.verify() == ()
    assert leftovers_in(root) == []
    return before is not None, tuple(notes)


def leftovers_in(root: Path) -> list[Path]:
    return list(root.glob("wheels-v1/.part-*"))


def test_an_add_killed_at_any_step_leaves_all_or_nothing(wheel: Path, tmp_path: Path) -> None:
    roots = tmp_path / "roots"
    subprocess.run([sys.executable, "-c", KILL_AT_EVERY_STEP, wheel, roots], check=True)
    results = [check_and_add_again(root, wheel) for root in sorted(roots.iterdir())]
    was_done = [done for done, _notes in results]
    cleaned = [notes for _done, notes in results if notes]
    assert was_done == sorted(was_done)
    assert was_done.count(False) > 10
    assert was_done.count(True) > 1
    assert len(cleaned) > 5
    assert all("left by a process that was killed" in note for notes in cleaned for note in notes)


def test_an_add_killed_in_the_middle_of_the_copy_is_cleaned_and_told(wheel: Path, tmp_path: Path) -> None:
    root = tmp_path / "store"
    killed = subprocess.run([sys.executable, "-c", KILLED_WHILE_COPYING, wheel, root], check=False)
    assert killed.returncode < 0
    (leftover,) = leftovers_in(root)
    assert [path.stat().st_size for path in leftover.iterdir()] == [20_000]
    was_done, notes = check_and_add_again(root, wheel)
    assert not was_done
    assert str(leftover) in notes[0]


def test_verify_cleans_up_and_tells_too(wheel: Path, tmp_path: Path) -> None:
    root = tmp_path / "store"
    subprocess.run([sys.executable, "-c", KILLED_WHILE_COPYING, wheel, root], check=False)
    (leftover,) = leftovers_in(root)
    (finding,) = FolderStore(root).verify()
    assert finding.path == leftover
    assert leftovers_in(root) == []


def test_a_full_disk_is_an_error_that_leaves_nothing(wheel: Path, tmp_path: Path) -> None:
    root = tmp_path / "store"
    script = KILLED_WHILE_COPYING.replace("SIG_DFL", "SIG_IGN")
    failed = subprocess.run([sys.executable, "-c", script, wheel, root], check=False, capture_output=True, text=True)
    assert "orchestrator.errors.StoreError: the store could not be changed" in failed.stderr
    assert leftovers_in(root) == []


def test_what_was_stored_before_survives_a_killed_add(wheel: Path, tmp_path: Path) -> None:
    root = tmp_path / "store"
    (tmp_path / "first").mkdir()
    first: Artifact = FolderStore(root).add(make_wheel(tmp_path / "first", manifest=make_manifest()), make_manifest())
    subprocess.run([sys.executable, "-c", KILLED_WHILE_COPYING, wheel, root], check=False)
    assert FolderStore(root).all() == (first,)
