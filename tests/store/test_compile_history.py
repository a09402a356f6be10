"""What is remembered of earlier compiler runs: one contract, and what may happen to its file."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from fakes.op_cache import MemoryHistory

from orchestrator.ports import CompileHistory, PastCompile
from orchestrator.store.compile_history import MAX_LABELS, SCHEMA, FileHistory

HISTORIES: dict[str, Callable[[Path], CompileHistory]] = {"file": FileHistory, "memory": lambda _path: MemoryHistory()}
SLOW = PastCompile(cpu_s=330.5, peak_memory_bytes=3_060_000_000)
FAST = PastCompile(cpu_s=2.0, peak_memory_bytes=None)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "compile-history.json"


@pytest.fixture(params=HISTORIES)
def history(request: pytest.FixtureRequest, path: Path) -> CompileHistory:
    return HISTORIES[request.param](path)


def test_nothing_is_known_at_first(history: CompileHistory) -> None:
    assert history.recall("csrc/adam/cpu_adam.cpp") is None


def test_runs_are_known_by_their_label(history: CompileHistory) -> None:
    history.remember({"slow.cu": SLOW, "fast.cpp": FAST})
    assert (history.recall("slow.cu"), history.recall("fast.cpp"), history.recall("x")) == (SLOW, FAST, None)


def test_the_last_run_counts(history: CompileHistory) -> None:
    history.remember({"a.cu": SLOW, "b.cu": FAST})
    history.remember({"a.cu": FAST})
    assert (history.recall("a.cu"), history.recall("b.cu")) == (FAST, FAST)


def test_the_next_process_knows_what_was_remembered(path: Path) -> None:
    FileHistory(path).remember({"a.cu": SLOW})
    FileHistory(path).remember({"b.cu": FAST})
    later = FileHistory(path)
    assert (later.recall("a.cu"), later.recall("b.cu")) == (SLOW, FAST)
    assert json.loads(path.read_text())["schema"] == SCHEMA


def test_nothing_is_lost_when_several_remember_at_once(path: Path) -> None:
    histories = [FileHistory(path) for _ in range(8)]
    threads = [
        threading.Thread(target=history.remember, args=({f"{number}.cu": FAST},))
        for number, history in enumerate(histories)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(FileHistory(path).recall(f"{number}.cu") == FAST for number in range(8))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "\ud800",
        '{"schema": "somebody.else/1", "runs": {"a.cu": {"cpu_s": 1, "peak_memory_bytes": 1}}}',
        '{"schema": "dsdeploy.compile-history/1", "runs": {"a.cu": {"cpu_s": "long"}}}',
    ],
)
def test_a_damaged_or_foreign_file_is_an_empty_history_and_is_replaced(path: Path, text: str) -> None:
    path.parent.mkdir()
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    history = FileHistory(path)
    assert history.recall("a.cu") is None
    history.remember({"b.cu": FAST})
    assert FileHistory(path).recall("b.cu") == FAST


def test_the_oldest_labels_are_forgotten(path: Path) -> None:
    FileHistory(path).remember({f"{number}.cu": FAST for number in range(MAX_LABELS)})
    FileHistory(path).remember({"0.cu": SLOW, "new.cu": FAST})
    later = FileHistory(path)
    assert later.recall("1.cu") is None
    assert (later.recall("0.cu"), later.recall("2.cu"), later.recall("new.cu")) == (SLOW, FAST, FAST)


def test_a_history_that_cannot_be_written_is_only_forgotten(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("where the folder should be")
    history = FileHistory(tmp_path / "file" / "compile-history.json")
    history.remember({"a.cu": SLOW})
    assert history.recall("a.cu") is None
