"""The only writer of the store: wheels by content, found by build key."""
