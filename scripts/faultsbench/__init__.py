"""The parts of `scripts/bench/faults`: every fault in every step of a deployment, judged by the disks of real hosts."""
