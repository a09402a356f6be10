"""The configured package index, through pip: the only caller of pip on the controller."""
