"""Options that mean the same in every command, and the decorator that spreads them into a signature."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import typing
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """Which hosts, and how to reach them."""

    hostfile: Annotated[
        Path | None,
        typer.Option(
            "-H",
            "--hostfile",
            metavar="FILE",
            help="DeepSpeed hostfile. Default: $DSDEPLOY_HOSTFILE, then /job/hostfile.",
        ),
    ] = None
    include: Annotated[
        str, typer.Option("-i", "--include", metavar="HOSTS", help="Only these; DeepSpeed's syntax: 'host:0,2@host2'.")
    ] = ""
    exclude: Annotated[
        str, typer.Option("-e", "--exclude", metavar="HOSTS", help="All but these; the same syntax.")
    ] = ""
    python: Annotated[
        str | None,
        typer.Option(
            metavar="PYTHON",
            help="Target interpreter on the hosts; `python=` in the hostfile wins. Default: the recipe's, or python3.",
        ),
    ] = None
    ssh_config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="OpenSSH client configuration. Default: ~/.ssh/config.")
    ] = None
    accept_new_host_keys: Annotated[
        bool,
        typer.Option(
            "--accept-new-host-keys", help="Trust and remember hosts never seen before; a changed key is refused."
        ),
    ] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which wheels."""

    recipe: Annotated[
        str,
        typer.Option("-r", "--recipe", metavar="RECIPE", help="A name (`dsdeploy recipe list`), or a YAML file."),
    ] = "training"
    strategy: Annotated[
        str | None,
        typer.Option(
            metavar="per-op|upstream",
            help="One build per op (the default), or DeepSpeed's own setup.py command, to compare.",
        ),
    ] = None
    force: Annotated[bool, typer.Option("--force", help="Do it again, even where everything is in place already.")] = (
        False
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Building:
    """Where to build, and how fast."""

    builder: Annotated[
        str,
        typer.Option(
            metavar="WHERE", help="Where to compile: auto (a host of the group, else here), controller, HOST."
        ),
    ] = "auto"
    jobs: Annotated[
        int | None,
        typer.Option("-j", "--jobs", min=1, metavar="N", help="Compilers at once. Default: by cores and memory."),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """How files reach the hosts."""

    fan_out: Annotated[
        str,
        typer.Option(
            metavar="auto|chain|tree|star",
            help="Who sends to whom: each host to the next, each to two, or the controller to all (star).",
        ),
    ] = "auto"
    relay_ports: Annotated[
        str | None,
        typer.Option(
            metavar="FIRST-LAST",
            help="Ports where hosts listen for each other while files go, say 20000-20100. Default: any that is free.",
        ),
    ] = None
    topology: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="ClusterShell's topology.conf: hosts behind one gateway are one rack. "
            "Default: the one in /etc/clustershell, else racks as host names tell them (`r12n03`).",
        ),
    ] = None
    show_topology: Annotated[bool, typer.Option("--show-topology", help="Draw who sends to whom.")] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Safety:
    """How hosts are changed, and what a failure among them means for the others."""

    on_failure: Annotated[
        str,
        typer.Option(
            metavar="POLICY",
            help="When a host fails: all hosts go back (rollback), that one alone does (drop-host, with "
            "--max-failures), or none does, so that it can be looked at (keep).",
        ),
    ] = "rollback"
    max_failures: Annotated[
        str | None,
        typer.Option(
            metavar="N|P%",
            help="With drop-host: how many hosts may fail, or which share of those to change (rounded down). "
            "One more, and all go back.",
        ),
    ] = None
    canary: Annotated[
        int,
        typer.Option(
            metavar="N",
            show_default=False,
            help="Take N hosts all the way through verify before any other host is touched. Default: none.",
        ),
    ] = 0
    batch: Annotated[
        int | None, typer.Option(metavar="N", help="Change N hosts at a time. Default: all of them at once.")
    ] = None
    even_if_busy: Annotated[
        bool,
        typer.Option("--even-if-busy", help="Go on where processes have the installed DeepSpeed's libraries open."),
    ] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """How to answer."""

    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout; all else on stderr.")] = False
    """The edge looks for the word itself, for it must also know when the words do not parse."""
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Only the result, failures and notes.")] = False
    debug: Annotated[bool, typer.Option("--debug", help="Also what pip, git and other programs print.")] = False


Confirmed = Annotated[bool, typer.Option("-y", "--yes", help="Do not ask before hosts are changed.")]


def spread(command: Callable[..., object]) -> Callable[..., object]:
    """Replace each parameter that is a group of options above by the options themselves.

    Typer reads one parameter per option; commands want the group as one value.
    """
    groups: dict[str, type] = {}
    parameters: list[inspect.Parameter] = []
    hints = typing.get_type_hints(command, include_extras=True)
    for name, parameter in inspect.signature(command).parameters.items():
        kind = hints[name]
        if isinstance(kind, type) and dataclasses.is_dataclass(kind):
            groups[name] = kind
            parameters.extend(_options_of(kind))
        else:
            parameters.append(parameter.replace(annotation=kind, kind=inspect.Parameter.KEYWORD_ONLY))

    @functools.wraps(command)
    def spread_command(**values: Any) -> object:  # noqa: ANN401 - whatever typer parsed
        grouped = {
            name: kind(**{field.name: values.pop(field.name) for field in dataclasses.fields(kind)})
            for name, kind in groups.items()
        }
        return command(**grouped, **values)

    spread_command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    spread_command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    del spread_command.__wrapped__  # inspect must see the spread signature
    return spread_command


def _options_of(kind: type) -> list[inspect.Parameter]:
    hints = typing.get_type_hints(kind, include_extras=True)
    return [
        inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name]
        )
        for field in dataclasses.fields(kind)
    ]
