"""Laws of the file: whatever is written comes back, in order, and what hosts tell never wins."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from fakes.journal import MemoryJournal
from fakes.records import make_stamp
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.journal.sqlite_journal import SqliteJournal
from orchestrator.model.deployment import Stamp
from orchestrator.model.history import Decision, DeploymentRecord, HostRecord

T = TypeVar("T")


def every_field(kind: type[T], **known: st.SearchStrategy[Any]) -> st.SearchStrategy[T]:
    """Values of a dataclass in which no field keeps its default for want of another value."""
    return st.builds(kind, **({field.name: ... for field in dataclasses.fields(kind)} | known))  # type: ignore[arg-type]


IDS = st.text(st.sampled_from("0123456789TZ-abcdef"), min_size=1, max_size=8)
NAMES = st.sampled_from([f"worker-{number}" for number in range(5)])
HOSTS = st.lists(every_field(HostRecord, host=NAMES), max_size=5, unique_by=lambda record: record.host).map(tuple)
RECORDS = every_field(DeploymentRecord, id=IDS, hosts=HOSTS)
HISTORIES = st.lists(RECORDS, max_size=5, unique_by=lambda record: record.id)
STAMPS = st.dictionaries(NAMES, st.builds(make_stamp, IDS))

few = settings(max_examples=40, deadline=None)  # every example works on a file of its own


@contextmanager
def begun(records: list[DeploymentRecord]) -> Iterator[SqliteJournal]:
    """A journal in which these were begun."""
    with tempfile.TemporaryDirectory() as folder:
        journal = SqliteJournal(Path(folder) / "journal.db")
        for record in records:
            journal.begin(record)
        yield journal


@few
@given(HISTORIES)
def test_every_deployment_comes_back_as_it_was_newest_first(records: list[DeploymentRecord]) -> None:
    with begun(records) as journal:
        assert list(journal.all()) == sorted(records, key=lambda record: record.id, reverse=True)
        assert [journal.get(record.id) for record in records] == records


@few
@given(HISTORIES, STAMPS)
def test_learning_keeps_what_the_journal_knows_and_changes_nothing_twice(
    records: list[DeploymentRecord], stamps: dict[str, Stamp]
) -> None:
    seen = [dataclasses.replace(record, is_from_stamps=False) for record in records]
    with begun(seen) as journal:
        journal.learn(stamps)
        once = journal.all()
        journal.learn(stamps)
        assert journal.all() == once
    assert [record for record in once if record in seen] == sorted(seen, key=lambda each: each.id, reverse=True)
    assert {record.id for record in once} == {each.id for each in seen} | {each.deployment for each in stamps.values()}


@few
@given(HISTORIES, STAMPS, st.dictionaries(NAMES, st.sampled_from(Decision)))
def test_the_file_and_the_memory_never_differ(
    records: list[DeploymentRecord], stamps: dict[str, Stamp], decisions: dict[str, Decision]
) -> None:
    memory = MemoryJournal(*records)
    with begun(records) as journal:
        for each in (journal, memory):
            each.learn(stamps)
            for record in each.all():
                each.decide(record.id, {host.host: decisions.get(host.host, Decision.OPEN) for host in record.hosts})
        assert journal.all() == memory.all()
