"""Everything that goes wrong on the way in, against real sockets and a real sshd."""

from __future__ import annotations

import getpass
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from remote_sshd import Forwarder, MakeDialer, Sshd, StartSshd, free_port, make_key, silent_listener

from orchestrator.agent.packing import pack
from orchestrator.errors import HostError, UsageError
from orchestrator.model.hosts import Host
from orchestrator.ports import Command
from orchestrator.remote.dial import Dialer, DialSettings
from orchestrator.remote.opening import open_session, ssh_command
from orchestrator.remote.session import AgentSession

pytestmark = pytest.mark.cluster

TARGET = Host(name="target")


def log_in(dialer: Dialer, host: Host = TARGET) -> AgentSession:
    preamble = f"{host.python or ''}\n".encode()
    return open_session(host.name, dialer.open(host), pack(), preamble=preamble)


def failure(dialer: Dialer, host: Host = TARGET) -> HostError:
    with pytest.raises(HostError) as caught:
        log_in(dialer, host)
    assert host.name in caught.value.message
    return caught.value


@pytest.fixture
def forwarder(sshd: Sshd) -> Iterator[Forwarder]:
    opened = Forwarder(sshd.port)
    yield opened
    opened.close()


def test_a_refused_port_is_named(dialer: MakeDialer, sshd: Sshd) -> None:
    port = free_port()
    assert str(port) in failure(dialer(sshd.config(Port=port))).message


def test_a_black_hole_is_given_up(dialer: MakeDialer, sshd: Sshd) -> None:
    with silent_listener() as port:
        error = failure(dialer(sshd.config(Port=port), timeout_s=0.3))
    assert "no SSH server answers" in error.message


def test_a_name_that_does_not_resolve_is_told(dialer: MakeDialer) -> None:
    assert "does not resolve" in failure(dialer(""), Host(name="no-such-host.invalid")).message


def test_an_unknown_host_key_is_refused_with_its_fingerprint(dialer: MakeDialer, sshd: Sshd, tmp_path: Path) -> None:
    error = failure(dialer(sshd.config(UserKnownHostsFile=tmp_path / "known_hosts")))
    printed = subprocess.run(
        ("ssh-keygen", "-l", "-f", str(sshd.folder / "host_key.pub")), check=True, capture_output=True, text=True
    )
    assert printed.stdout.split()[1] in error.message
    assert "--accept-new-host-keys" in (error.hint or "")
    assert not (tmp_path / "known_hosts").exists()


def test_a_new_host_key_is_remembered_when_asked_for(dialer: MakeDialer, sshd: Sshd, tmp_path: Path) -> None:
    known_hosts = tmp_path / "new" / "known_hosts"
    config = sshd.config(UserKnownHostsFile=known_hosts)
    log_in(dialer(config, accept_new_host_keys=True)).close()
    assert known_hosts.read_text() == f"[127.0.0.1]:{sshd.port} {sshd.host_key}\n"
    log_in(dialer(config)).close()


def test_known_hosts_files_may_be_none(dialer: MakeDialer, sshd: Sshd) -> None:
    config = sshd.config(UserKnownHostsFile="none")
    assert "/dev/null" in (failure(dialer(config)).hint or "")
    log_in(dialer(config, accept_new_host_keys=True)).close()


@pytest.mark.parametrize("accept_new", [False, True])
def test_a_changed_host_key_is_always_refused(
    dialer: MakeDialer, sshd: Sshd, tmp_path: Path, *, accept_new: bool
) -> None:
    other = make_key(tmp_path / "other").with_suffix(".pub").read_text()
    known_hosts = tmp_path / "known_hosts"
    known_hosts.write_text(f"[127.0.0.1]:{sshd.port} {other}")
    error = failure(dialer(sshd.config(UserKnownHostsFile=known_hosts), accept_new_host_keys=accept_new))
    assert f"ssh-keygen -R '[127.0.0.1]:{sshd.port}' -f {known_hosts}" in (error.hint or "")
    assert known_hosts.read_text().count("\n") == 1


def test_a_revoked_host_key_is_refused(dialer: MakeDialer, sshd: Sshd, tmp_path: Path) -> None:
    known_hosts = tmp_path / "known_hosts"
    known_hosts.write_text(f"* {sshd.host_key}\n@revoked * {sshd.host_key}\n")
    assert "revoked" in failure(dialer(sshd.config(UserKnownHostsFile=known_hosts))).message


def test_a_host_key_alias_is_looked_up_instead_of_the_address(dialer: MakeDialer, sshd: Sshd, tmp_path: Path) -> None:
    known_hosts = tmp_path / "known_hosts"
    known_hosts.write_text(f"worker-* {sshd.host_key}\n")
    config = sshd.config(UserKnownHostsFile=known_hosts)
    failure(dialer(config))
    log_in(dialer(f"{config}  HostKeyAlias worker-3\n")).close()


def test_a_wrong_key_is_named(dialer: MakeDialer, sshd: Sshd, tmp_path: Path) -> None:
    key = make_key(tmp_path / "wrong")
    error = failure(dialer(sshd.config(IdentityFile=key)))
    assert str(key) in error.message
    assert getpass.getuser() in error.message
    assert "ssh-copy-id" in (error.hint or "")


def test_an_encrypted_key_that_no_agent_holds_is_told(dialer: MakeDialer, sshd: Sshd, tmp_path: Path) -> None:
    key = make_key(tmp_path / "locked", passphrase="a long passphrase")
    error = failure(dialer(sshd.config(IdentityFile=key)))
    assert f"{key} (encrypted)" in error.message
    assert "ssh-add" in (error.hint or "")


def test_a_key_file_that_is_not_there_is_told(dialer: MakeDialer, sshd: Sshd, tmp_path: Path) -> None:
    error = failure(dialer(sshd.config(IdentityFile=tmp_path / "absent")))
    assert f"{tmp_path / 'absent'} (does not exist)" in error.message


def test_a_key_of_the_ssh_agent_opens_the_door(
    dialer: MakeDialer, sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    socket = tmp_path / "agent"
    agent = subprocess.Popen(("ssh-agent", "-D", "-a", str(socket)), stdout=subprocess.PIPE)
    try:
        assert agent.stdout is not None
        agent.stdout.readline()  # it listens
        monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
        subprocess.run(("ssh-add", "-q", str(sshd.folder / "client_key")), check=True, capture_output=True)
        log_in(dialer(sshd.config(IdentityFile=tmp_path / "absent", IdentitiesOnly="no"))).close()
    finally:
        agent.terminate()
        agent.communicate()


def test_a_server_that_takes_no_keys_says_what_it_wants(dialer: MakeDialer, start: StartSshd) -> None:
    server = start("PubkeyAuthentication no", "PasswordAuthentication yes", "KbdInteractiveAuthentication no")
    assert "password" in (failure(dialer(server.config())).hint or "")


def test_hang_ups_before_the_hello_are_tried_again(dialer: MakeDialer, sshd: Sshd) -> None:
    flooded = Forwarder(sshd.port, hang_ups=2)
    try:
        config = sshd.config(Port=flooded.port, HostKeyAlias=f"[127.0.0.1]:{sshd.port}")
        log_in(dialer(config)).close()
    finally:
        flooded.close()
    assert flooded.accepted == 3


def test_a_server_that_always_hangs_up_is_given_up(dialer: MakeDialer, sshd: Sshd) -> None:
    flooded = Forwarder(sshd.port, hang_ups=1000)
    try:
        error = failure(dialer(sshd.config(Port=flooded.port)))
    finally:
        flooded.close()
    assert "MaxStartups" in (error.hint or "")
    assert flooded.accepted == 6


def test_no_python_is_told_with_the_way_out(dialer: MakeDialer, start: StartSshd) -> None:
    server = start(f"ForceCommand {ssh_command(['no-such-python'])}")
    error = failure(dialer(server.config()))
    assert "no Python 3" in error.message
    assert "python=" in (error.hint or "")


def test_the_hostfiles_interpreter_is_tried_when_no_other_is_there(
    dialer: MakeDialer, start: StartSshd, tmp_path: Path
) -> None:
    server = start(f"ForceCommand {ssh_command(['no-such-python'])}")
    named = tmp_path / "with space" / "python"
    named.parent.mkdir()
    named.symlink_to("/usr/bin/python3")
    log_in(dialer(server.config()), Host(name="target", python=str(named))).close()


def test_an_old_python_is_passed_over(dialer: MakeDialer, start: StartSshd, tmp_path: Path) -> None:
    old = tmp_path / "old-python"
    old.write_text("#!/bin/sh\nexit 86\n")
    old.chmod(0o755)
    only_old = start(f"ForceCommand {ssh_command([str(old)])}")
    assert "older than 3.8" in failure(dialer(only_old.config())).message
    both = start(f"ForceCommand {ssh_command([str(old), '/usr/bin/python3'])}")
    log_in(dialer(both.config())).close()


def test_an_account_that_runs_nothing_is_quoted(dialer: MakeDialer, start: StartSshd) -> None:
    server = start("ForceCommand echo This account is currently not available.")
    assert "This account is currently not available." in failure(dialer(server.config())).message


def test_what_a_login_script_prints_is_passed_over(dialer: MakeDialer, start: StartSshd) -> None:
    server = start('ForceCommand echo Welcome; echo "[1, 2]"; eval "$SSH_ORIGINAL_COMMAND"')
    session = log_in(dialer(server.config()))
    assert session.run(Command(argv=("echo", "hi"))).tail == ("hi",)
    session.close()


def test_a_server_killed_in_mid_request_fails_it(dialer: MakeDialer, start: StartSshd) -> None:
    server = start()
    session = log_in(dialer(server.config()))
    with pytest.raises(HostError, match="target"):
        session.run(
            Command(argv=("sh", "-c", "echo started; exec sleep 600")), on_line=lambda _: server.kill_sessions()
        )
    session.close()


def test_a_connection_cut_in_mid_copy_fails_the_put(
    dialer: MakeDialer, sshd: Sshd, forwarder: Forwarder, tmp_path: Path
) -> None:
    config = sshd.config(Port=forwarder.port, HostKeyAlias=f"[127.0.0.1]:{sshd.port}")
    session = log_in(dialer(config))
    with pytest.raises(HostError):
        session.put(os.urandom(20_000_000), str(tmp_path / "file"), on_progress=lambda *_: forwarder.cut())
    session.close()
    assert not (tmp_path / "file").exists()


def test_a_connection_cut_in_mid_copy_leaves_nothing_of_a_get(
    dialer: MakeDialer, sshd: Sshd, forwarder: Forwarder, tmp_path: Path
) -> None:
    source, target = tmp_path / "source", tmp_path / "here" / "target"
    source.write_bytes(os.urandom(20_000_000))
    session = log_in(dialer(sshd.config(Port=forwarder.port, HostKeyAlias=f"[127.0.0.1]:{sshd.port}")))
    forwarder.cut_after_bytes = 5_000_000
    with pytest.raises(HostError):
        session.get(str(source), target)
    session.close()
    assert list(target.parent.iterdir()) == []


def test_user_and_port_of_the_hostfile_win(dialer: MakeDialer, sshd: Sshd) -> None:
    config = sshd.config(Port=free_port(), User="somebody", HostKeyAlias=f"[127.0.0.1]:{sshd.port}")
    log_in(dialer(config), Host(name="target", user=getpass.getuser(), port=sshd.port)).close()


def test_a_proxy_command_is_run(dialer: MakeDialer, sshd: Sshd, tmp_path: Path) -> None:
    relay = tmp_path / "relay.py"
    relay.write_text(
        "import socket, sys, threading\n"
        "peer = socket.create_connection((sys.argv[1], int(sys.argv[2])))\n"
        "def up():\n"
        "    while piece := sys.stdin.buffer.raw.read(65536):\n"
        "        peer.sendall(piece)\n"
        "    peer.shutdown(socket.SHUT_WR)\n"
        "threading.Thread(target=up, daemon=True).start()\n"
        "while piece := peer.recv(65536):\n"
        "    sys.stdout.buffer.write(piece); sys.stdout.buffer.flush()\n"
    )
    session = log_in(dialer(sshd.config(ProxyCommand=f"/usr/bin/python3 {relay} %h %p")))
    assert session.request("ping", {}) == {}
    session.close()


def test_a_proxy_command_that_ends_is_noticed_at_once(dialer: MakeDialer, sshd: Sshd) -> None:
    assert "closed the connection" in failure(dialer(sshd.config(ProxyCommand="false"))).message


def test_a_jump_host_carries_the_connection(dialer: MakeDialer, sshd: Sshd, start: StartSshd) -> None:
    bastion = start()
    inner = sshd.config(ProxyJump="bastion")
    log_in(dialer(inner + bastion.config("bastion"))).close()
    assert bastion.logins == 1


def test_two_jump_hosts_are_passed_in_order(dialer: MakeDialer, sshd: Sshd, start: StartSshd) -> None:
    first, second = start(), start(f"AllowUsers {getpass.getuser()}")
    config = sshd.config(ProxyJump="first,second") + first.config("first") + second.config("second")
    log_in(dialer(config)).close()
    assert (first.logins, second.logins) == (1, 1)


def test_the_host_key_of_a_jump_host_is_checked_too(dialer: MakeDialer, sshd: Sshd, start: StartSshd) -> None:
    bastion = start()
    config = sshd.config(ProxyJump="bastion") + bastion.config("bastion", UserKnownHostsFile="/dev/null")
    with pytest.raises(HostError, match="bastion"):
        log_in(dialer(config))
    assert bastion.logins == 0


def test_a_jump_host_that_cannot_reach_the_target_says_so(dialer: MakeDialer, sshd: Sshd, start: StartSshd) -> None:
    bastion = start()
    error = failure(dialer(sshd.config(ProxyJump="bastion", Port=free_port()) + bastion.config("bastion")))
    assert "bastion" in error.message


def test_proxyjump_none_means_a_direct_connection(dialer: MakeDialer, sshd: Sshd) -> None:
    log_in(dialer(sshd.config(ProxyJump="none"))).close()


def test_a_configuration_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="absent"):
        Dialer(DialSettings(ssh_config=tmp_path / "absent"))
