"""The parts of `scripts/bench/cuda-build`: our CUDA build beside DeepSpeed's own, on one machine in one run."""
