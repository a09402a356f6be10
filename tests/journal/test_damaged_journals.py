"""Files that are no journal, not any more, not yet, or cannot be used: what is told, and what is left of them."""

from __future__ import annotations

import random
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest
from controllers import finish, start
from fakes.records import FIRST, SECOND, make_record, make_stamp

from orchestrator.errors import StoreError
from orchestrator.journal.database import SCHEMA
from orchestrator.journal.sqlite_journal import SqliteJournal
from orchestrator.journal.turns import take_turn
from orchestrator.model.history import Decision

FOREIGN = "CREATE TABLE bookmarks (url TEXT)"


class World:
    """A journal of two deployments, and what it told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "journal.db"
        self.notes: list[str] = []
        self.journal = SqliteJournal(self.path, on_note=self.notes.append, patience_s=0.05)
        for deployment in (FIRST, SECOND):
            self.journal.begin(make_record(deployment))

    @property
    def known(self) -> list[str]:
        return [record.id for record in self.journal.all()]

    @property
    def files(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir() if not path.name.startswith("."))

    def execute(self, *statements: str) -> None:
        """Do something to the file behind the journal's back."""
        with closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            for statement in statements:
                connection.execute(statement)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "data")


def spoil(world: World, seed: int) -> bytes:
    """Overwrite some bytes of the file; returns what it holds then."""
    chance = random.Random(seed)
    content = bytearray(world.path.read_bytes())
    for _ in range(chance.randint(1, 200)):
        content[chance.randrange(len(content))] = chance.randrange(256)
    world.path.write_bytes(content)
    return bytes(content)


def test_a_file_that_is_no_database_is_set_aside_and_told(world: World) -> None:
    world.path.write_bytes(b"no database at all" * 1000)
    assert world.known == []
    (note,) = world.notes
    assert str(world.path) in note
    assert str(world.folder / "journal.damaged-1.db") in note
    assert (world.folder / "journal.damaged-1.db").read_bytes() == b"no database at all" * 1000


def test_a_new_journal_learns_what_hosts_remember(world: World) -> None:
    world.path.write_bytes(b"no database at all" * 1000)
    world.journal.learn({"worker-0": make_stamp(), "worker-1": make_stamp(SECOND)})
    assert world.known == [SECOND, FIRST]
    assert len(world.notes) == 1


def test_what_was_set_aside_before_stays(world: World) -> None:
    for content in (b"first" * 1000, b"second" * 1000):
        world.path.write_bytes(content)
        assert world.known == []
    assert (world.folder / "journal.damaged-1.db").read_bytes() == b"first" * 1000
    assert (world.folder / "journal.damaged-2.db").read_bytes() == b"second" * 1000


def test_its_log_goes_along(world: World) -> None:
    with closing(sqlite3.connect(world.path)) as looker:
        looker.execute("SELECT * FROM deployments").fetchone()
        world.path.write_bytes(b"no database at all" * 1000)
        world.journal.begin(make_record())
    aside = "journal.damaged-1.db"
    assert world.files == [aside, f"{aside}-shm", f"{aside}-wal", "journal.db"]
    assert world.known == [FIRST]


@pytest.mark.parametrize("companion", ["-wal", "-shm", "-journal"])
def test_nothing_of_an_old_journal_gets_into_a_new_one(world: World, companion: str) -> None:
    world.path.unlink()
    world.path.with_name(world.path.name + companion).write_bytes(b"?" * 5000)
    assert world.known == []
    assert world.notes == []


def test_every_length_that_it_may_be_cut_to_is_noticed(world: World) -> None:
    whole = world.path.read_bytes()
    lengths = range(512, len(whole), 509)  # SQLite takes less than a sector for an empty database
    for length in lengths:
        world.path.write_bytes(whole[:length])
        assert world.known == []
    assert len(world.notes) == len(lengths)


@pytest.mark.parametrize("seed", range(60))
def test_wrong_bytes_anywhere_are_survived(world: World, seed: int) -> None:
    content = spoil(world, seed)
    known = world.known
    if world.notes:
        assert known == []
        assert (world.folder / "journal.damaged-1.db").read_bytes() == content
    else:
        assert known == [SECOND, FIRST]
    world.journal.begin(make_record("20260109"))
    assert "20260109" in world.known


@pytest.mark.parametrize("rest", [b"", b"\x37\x7f\x06\x82", b"?" * 40_000])
def test_a_log_of_garbage_costs_nothing(world: World, rest: bytes) -> None:
    (world.folder / "journal.db-wal").write_bytes(rest)
    (world.folder / "journal.db-shm").write_bytes(rest)
    assert world.known == [SECOND, FIRST]
    assert world.notes == []


@pytest.mark.parametrize("record", ["{", "[]", "null", '{"id": "x"}', '{"id": "x", "kind": "prank"}'])
def test_a_record_that_says_nothing_is_damage(world: World, record: str) -> None:
    world.execute(f"UPDATE deployments SET record = '{record}'")
    assert world.journal.get(FIRST) is None
    assert len(world.notes) == 1


def test_bytes_that_are_no_text_are_damage(world: World) -> None:
    world.execute("UPDATE deployments SET record = CAST(x'7b22ff227d' AS TEXT)")
    assert world.known == []
    assert len(world.notes) == 1


def test_a_decision_on_what_a_damaged_journal_knew_fails(world: World) -> None:
    world.path.write_bytes(b"no database at all" * 1000)
    with pytest.raises(StoreError):
        world.journal.decide(FIRST, {"worker-0": Decision.COMMIT})


@pytest.mark.parametrize(
    "statements",
    [
        ("DROP TABLE deployments",),
        ("PRAGMA user_version = 0",),
        ("ALTER TABLE deployments ADD COLUMN mood TEXT",),
        ("DROP TABLE deployments", "PRAGMA user_version = 0", FOREIGN),
    ],
)
def test_a_database_of_another_shape_is_set_aside_as_it_is(world: World, statements: tuple[str, ...]) -> None:
    world.execute(*statements)
    before = world.path.read_bytes()
    assert world.known == []
    assert len(world.notes) == 1
    assert (world.folder / "journal.damaged-1.db").read_bytes() == before


def test_a_table_more_is_nobodys_harm(world: World) -> None:
    world.execute(FOREIGN, "ANALYZE")
    assert world.known == [SECOND, FIRST]


def test_the_journal_of_a_newer_dsdeploy_is_not_touched(world: World) -> None:
    world.execute(f"PRAGMA user_version = {SCHEMA + 1}")
    before = world.path.read_bytes()
    with pytest.raises(StoreError) as caught:
        world.journal.begin(make_record("20260109"))
    assert caught.value.hint
    assert "newer" in caught.value.message
    assert world.path.read_bytes() == before
    assert world.files == ["journal.db"]


def test_an_empty_file_is_a_new_journal(world: World) -> None:
    world.path.write_bytes(b"")
    assert world.known == []
    assert world.notes == []


def test_only_the_user_may_read_it_and_nothing_stays_beside_it(world: World) -> None:
    assert world.files == ["journal.db"]
    assert {path.stat().st_mode & 0o777 for path in world.folder.iterdir()} == {0o600}
    assert world.folder.stat().st_mode & 0o777 == 0o700


def test_it_keeps_a_log_that_is_written_ahead(world: World) -> None:
    with closing(sqlite3.connect(world.path)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_it_works_where_no_memory_can_be_shared(tmp_path: Path) -> None:
    (tmp_path / "journal.db-shm").symlink_to("journal.db-shm")
    journal = SqliteJournal(tmp_path / "journal.db")
    journal.begin(make_record())
    journal.decide(FIRST, {"worker-0": Decision.COMMIT})
    assert journal.all()[0].decision is Decision.COMMIT


def test_somebody_who_only_looks_at_it_is_not_in_the_way(world: World) -> None:
    with closing(sqlite3.connect(world.path, isolation_level=None)) as looker:
        looker.execute("BEGIN")
        looker.execute("SELECT * FROM deployments").fetchone()
        world.journal.begin(make_record("20260109"))
        assert len(world.known) == 3


def test_a_program_that_keeps_it_locked_is_an_error_with_a_hint(world: World) -> None:
    with closing(sqlite3.connect(world.path, isolation_level=None)) as keeper:
        keeper.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError) as caught:
            world.journal.all()
    assert "locked" in caught.value.message
    assert "fuser" in (caught.value.hint or "")
    assert world.known == [SECOND, FIRST]


def test_a_dsdeploy_that_keeps_it_is_an_error_with_a_hint(world: World) -> None:
    with take_turn(world.folder / ".journal.db.lock", patience_s=0), pytest.raises(StoreError) as caught:
        world.journal.all()
    assert "locked" in caught.value.message
    assert "fuser" in (caught.value.hint or "")


def test_threads_take_turns_and_lose_nothing(tmp_path: Path) -> None:
    def work(number: int) -> None:
        journal = SqliteJournal(tmp_path / "journal.db")
        journal.begin(make_record(f"2026-{number}"))
        shared.decide(f"2026-{number}", {"worker-0": Decision.COMMIT})

    shared = SqliteJournal(tmp_path / "journal.db")
    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {(record.id, record.decision) for record in shared.all()} == {
        (f"2026-{number}", Decision.COMMIT) for number in range(8)
    }


def test_a_folder_that_cannot_be_is_an_error_with_a_hint(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("where the folder should be")
    with pytest.raises(StoreError) as caught:
        SqliteJournal(tmp_path / "file" / "journal.db").all()
    assert caught.value.hint


def test_a_folder_in_its_place_is_an_error_with_a_hint(tmp_path: Path) -> None:
    (tmp_path / "journal.db").mkdir()
    with pytest.raises(StoreError) as caught:
        SqliteJournal(tmp_path / "journal.db").all()
    assert caught.value.hint


LIMITED = """
import resource, signal, sys
from pathlib import Path
from fakes.records import make_record
from orchestrator.errors import StoreError
from orchestrator.journal.sqlite_journal import SqliteJournal

journal = SqliteJournal(Path(sys.argv[1]))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    for number in range(100):
        journal.begin(make_record(f"2027-{number:02}"))
except StoreError as error:
    print(number, error.hint)
"""

READ_ONLY = """
import os, sys
from pathlib import Path
from orchestrator.errors import StoreError
from orchestrator.journal.sqlite_journal import SqliteJournal

journal = Path(sys.argv[1])
os.chdir(journal.parent)
if os.geteuid() == 0:
    os.setuid(65534)
try:
    SqliteJournal(Path(journal.name)).all()
except StoreError as error:
    print(error.hint)
"""


@pytest.mark.process
def test_a_full_disk_is_an_error_with_a_hint_and_keeps_what_was_written(world: World) -> None:
    written, hint = finish(start(LIMITED, world.path)).split(maxsplit=1)
    assert "space" in hint
    assert world.known == [f"2027-{number:02}" for number in reversed(range(int(written)))] + [SECOND, FIRST]
    assert world.notes == []


@pytest.mark.process
def test_a_journal_that_may_only_be_read_is_an_error_with_a_hint(world: World) -> None:
    world.path.chmod(0o444)
    world.folder.chmod(0o555)
    assert "folder is yours" in finish(start(READ_ONLY, world.path))
    world.folder.chmod(0o700)
    assert world.known == [SECOND, FIRST]
