"""The commands of `python -m ml`, a module each: `add_parser(commands)` and what it runs.

Each imports what it needs when it is called, so that `predict` starts fast.
"""
