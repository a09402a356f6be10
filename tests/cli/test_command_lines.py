from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer

from orchestrator.cli.application import app
from orchestrator.cli.main import main
from orchestrator.cli.options import Building, Distribution, Output, Targets, Wanted, spread

Capture = pytest.CaptureFixture[str]

ON_HOSTS = [
    "hosts",
    "probe",
    "plan",
    "build",
    "push",
    "verify",
    "provision",
    "status",
    "rollback",
    "explain",
    "history",
    "recover",
]
COMMANDS = [
    *((name,) for name in ON_HOSTS),
    *(("store", name) for name in ("list", "show", "verify", "remove")),
    *(("recipe", name) for name in ("list", "show", "check")),
]


def help_of(*words: str, capsys: Capture) -> str:
    with pytest.raises(SystemExit) as stop:
        main([*words, "--help"])
    assert stop.value.code == 0
    return capsys.readouterr().out


def parse(command: Any, *words: str) -> Any:
    """Run a command on its own and return what it returns."""
    single = typer.Typer()
    single.command()(spread(command))
    return single(list(words), standalone_mode=False)


def options_in(text: str) -> Iterator[str]:
    """The options of a help text, each with its words in one line."""
    option = ""
    for line in text.partition("Options:\n")[2].splitlines():
        if line.lstrip().startswith("-") and not line.startswith(" " * 8):
            yield from [option] if option else []
            option = line
        else:
            option += " " + line.strip()
    yield option


def test_the_commands_are_those_of_the_manual(capsys: Capture) -> None:
    lines = help_of(capsys=capsys).partition("Commands:\n")[2].splitlines()
    names = [line.split()[0] for line in lines]
    assert names == [*ON_HOSTS, "store", "recipe"]


@pytest.mark.parametrize("group", [(), ("store",), ("recipe",)])
def test_no_command_is_cut_short_where_all_are_listed(group: tuple[str, ...], capsys: Capture) -> None:
    text = help_of(*group, capsys=capsys)
    assert "..." not in text.partition("Commands:")[2]
    assert all(line.rstrip().endswith(".") for line in text.partition("Commands:\n")[2].splitlines())


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_shows_an_example_of_itself_that_fits_on_a_line(words: tuple[str, ...], capsys: Capture) -> None:
    examples = [line for line in help_of(*words, capsys=capsys).splitlines() if "Example:" in line]
    assert len(examples) == 1
    assert examples[0].strip().startswith(f"Example:  dsdeploy {' '.join(words)}")


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_option_says_what_it_does(words: tuple[str, ...], capsys: Capture) -> None:
    for option in options_in(help_of(*words, capsys=capsys)):
        _name, _gap, text = option.strip().partition("  ")
        assert len(text.split()) >= 3, option


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_an_example_parses(words: tuple[str, ...], capsys: Capture) -> None:
    (example,) = [line for line in help_of(*words, capsys=capsys).splitlines() if "Example:" in line]
    command: Any = typer.main.get_command(app)
    for word in words:
        command = command.commands[word]
    given = example.split()[2 + len(words) :]
    parsed = command.make_context(words[-1], list(given)).params  # raises when they do not parse
    assert set(filter(None, given)) - {str(value) for value in parsed.values()} == {
        word for word in given if word.startswith("-")
    }


def test_options_come_group_by_group(capsys: Capture) -> None:
    text = help_of("provision", capsys=capsys).partition("Options:")[2]
    groups = [
        ["--hostfile", "--python"],
        ["--recipe", "--force"],
        ["--builder", "--jobs"],
        ["--fan-out", "--relay-ports", "--topology", "--show-topology"],
        ["--plan", "--yes", "--json"],
    ]
    wanted = [option for group in groups for option in group]
    assert sorted(wanted, key=text.index) == wanted


@pytest.mark.parametrize("command", ["push", "provision"])
def test_what_the_fan_out_takes_is_shown_by_example(command: str, capsys: Capture) -> None:
    told = {option.split()[0]: option for option in options_in(help_of(command, capsys=capsys))}
    assert "auto|chain|tree|star" in told["--fan-out"]
    assert "20000-20100" in told["--relay-ports"]
    assert "topology.conf" in told["--topology"]
    assert "r12n03" in told["--topology"]


def test_a_group_of_options_arrives_as_one_value() -> None:
    def command(targets: Targets, output: Output) -> object:
        return targets, output

    targets, output = parse(command, "-H", "hosts.txt", "-i", "a@b:0", "--accept-new-host-keys", "-q")
    assert (str(targets.hostfile), targets.include, targets.accept_new_host_keys) == ("hosts.txt", "a@b:0", True)
    assert output == Output(quiet=True)


def test_the_words_about_the_fan_out_arrive_as_one_value() -> None:
    def command(distribution: Distribution) -> object:
        return distribution

    words = ["--fan-out", "tree", "--relay-ports", "20000-20100", "--topology", "racks.conf", "--show-topology"]
    assert parse(command, *words) == Distribution(
        fan_out="tree", relay_ports="20000-20100", topology=Path("racks.conf"), show_topology=True
    )


def test_options_that_are_not_given_have_their_defaults() -> None:
    def command(*, targets: Targets, wanted: Wanted, building: Building, output: Output) -> object:
        return targets, wanted, building, output

    assert parse(command) == (Targets(), Wanted(), Building(), Output())


def test_a_commands_own_options_stand_beside_the_groups() -> None:
    def command(
        *, wanted: Wanted, name: Annotated[str, typer.Argument()], often: Annotated[int, typer.Option()] = 1
    ) -> object:
        return wanted, name, often

    assert parse(command, "me", "--often", "3", "-r", "inference") == (Wanted(recipe="inference"), "me", 3)


def test_a_spread_command_keeps_its_name_and_its_help() -> None:
    def command(output: Output) -> object:
        """Say what it does."""
        return output

    spreaded = spread(command)
    assert (spreaded.__name__, spreaded.__doc__) == ("command", "Say what it does.")
