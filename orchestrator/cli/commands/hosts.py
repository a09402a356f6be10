"""`dsdeploy hosts`: what the hostfile and the filters choose."""

from __future__ import annotations

from orchestrator.cli.answer import Answer
from orchestrator.cli.options import Output, Targets

NAME = "hosts"


def command(targets: Targets, output: Output) -> Answer:  # noqa: ARG001 - its options are the edge's
    """Print the hosts that the hostfile and the filters choose.

    No host is contacted.

    Example:  dsdeploy hosts -H hostfile -e worker-3@worker-7:0
    """
    from orchestrator.cli.user_files import load_hosts
    from orchestrator.report.documents import hosts_document
    from orchestrator.report.tables.hosts import hosts_table

    hosts = load_hosts(targets)
    return Answer(document=lambda: hosts_document(hosts), draw=lambda: hosts_table(hosts))
