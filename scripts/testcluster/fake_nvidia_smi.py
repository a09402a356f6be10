"""Answers as `nvidia-smi` did on a captured machine: its table, `-L`, and queries for any captured field."""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

_HERE = Path(__file__).resolve().parent


def main(arguments: list[str]) -> int:
    """Answer one call."""
    parser = argparse.ArgumentParser(prog="nvidia-smi", allow_abbrev=False)
    parser.add_argument("-L", "--list-gpus", action="store_true")
    parser.add_argument("-i", "--id")
    parser.add_argument("--query-gpu")
    parser.add_argument("--format", default="")
    asked = parser.parse_args(arguments)
    with (_HERE / "captured.csv").open(encoding="utf-8", newline="") as captured:
        header, *rows = csv.reader(captured, skipinitialspace=True)
    table = {title.split(" [")[0]: number for number, title in enumerate(header)}
    if asked.id is not None:
        named = ("index", "uuid", "pci.bus_id")
        rows = [row for row in rows if asked.id in (row[table[field]] for field in named)]
        if not rows:
            sys.stdout.write("No devices were found\n")
            return 6
    if asked.list_gpus:
        for row in rows:
            sys.stdout.write(f"GPU {row[table['index']]}: {row[table['name']]} (UUID: {row[table['uuid']]})\n")
        return 0
    if asked.query_gpu is None:
        sys.stdout.write((_HERE / "captured.txt").read_text(encoding="utf-8"))
        return 0
    return answer_query(asked.query_gpu.split(","), asked.format.split(","), header, rows)


def answer_query(fields: list[str], form: list[str], header: list[str], rows: list[list[str]]) -> int:
    """Write the asked columns in the form that `--format` names."""
    columns = []
    names = [title.split(" [")[0] for title in header]
    for field in (field.strip() for field in fields):
        name = {"gpu_name": "name", "gpu_uuid": "uuid", "gpu_bus_id": "pci.bus_id"}.get(field, field)
        if name not in names:
            sys.stdout.write(f'Field "{field}" is not a valid field to query.\n\n')
            return 2
        columns.append(names.index(name))
    if "csv" not in form:
        sys.stdout.write('"--format=" switch is missing "csv".\n')
        return 2
    has_units = "nounits" not in form
    if "noheader" not in form:
        titles = header if has_units else names
        sys.stdout.write(", ".join(titles[column] for column in columns) + "\n")
    for row in rows:
        values = (strip_unit(row[column], header[column]) if not has_units else row[column] for column in columns)
        sys.stdout.write(", ".join(values) + "\n")
    return 0


def strip_unit(value: str, title: str) -> str:
    """Return a value without the unit that its title names."""
    _, _, unit = title.rstrip("]").partition(" [")
    return value.removesuffix(f" {unit}") if unit else value


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
