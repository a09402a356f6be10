"""The test cluster: real OpenSSH servers on this machine that behave like the hosts of a cluster."""
