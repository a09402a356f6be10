"""Log text into cause and fix."""
