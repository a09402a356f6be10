"""Programs that run on the builder: sent there as files, Python ≥ 3.8, standard library, nothing of ours."""
