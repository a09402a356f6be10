"""The parts of `scripts/bench/fanout`: one file to N hosts by us and by every peer, on the same cluster in one run."""
