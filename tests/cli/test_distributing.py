"""What the words about the fan-out mean."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from orchestrator.cli.distributing import make_fan_out_settings
from orchestrator.cli.options import Distribution, Output, Targets
from orchestrator.cli.wiring import Run
from orchestrator.errors import ConfigError, UsageError
from orchestrator.model.fanout import FanOutSettings, Shape

HOSTS = ("r1n1", "r1n2", "r2n1")
IN_NAMES = {"r1n1": "r1", "r1n2": "r1", "r2n1": "r2"}


def settings_of(
    distribution: Distribution, *, own_topology: Path = Path("/nowhere"), notes: list[str] | None = None
) -> FanOutSettings:
    on_note = (notes if notes is not None else []).append
    return make_fan_out_settings(distribution, HOSTS, on_note=on_note, own_topology=own_topology)


def write_topology(folder: Path, text: str) -> Path:
    path = folder / "topology.conf"
    path.write_text(text)
    return path


def test_by_default_the_shape_is_chosen_ports_are_any_and_racks_are_in_the_names() -> None:
    assert settings_of(Distribution()) == FanOutSettings(shape=Shape.AUTO, relay_ports=None, racks=IN_NAMES)


@pytest.mark.parametrize("shape", Shape)
def test_every_shape_has_a_word(shape: Shape) -> None:
    assert settings_of(Distribution(fan_out=shape.value)).shape is shape


def test_another_shape_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(UsageError, match="--fan-out ring") as error:
        settings_of(Distribution(fan_out="ring"))
    assert error.value.hint == "there are: auto, chain, tree, star"


@pytest.mark.parametrize(("text", "ports"), [("20000-20100", (20000, 20100)), ("1-65535", (1, 65535)), ("7-7", (7, 7))])
def test_relay_ports_are_the_first_and_the_last(text: str, ports: tuple[int, int]) -> None:
    assert settings_of(Distribution(relay_ports=text)).relay_ports == ports


@pytest.mark.parametrize("text", ["", "20000", "20100-20000", "0-9", "1-65536", "a-b", "1-2-3", " 1-2", "1 - 2", "1-²"])
def test_what_is_no_range_of_ports_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--relay-ports") as error:
        settings_of(Distribution(relay_ports=text))
    assert error.value.hint is not None
    assert "20000-20100" in error.value.hint


def test_a_topology_that_was_named_beats_this_machines_own_and_the_names(tmp_path: Path) -> None:
    own = write_topology(tmp_path, "[routes]\ngateway-0: r1n1,r2n1\ngateway-1: r1n2\n")
    (tmp_path / "named").mkdir()
    named = write_topology(tmp_path / "named", "[routes]\ngateway-7: r1n[1-2],r2n1\n")
    racks = settings_of(Distribution(topology=named), own_topology=own).racks
    assert len({racks[host] for host in HOSTS}) == 1


def test_this_machines_own_topology_beats_the_names(tmp_path: Path) -> None:
    own = write_topology(tmp_path, "[routes]\ngateway-0: r1n1,r2n1\ngateway-1: r1n2\n")
    racks = settings_of(Distribution(), own_topology=own).racks
    assert racks["r1n1"] == racks["r2n1"] != racks["r1n2"]


def test_this_machines_own_topology_of_other_hosts_says_nothing(tmp_path: Path) -> None:
    own = write_topology(tmp_path, "[routes]\ngateway-0: node[1-9]\n")
    assert settings_of(Distribution(), own_topology=own).racks == IN_NAMES


def test_faults_of_a_topology_that_was_named_end_the_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        settings_of(Distribution(topology=write_topology(tmp_path, "no section\n")))
    with pytest.raises(UsageError, match="does not exist"):
        settings_of(Distribution(topology=tmp_path / "absent.conf"))


def test_faults_of_this_machines_own_topology_are_a_note(tmp_path: Path) -> None:
    notes: list[str] = []
    own = write_topology(tmp_path, "no section\n")
    assert settings_of(Distribution(), own_topology=own, notes=notes).racks == IN_NAMES
    (note,) = notes
    assert f"{own}:1" in note


def test_words_that_mean_nothing_are_refused_before_any_host_is_asked(tmp_path: Path) -> None:
    (tmp_path / "hostfile").write_text("worker-0 slots=1\n")
    targets = Targets(hostfile=tmp_path / "hostfile")
    with ExitStack() as stack, pytest.raises(UsageError, match="--relay-ports"):
        Run(targets, Output(quiet=True), stack, Distribution(relay_ports="many"))


def test_a_run_knows_what_was_said_about_the_fan_out(tmp_path: Path) -> None:
    (tmp_path / "hostfile").write_text("worker-0 slots=1\n")
    targets = Targets(hostfile=tmp_path / "hostfile")
    with ExitStack() as stack:
        assert Run(targets, Output(quiet=True), stack, Distribution(fan_out="star")).fan_out.shape is Shape.STAR
        assert Run(targets, Output(quiet=True), stack).fan_out == FanOutSettings()
