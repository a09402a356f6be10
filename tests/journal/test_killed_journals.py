"""A controller that is killed at any moment has written down whatever it was told that it had."""

from __future__ import annotations

from pathlib import Path

import pytest
from controllers import finish, start
from fakes.records import FIRST, make_record

from orchestrator.journal.sqlite_journal import SqliteJournal
from orchestrator.model.history import Decision

pytestmark = pytest.mark.process

KILLED_AFTER_DECIDING = """
import os, signal, sys
from pathlib import Path
from orchestrator.journal.sqlite_journal import SqliteJournal
from orchestrator.model.history import Decision

SqliteJournal(Path(sys.argv[1])).decide(sys.argv[2], {"worker-0": Decision.COMMIT})
os.kill(os.getpid(), signal.SIGKILL)
"""

KILLED_AT_ANY_MOMENT = """
import os, random, signal, sys, time
from pathlib import Path
from fakes.records import make_record
from orchestrator.journal.sqlite_journal import SqliteJournal
from orchestrator.model.history import Decision

def write(journal, number, told):
    while True:
        deployment = f"2026-{number:04}-{os.urandom(8).hex()}"
        journal.begin(make_record(deployment))
        os.write(told, f"begun {deployment}\\n".encode())
        journal.decide(deployment, {"worker-1": Decision.COMMIT})
        os.write(told, f"decided {deployment}\\n".encode())

path, chance = Path(sys.argv[1]), random.Random(sys.argv[2])
for number in range(int(sys.argv[3])):
    read, told = os.pipe()
    child = os.fork()
    if child == 0:
        write(SqliteJournal(path), number, told)
    os.close(told)
    with open(read) as acknowledged:
        first = acknowledged.readline() + acknowledged.readline()
        time.sleep(chance.random() * 0.02)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        print(first + acknowledged.read(), end="")
"""


def check(path: Path, said: str) -> set[str]:
    """Every deployment that was acknowledged is in the journal, which is whole; returns their ids."""
    notes: list[str] = []
    found = {each.id: each.decision for each in SqliteJournal(path, on_note=notes.append).all()}
    told = [line.split() for line in said.splitlines()]
    assert notes == []
    assert {deployment for word, deployment in told if word == "begun"} <= set(found)
    assert {found[deployment] for word, deployment in told if word == "decided"} == {Decision.COMMIT}
    return {deployment for _word, deployment in told}


def test_a_decision_is_there_when_its_maker_is_killed_at_once(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal.db")
    journal.begin(make_record())
    finish(start(KILLED_AFTER_DECIDING, tmp_path / "journal.db", FIRST), code=-9)
    assert journal.all()[0].decision is Decision.COMMIT


def test_whatever_was_acknowledged_survives_50_kills(tmp_path: Path) -> None:
    said = finish(start(KILLED_AT_ANY_MOMENT, tmp_path / "journal.db", "seed", 50))
    assert len({deployment[:9] for deployment in check(tmp_path / "journal.db", said)}) == 50


def test_several_at_once_are_killed_and_the_others_go_on(tmp_path: Path) -> None:
    writers = [start(KILLED_AT_ANY_MOMENT, tmp_path / "journal.db", seed, 5) for seed in "abc"]
    check(tmp_path / "journal.db", "".join(map(finish, writers)))
