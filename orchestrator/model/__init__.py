"""Frozen values, no I/O: the nouns that every floor speaks."""
