"""Turns one signature into one wheel, on a host or on the controller alike."""
