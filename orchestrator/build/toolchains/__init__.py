"""Brings the CUDA toolkit that a plan chose to the builder, and makes one CUDA_HOME of it and of what torch brings."""
