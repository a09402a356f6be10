"""Effects through ports, one verb a file."""
