"""The one program that acts on hosts: standard library only, Python 3.8 or newer, ends with its connection.

Starting it is most of its cost. So modules are imported when an operation first needs them, and `typing` never is: what
annotations need stands behind a `TYPE_CHECKING = False` of our own, which type checkers take for the real one.
"""
