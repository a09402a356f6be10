"""The command line: parse, wire, call, render; nothing else."""
