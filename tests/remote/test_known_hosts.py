"""Which lines of a known_hosts file speak of a host."""

from __future__ import annotations

import base64
import subprocess
import threading
from pathlib import Path

import pytest

from orchestrator.remote.known_hosts import KnownHosts, KnownKey, fingerprint, name_of, parse_known_hosts


def key(patterns: str) -> KnownKey:
    return KnownKey(patterns=tuple(patterns.split(",")), kind="ssh-ed25519", key="AAAA")


@pytest.mark.parametrize(
    ("patterns", "name", "expected"),
    [
        ("worker-0", "worker-0", True),
        ("worker-0", "worker-01", False),
        ("worker-0,10.0.0.1", "10.0.0.1", True),
        ("worker-*", "worker-17", True),
        ("worker-?", "worker-17", False),
        ("*.example,!bad.example", "good.example", True),
        ("*.example,!bad.example", "bad.example", False),
        ("!bad.example", "good.example", False),
        ("[worker-0]:2222", "[worker-0]:2222", True),
        ("[worker-*]:2222", "[worker-7]:2222", True),
        ("[worker-0]:2222", "worker-0", False),
        ("worker-0", "[worker-0]:2222", False),
        ("|1|not|base64|", "worker-0", False),
    ],
)
def test_names_match_as_sshd_8_says(patterns: str, name: str, *, expected: bool) -> None:
    assert key(patterns).belongs_to(name) is expected


def test_hashed_names_match(tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    file.write_text("worker-0 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBa3UjbUJq3sjDiRM5tiTFiXNjXnPXJeFVTCk93IJgFu\n")
    subprocess.run(("ssh-keygen", "-q", "-H", "-f", str(file)), check=True, capture_output=True)
    (line,) = parse_known_hosts(file.read_text())
    assert line.patterns[0].startswith("|1|")
    assert line.belongs_to("worker-0")
    assert not line.belongs_to("worker-1")


def test_comments_authorities_and_broken_lines_are_left_out() -> None:
    text = """
    # a comment
    a ssh-rsa KEY comment
    @cert-authority *.example ssh-rsa KEY
    @revoked b ssh-rsa KEY
    only-two words
    @revoked too short
    """
    assert parse_known_hosts(text) == [
        KnownKey(patterns=("a",), kind="ssh-rsa", key="KEY"),
        KnownKey(patterns=("b",), kind="ssh-rsa", key="KEY", is_revoked=True),
    ]


@pytest.mark.parametrize(
    ("host", "port", "expected"), [("Worker-0", 22, "worker-0"), ("Worker-0", 2222, "[worker-0]:2222")]
)
def test_a_port_is_part_of_the_name(host: str, port: int, expected: str) -> None:
    assert name_of(host, port) == expected


def test_every_line_that_speaks_of_a_host_is_found_however_it_says_so(tmp_path: Path) -> None:
    file, hashed = tmp_path / "known_hosts", tmp_path / "hashed"
    hashed.write_text("worker-0 ssh-ed25519 HASHED\n")
    subprocess.run(("ssh-keygen", "-q", "-H", "-f", str(hashed)), check=True, capture_output=True)
    lines = ("worker-1 k A", "worker-0,10.0.0.1 k B", "worker-* k C", "*,!worker-0 k D", "@revoked worker-0 k E")
    file.write_text("\n".join(lines))
    keys = KnownHosts().keys_of("worker-0", (tmp_path / "absent", file, hashed))
    assert sorted(line.key for line in keys) == ["B", "C", "E", "HASHED"]


def test_a_new_key_is_written_once_by_many_threads(tmp_path: Path) -> None:
    file = tmp_path / "new" / "known_hosts"
    known = KnownHosts()
    threads = [
        threading.Thread(target=known.remember, args=("worker-0", "ssh-ed25519", "AAAA", file)) for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert file.read_text() == "worker-0 ssh-ed25519 AAAA\n"
    assert known.keys_of("worker-0", [file]) == (key("worker-0"),)


def test_a_new_key_gets_a_line_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    file.write_text("worker-1 ssh-ed25519 BBBB")
    KnownHosts().remember("worker-0", "ssh-ed25519", "AAAA", file)
    assert file.read_text() == "worker-1 ssh-ed25519 BBBB\nworker-0 ssh-ed25519 AAAA\n"


def test_a_fingerprint_is_the_one_that_ssh_keygen_prints(tmp_path: Path) -> None:
    subprocess.run(("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "key")), check=True)
    printed = subprocess.run(
        ("ssh-keygen", "-l", "-f", str(tmp_path / "key")), check=True, capture_output=True, text=True
    )
    blob = base64.b64decode((tmp_path / "key.pub").read_text().split()[1])
    assert fingerprint(blob) == printed.stdout.split()[1]
