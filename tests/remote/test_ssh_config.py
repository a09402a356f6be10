"""Reading an SSH configuration, with the files that it includes."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.errors import UsageError
from orchestrator.remote.ssh_config import load_ssh_config


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "config"


def test_an_alias_is_looked_up(config: Path) -> None:
    config.write_text("Host worker-*\n  HostName %h.example\n  Port 2222\n  User ml\n  ProxyJump bastion\n")
    options = load_ssh_config(config).lookup("worker-3")
    assert options["hostname"] == "worker-3.example"
    assert (options["port"], options["user"], options["proxyjump"]) == ("2222", "ml", "bastion")


def test_the_first_value_wins(config: Path) -> None:
    config.write_text("Host worker-3\n  Port 1\nHost *\n  Port 2\n")
    assert load_ssh_config(config).lookup("worker-3")["port"] == "1"
    assert load_ssh_config(config).lookup("other")["port"] == "2"


def test_included_files_are_read_where_they_are_named(config: Path, tmp_path: Path) -> None:
    (tmp_path / "10.conf").write_text("Host worker-0\n  Port 1010\n")
    (tmp_path / "20.conf").write_text("Host worker-1\n  Port 2020\n")
    config.write_text(f"Include {tmp_path}/*.conf\nHost *\n  Port 22\n  User ml\n")
    loaded = load_ssh_config(config)
    assert [loaded.lookup(f"worker-{number}")["port"] for number in range(3)] == ["1010", "2020", "22"]
    assert loaded.lookup("worker-0")["user"] == "ml"


def test_a_block_goes_on_after_an_include(config: Path, tmp_path: Path) -> None:
    (tmp_path / "other").write_text("Host other\n  Port 1010\n")
    config.write_text(f'Host worker-0\n  User ml\n  include = "{tmp_path}/other"\n  Port 2020\n')
    loaded = load_ssh_config(config)
    assert loaded.lookup("worker-0")["port"] == "2020"
    assert loaded.lookup("other")["port"] == "1010"


def test_an_include_that_matches_nothing_is_fine(config: Path, tmp_path: Path) -> None:
    config.write_text(f"Include {tmp_path}/absent/*.conf\nHost *\n  Port 7\n")
    assert load_ssh_config(config).lookup("any")["port"] == "7"


@pytest.mark.parametrize("text", ["Include {0}\n", "nonsense\n"])
def test_what_cannot_be_read_names_the_file(config: Path, text: str) -> None:
    config.write_text(text.format(config))
    with pytest.raises(UsageError, match=str(config)):
        load_ssh_config(config)


def test_a_host_among_a_thousand_gets_its_own_block_and_the_common_ones_in_their_order(config: Path) -> None:
    blocks = [f"Host worker-{number} spare-{number}\n  Port {1000 + number}\n" for number in range(1000)]
    common = [
        "User early\nHost worker-7*\n  Port 7\n",
        *blocks,
        "Host worker-* !worker-8\n  User late\n  Compression yes\n",
    ]
    config.write_text("".join(common))
    loaded = load_ssh_config(config)
    assert [loaded.lookup(name)["port"] for name in ("worker-6", "spare-6", "worker-72")] == ["1006", "1006", "7"]
    assert loaded.lookup("worker-6")["user"] == "early"
    assert "compression" in loaded.lookup("worker-6")
    assert "compression" not in loaded.lookup("worker-8")
    assert "port" not in loaded.lookup("worker-1000")


def test_a_block_for_quoted_names_and_one_for_matches_are_found(config: Path) -> None:
    config.write_text('Host "worker-0"\n  Port 1\nMatch host worker-1\n  Port 2\nhost=worker-2\n  Port 3\n')
    loaded = load_ssh_config(config)
    assert [loaded.lookup(f"worker-{number}")["port"] for number in range(3)] == ["1", "2", "3"]


def test_a_host_that_gets_another_name_finds_that_ones_block(config: Path) -> None:
    """`127.0` in the domain `0.1` is a name that every machine resolves."""
    config.write_text("Host 127.0.0.1\n  Port 7\nHost *\n  CanonicalizeHostname yes\n  CanonicalDomains 0.1\n")
    options = load_ssh_config(config).lookup("127.0")
    assert (options["hostname"], options["port"]) == ("127.0.0.1", "7")
