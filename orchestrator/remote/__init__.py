"""Reaches hosts: one SSH connection and one agent each, and the same agent on the controller."""
