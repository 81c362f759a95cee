"""`python -m ml`: which commands there are. What each does is in its module of `ml.commands`."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence

from ml.commands import (
    bias,
    card,
    cross_validate,
    data,
    evaluate,
    explain,
    explain_score,
    gate,
    hold_out,
    predict,
    train,
)

COMMANDS = (
    train,
    hold_out,
    cross_validate,
    evaluate,
    card,
    bias,
    data,
    explain,
    explain_score,
    gate,
    predict,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 answered, 1 some file met a fault, 2 nothing could be
    tried.
    """
    logging.basicConfig(
        level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
    for stream in (sys.stdout, sys.stderr):
        # A file name that is no valid text must not end a run over a thousand files.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    options = _parser().parse_args(arguments)
    return options.command(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ml", description="Train, measure and use a network for chest X-rays."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for module in COMMANDS:
        module.add_parser(commands)
    return parser
