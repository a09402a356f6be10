"""`dsdeploy rollback`: back to the deployment before."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.answer import Answer
from orchestrator.cli.options import Confirmed, Output, Safety, Targets

NAME = "rollback"


def command(
    *,
    targets: Targets,
    to: Annotated[
        str | None,
        typer.Option(
            metavar="DEPLOYMENT",
            help="Back to what hosts had when this was their newest one (`dsdeploy history`); the beginning of its id "
            "will do. Default: take back the newest one.",
        ),
    ] = None,
    safety: Safety,
    yes: Confirmed = False,
    output: Output,
) -> Answer:
    """Give hosts back the DeepSpeed that they had before.

    Hosts keep, byte for byte, what their last three deployments replaced, whoever had installed it. It goes back in
    without the network, on all hosts or on none, and every op is verified. A rollback is a deployment itself: a second
    one takes it back.

    Example:  dsdeploy rollback -H hostfile --to 20260102T030405Z
    """
    from orchestrator.cli.rolling_back import roll_hosts_back
    from orchestrator.cli.safety import make_policy
    from orchestrator.cli.wiring import open_run

    policy = make_policy(safety)
    with open_run(targets, output) as run:
        return roll_hosts_back(run, policy, to=to, is_confirmed=yes)
