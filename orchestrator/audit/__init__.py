"""What a wheel really contains, and whether it fits a host."""
