"""What every Remote keeps to: over a local process and over a real sshd alike."""

from __future__ import annotations

import hashlib
import os
import queue
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from remote_sshd import MakeDialer, Sshd

from orchestrator.agent.packing import pack
from orchestrator.errors import HostError, TransferError, UsageError
from orchestrator.model.hosts import Host
from orchestrator.ports import Command, Conversation, Remote
from orchestrator.remote.local import open_local
from orchestrator.remote.opening import open_session
from orchestrator.remote.session import AgentSession

pytestmark = pytest.mark.process


@pytest.fixture(params=["local", pytest.param("ssh", marks=pytest.mark.cluster)])
def session(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    sshd: Sshd,
    dialer: MakeDialer,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[AgentSession]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    if request.param == "local":
        opened = open_local()
    else:
        channel = dialer(sshd.config()).open(Host(name="target"))
        opened = open_session("target", channel, pack(), preamble=b"\n")
    yield opened
    opened.close()


def test_a_request_returns_the_result_document(session: AgentSession) -> None:
    assert session.request("ping", {}) == {}


def test_an_agents_error_keeps_its_kind_and_says_the_operation(session: AgentSession) -> None:
    with pytest.raises(UsageError, match="no-such-operation"):
        session.request("no-such-operation", {})


def test_a_return_code_is_a_value_and_lines_come_as_they_are_printed(session: AgentSession) -> None:
    lines: list[str] = []
    completed = session.run(Command(argv=("sh", "-c", "echo one; echo two >&2; exit 3")), on_line=lines.append)
    assert completed.returncode == 3
    assert lines == ["one", "two"]
    assert completed.tail == ("one", "two")


def test_only_the_last_lines_are_kept(session: AgentSession) -> None:
    completed = session.run(Command(argv=("seq", "1000")))
    assert completed.tail == tuple(str(number) for number in range(801, 1001))


def test_arguments_environment_and_folder_arrive_as_they_are(session: AgentSession, tmp_path: Path) -> None:
    argument = """ spaces 'quotes' "double" $HOME `id` \\ é"""
    command = Command(
        argv=("sh", "-c", 'printf "%s\\n" "$1" "$ADDED" "${LANG-unset}"; pwd', "sh", argument),
        cwd=str(tmp_path),
        environment={"ADDED": "a b", "LANG": ""},
    )
    assert session.run(command).tail == (argument, "a b", "unset", str(tmp_path))


def test_a_program_that_is_not_there_is_a_host_error(session: AgentSession) -> None:
    with pytest.raises(HostError, match="no-such-program"):
        session.run(Command(argv=("no-such-program",)))


def test_eight_commands_run_at_the_same_time(session: AgentSession, tmp_path: Path) -> None:
    meet = f'touch {tmp_path}/met.$1; while [ "$(ls {tmp_path} | grep -c met)" -lt 8 ]; do sleep 0.02; done'
    codes: list[int] = []

    def run(number: int) -> None:
        command = Command(argv=("sh", "-c", meet, "sh", str(number)), timeout_s=60)
        codes.append(session.run(command).returncode)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [0] * 8


def test_fifty_megabytes_come_back_as_they_went(session: AgentSession, tmp_path: Path) -> None:
    content = os.urandom(1_000_003) * 50
    source, target = tmp_path / "source", tmp_path / "folder" / "target"
    source.write_bytes(content)
    progress: list[tuple[int, int]] = []
    session.put(source, str(tmp_path / "there" / "file"), mode=0o640, on_progress=lambda *step: progress.append(step))
    digest = session.get(str(tmp_path / "there" / "file"), target)
    assert digest == hashlib.sha256(content).hexdigest()
    assert target.read_bytes() == content
    assert (tmp_path / "there" / "file").stat().st_mode & 0o777 == 0o640
    assert progress[-1] == (len(content), len(content))
    assert progress == sorted(progress)
    assert sorted(path.name for path in target.parent.iterdir()) == ["target"]


@pytest.mark.parametrize("content", [b"", b"{}\n", b"x" * (256 * 1024)])
def test_small_contents_arrive_too(session: AgentSession, tmp_path: Path, content: bytes) -> None:
    session.put(content, str(tmp_path / "file"))
    assert (tmp_path / "file").read_bytes() == content


def test_bytes_that_changed_on_the_way_are_refused(session: AgentSession, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "there" / "target"
    source.write_bytes(bytes(2_000_000))

    def tamper(_sent: int, _total: int) -> None:
        source.write_bytes(b"x" * 2_000_000)

    with pytest.raises(TransferError):
        session.put(source, str(target), on_progress=tamper)
    assert list(target.parent.iterdir()) == []


def test_a_file_that_shrinks_while_it_is_sent_is_refused(session: AgentSession, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(bytes(2_000_000))
    with pytest.raises(TransferError):
        session.put(source, str(target), on_progress=lambda sent, _total: os.truncate(source, sent))
    assert session.request("ping", {}) == {}
    assert not target.exists()


def test_a_put_that_finds_no_place_stops_early(session: AgentSession, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    sent: list[int] = []
    with pytest.raises(TransferError):
        session.put(bytes(20_000_000), str(tmp_path / "file" / "below"), on_progress=lambda done, _: sent.append(done))
    assert session.request("ping", {}) == {}


def test_a_file_that_is_not_there_leaves_no_trace_here(session: AgentSession, tmp_path: Path) -> None:
    target = tmp_path / "here" / "target"
    with pytest.raises(TransferError):
        session.get(str(tmp_path / "absent"), target)
    assert list(target.parent.iterdir()) == []


def test_a_workspace_is_there_and_then_is_not(session: AgentSession) -> None:
    with session.workspace() as folder:
        session.put(b"content", f"{folder}/deep/file")
        assert Path(folder, "deep", "file").exists()
    assert not Path(folder).exists()


def test_a_workspace_is_removed_when_the_session_ends(session: AgentSession) -> None:
    folder = Path(session.request("workspace", {})["path"])
    assert folder.is_dir()
    session.close()
    assert not folder.exists()


def test_a_caller_that_gives_up_does_not_stop_the_others(session: AgentSession) -> None:
    class Enough(Exception):  # noqa: N818 - not an error
        pass

    def stop(_line: str) -> None:
        raise Enough

    with pytest.raises(Enough):
        session.run(Command(argv=("yes", "x" * 1000)), on_line=stop)
    assert session.request("ping", {}) == {}


def test_a_request_that_takes_too_long_is_given_up_and_its_program_ended(session: AgentSession, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    parameters: dict[str, Any] = {
        "argv": ["sh", "-c", f"echo $$ > {pid_file}; echo started; exec sleep 600"],
        "cwd": None,
        "env": {},
        "timeout_s": None,
    }
    with pytest.raises(HostError, match="run"):
        session.request("run", parameters, timeout_s=1.0)
    wait = 'while kill -0 "$1" 2>/dev/null; do sleep 0.02; done'
    ended = session.run(Command(argv=("sh", "-c", wait, "sh", pid_file.read_text().strip()), timeout_s=30))
    assert ended.returncode == 0


def test_a_killed_agent_fails_what_is_asked_and_what_will_be(session: AgentSession) -> None:
    lost: list[HostError] = []

    def wait() -> None:
        try:
            session.run(Command(argv=("sleep", "600")))
        except HostError as error:
            lost.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    with pytest.raises(HostError, match=session.host):
        session.run(Command(argv=("sh", "-c", "kill -9 $PPID; sleep 600")))
    waiting.join()
    assert len(lost) == 1
    with pytest.raises(HostError):
        session.request("ping", {})


def test_a_flood_on_the_agents_standard_error_stops_nobody(session: AgentSession) -> None:
    flood = "yes complaint | head -c 5000000 > /proc/$PPID/fd/2; echo done"
    assert session.run(Command(argv=("sh", "-c", flood), timeout_s=60)).tail == ("done",)


def test_a_closed_session_refuses_requests(session: AgentSession) -> None:
    session.close()
    session.close()
    with pytest.raises(HostError):
        session.request("ping", {})


class Heard:
    """What a conversation said: its events, then how it ended."""

    def __init__(self) -> None:
        self.events: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.ends: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def of(self, remote: Remote, *argv: str, operation: str = "run") -> Conversation:
        """Run a program as a conversation."""
        return remote.converse(
            operation,
            {"argv": list(argv), "cwd": None, "env": {}, "timeout_s": None},
            on_event=lambda event: self.events.put(event["text"]),
            on_end=self.ends.put,
        )


def test_a_conversation_passes_on_events_and_ends_with_the_result(session: AgentSession) -> None:
    heard = Heard()
    heard.of(session, "sh", "-c", "seq 3; exit 3")
    assert heard.ends.get(timeout=60)["returncode"] == 3
    assert [heard.events.get_nowait() for _ in range(3)] == ["1", "2", "3"]
    assert heard.events.empty()


def test_a_conversation_does_not_hold_up_requests(session: AgentSession) -> None:
    heard = Heard()
    conversation = heard.of(session, "sh", "-c", "echo started; exec sleep 600")
    assert heard.events.get(timeout=60) == "started"
    assert session.request("ping", {}) == {}
    conversation.cancel()
    assert isinstance(heard.ends.get(timeout=60), HostError)
    conversation.cancel()
    conversation.tell({"do": "nothing"})
    assert session.request("ping", {}) == {}
    assert heard.ends.empty()


def test_a_conversation_ends_with_the_error_that_the_agent_names(session: AgentSession) -> None:
    heard = Heard()
    heard.of(session, operation="no-such-operation")
    assert isinstance(heard.ends.get(timeout=60), UsageError)


def test_a_killed_agent_ends_every_conversation_once_and_starts_none(session: AgentSession) -> None:
    one, other = Heard(), Heard()
    one.of(session, "sleep", "600")
    conversation = other.of(session, "sh", "-c", "kill -9 $PPID; sleep 600")
    for heard in (one, other):
        assert isinstance(heard.ends.get(timeout=60), HostError)
    with pytest.raises(HostError, match=session.host):
        conversation.tell({"do": "nothing"})
    conversation.cancel()
    late = Heard()
    with pytest.raises(HostError, match=session.host):
        late.of(session, "true")
    session.close()
    assert one.ends.empty()
    assert other.ends.empty()
    assert late.ends.empty()


def test_closing_a_session_ends_its_conversations(session: AgentSession) -> None:
    heard = Heard()
    heard.of(session, "sleep", "600")
    session.close()
    assert isinstance(heard.ends.get(timeout=60), HostError)
