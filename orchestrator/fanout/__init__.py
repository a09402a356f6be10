"""Brings files to many hosts in the time of one: hosts that hold a chunk serve it on."""
