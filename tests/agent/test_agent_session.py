"""The agent as a process: how it starts, moves bytes, and what it leaves when the line is cut."""

from __future__ import annotations

import ast
import hashlib
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from agent_client import AgentProcess, Refused

from orchestrator.agent.packing import pack

pytestmark = pytest.mark.process

CONTENT = bytes(range(256)) * 1000
PATH = "cache:wheels/aa/x-1-py3-none-any.whl"


def is_alive(pid: int) -> bool:
    """Whether it runs; one that ended and waits for its parent does not."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except FileNotFoundError:
        return False


def files_under(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_it_is_sent_once_and_greets(tmp_path: Path) -> None:
    for is_there in (False, True):
        with AgentProcess(tmp_path) as agent:
            assert agent.offer == {"event": "agent", "have": is_there}
            assert agent.hello["protocol"] == 1
            assert agent.hello["host"] == os.uname().nodename
            assert agent.hello["note"] is None
            assert agent.ask("ping") == {}
    assert stat.S_IMODE((tmp_path / "dsdeploy").stat().st_mode) == 0o700


def test_an_agent_with_a_wrong_byte_does_not_start(tmp_path: Path) -> None:
    packed = pack()
    agent = AgentProcess(tmp_path, packed=packed._replace(content=packed.content[:-1] + b"?"))
    assert "error" in agent.hello
    agent.hang_up()
    assert files_under(tmp_path) == []


@pytest.mark.parametrize("mode", [0o777, 0o770])
def test_a_cache_that_others_may_write_to_is_not_used(tmp_path: Path, mode: int) -> None:
    (tmp_path / "dsdeploy" / "agent").mkdir(parents=True)
    (tmp_path / "dsdeploy").chmod(mode)
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    with AgentProcess(tmp_path, environment={"TMPDIR": str(temporary)}) as agent:
        assert "others may write to it" in agent.hello["note"]
        assert agent.hello["cache"].startswith(str(temporary))
        assert agent.ask("ping") == {}
    assert list(temporary.iterdir()) == []
    assert files_under(tmp_path / "dsdeploy") == []


def test_a_home_that_is_a_file_leaves_a_note(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("not a folder")
    with AgentProcess(tmp_path / "home", environment={"TMPDIR": str(tmp_path)}) as agent:
        assert "nothing is kept" in agent.hello["note"]


def test_a_command_tells_its_lines_and_how_it_ended(tmp_path: Path) -> None:
    script = "import os, sys; print('out'); sys.stdout.flush(); os.write(2, b'err\\n'); sys.exit(3)"
    with AgentProcess(tmp_path) as agent:
        result = agent.ask("run", argv=[sys.executable, "-c", script], cwd=None, env={}, timeout_s=None)
        assert [event["text"] for event in agent.events] == ["out", "err"]
    assert result["returncode"] == 3
    assert result["peak_memory_bytes"] > 1 << 20


def test_an_empty_variable_is_removed(tmp_path: Path) -> None:
    script = "import os; print(os.environ.get('A'), os.environ.get('B'))"
    with AgentProcess(tmp_path, environment={"A": "1"}) as agent:
        agent.ask("run", argv=[sys.executable, "-c", script], cwd=None, env={"A": "", "B": "2"}, timeout_s=None)
        assert agent.events[0]["text"] == "None 2"


def test_a_signal_is_a_negative_return_code(tmp_path: Path) -> None:
    with AgentProcess(tmp_path) as agent:
        result = agent.ask("run", argv=["sh", "-c", "kill -SEGV $$"], cwd=None, env={}, timeout_s=None)
    assert result["returncode"] == -signal.SIGSEGV


def test_what_a_command_leaves_behind_is_ended_with_it(tmp_path: Path) -> None:
    with AgentProcess(tmp_path) as agent:
        agent.ask("run", argv=["sh", "-c", "sleep 600 & echo $!"], cwd=None, env={}, timeout_s=None)
        assert not is_alive(int(agent.events[0]["text"]))


@pytest.mark.parametrize(
    ("parameters", "kind", "names"),
    [
        ({"argv": ["no-such-program-here"]}, "host", "no-such-program-here"),
        ({"argv": ["true"], "cwd": "/no/such/folder"}, "host", "/no/such/folder"),
        ({"argv": ["sleep", "600"], "timeout_s": 0.1}, "host", "longer than 0.1 s"),
        ({"argv": "true"}, "usage", "argv"),
    ],
)
def test_a_command_that_cannot_be_run_is_told(
    tmp_path: Path, parameters: dict[str, object], kind: str, names: str
) -> None:
    with AgentProcess(tmp_path) as agent, pytest.raises(Refused, match=names) as refused:
        agent.ask("run", **parameters)
    assert refused.value.kind == kind


def test_an_unknown_operation_is_a_usage_error(tmp_path: Path) -> None:
    with AgentProcess(tmp_path) as agent, pytest.raises(Refused) as refused:
        agent.ask("reboot")
    assert refused.value.kind == "usage"


def test_requests_run_side_by_side_and_can_be_cancelled(tmp_path: Path) -> None:
    with AgentProcess(tmp_path) as agent:
        slow = agent.begin("run", argv=["sleep", "600"], cwd=None, env={}, timeout_s=None)
        assert agent.ask("ping") == {}
        agent.send({"id": 99, "op": "cancel", "target": slow})
        with pytest.raises(Refused, match="cancelled"):
            agent.end(slow)


@pytest.mark.parametrize("how", ["eof", "SIGTERM", "SIGHUP"])
def test_nothing_stays_when_the_line_is_cut(tmp_path: Path, how: str) -> None:
    agent = AgentProcess(tmp_path)
    workspace = Path(agent.ask("workspace")["path"])
    (workspace / "half").write_text("built")
    agent.send({"id": 7, "op": "put", "path": PATH, "size": 10, "sha256": "0" * 64, "mode": 0o600})
    agent.send({"id": 7, "chunk": True, "bytes": 4}, b"half")
    agent.begin("run", argv=["sh", "-c", "sleep 600 & echo $!; wait"], cwd=None, env={}, timeout_s=None)
    while (frame := agent.read()).get("event") != "line":
        assert frame
    pid = int(frame["text"])
    assert is_alive(pid)
    if how != "eof":
        agent.process.send_signal(getattr(signal, how))
    agent.hang_up()
    assert not is_alive(pid)
    assert not workspace.exists()
    assert [path for path in files_under(tmp_path) if ".part" in path.name] == []


def test_a_stream_that_is_no_frame_ends_it(tmp_path: Path) -> None:
    agent = AgentProcess(tmp_path)
    agent.send_raw(b"GET / HTTP/1.1\n")
    assert agent.read() == {}
    assert agent.hang_up() == 1


def test_a_file_arrives_whole_and_is_known_by_its_bytes(tmp_path: Path) -> None:
    digest = hashlib.sha256(CONTENT).hexdigest()
    with AgentProcess(tmp_path) as agent:
        asked = [{"path": PATH, "sha256": digest}]
        assert agent.ask("has", files=asked) == {"missing": [PATH]}
        path = Path(agent.put(PATH, CONTENT)["path"])
        assert path == agent.cache / "wheels" / "aa" / "x-1-py3-none-any.whl"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert agent.ask("has", files=asked) == {"missing": []}
        assert agent.ask("get", path=PATH) == {"size": len(CONTENT), "sha256": digest}
        assert b"".join(event["payload"] for event in agent.events) == CONTENT
        path.write_bytes(CONTENT[:-1] + b"?")
        assert agent.ask("has", files=asked) == {"missing": [PATH]}


def test_an_empty_file_arrives(tmp_path: Path) -> None:
    with AgentProcess(tmp_path) as agent:
        assert Path(agent.put(str(tmp_path / "new" / "empty"), b"")["path"]).read_bytes() == b""


def test_a_tampered_file_is_refused_and_the_session_goes_on(tmp_path: Path) -> None:
    with AgentProcess(tmp_path) as agent:
        with pytest.raises(Refused, match="did not arrive whole") as refused:
            agent.put(PATH, CONTENT, sha256="0" * 64)
        assert refused.value.kind == "transfer"
        assert files_under(agent.cache / "wheels") == []
        agent.put(PATH, CONTENT)


def test_chunks_of_a_failed_put_are_dropped(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with AgentProcess(tmp_path) as agent:
        with pytest.raises(Refused, match="cannot be written"):
            agent.put(str(tmp_path / "file" / "x"), CONTENT)
        assert agent.ask("ping") == {}


@pytest.mark.parametrize("path", ["cache:../x", "cache:a/../../x", "cache:/etc/x", "cache:", "relative"])
def test_paths_out_of_the_cache_are_refused(tmp_path: Path, path: str) -> None:
    with AgentProcess(tmp_path) as agent, pytest.raises(Refused) as refused:
        agent.put(path, b"x")
    assert refused.value.kind == "usage"


def test_only_own_workspaces_are_discarded(tmp_path: Path) -> None:
    with AgentProcess(tmp_path) as agent:
        workspace = Path(agent.ask("workspace")["path"])
        assert stat.S_IMODE(workspace.stat().st_mode) == 0o700
        assert agent.ask("discard", path=str(workspace)) == {}
        assert not workspace.exists()
        with pytest.raises(Refused):
            agent.ask("discard", path=str(tmp_path))
    assert tmp_path.exists()


def test_the_packed_agent_is_the_same_every_time() -> None:
    assert pack() == pack()
    assert pack().first_line.count(b"\n") == 1


def test_its_grammar_is_that_of_python_3_8() -> None:
    sources = sorted((Path(__file__).parents[2] / "orchestrator" / "agent").glob("*.py"))
    assert len(sources) > 20
    for source in sources:
        ast.parse(source.read_text(encoding="utf-8"), feature_version=(3, 8))


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", small], capture_output=True, check=False)
    if mount.returncode:
        pytest.skip("may not mount a small file system here")
    try:
        with AgentProcess(tmp_path) as agent, pytest.raises(Refused, match="No space left") as refused:
            agent.put(str(small / "big"), CONTENT)
        assert refused.value.kind == "transfer"
        assert refused.value.hint is not None
        assert list(small.iterdir()) == []
    finally:
        subprocess.run(["umount", small], check=True)
