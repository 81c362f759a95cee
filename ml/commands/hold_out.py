"""`python -m ml hold-out`."""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from ml.commands.common import ANSWERED, stop

if TYPE_CHECKING:
    from ml.commands.common import Commands

log = logging.getLogger("ml")


def add_parser(commands: Commands) -> None:
    """Add the command to the parser of `python -m ml`."""
    hold_out = commands.add_parser(
        "hold-out", help="train without some sources and measure on them; writes no model"
    )
    hold_out.add_argument("--data", type=Path, required=True, metavar="DIR")
    hold_out.add_argument("--config", type=Path, required=True, metavar="FILE")
    hold_out.add_argument(
        "--leave-out",
        action="append",
        required=True,
        metavar="SOURCE",
        help="a source, or label/source (normal/chest_xray); may be repeated",
    )
    hold_out.add_argument(
        "--keep-training",
        action="store_true",
        help="of images that are in both, keep those in training and measure on the rest (default: the other way)",
    )
    hold_out.add_argument("--positive", default="covid19", metavar="LABEL")
    hold_out.add_argument(
        "--control",
        choices=["none", "borders", "only_lungs", "no_lungs"],
        default="none",
        help="what of each image may be seen; the last two need covid-segmentation",
    )
    hold_out.add_argument("--seed", type=int, metavar="N", help="instead of the configuration's")
    hold_out.add_argument("--epochs", type=int, metavar="N", help="instead of the configuration's")
    hold_out.add_argument(
        "--work", type=Path, required=True, metavar="DIR", help="checkpoints, to go on after a kill"
    )
    hold_out.set_defaults(command=_hold_out)


def _hold_out(options: argparse.Namespace) -> int:
    from dataclasses import replace

    from ml.training.config import load_config
    from ml.training.hold_out import hold_out

    try:
        config = load_config(options.config, epochs=options.epochs)
        if options.seed is not None:
            config = replace(config, seed=options.seed)
        figures = hold_out(
            config,
            data=options.data,
            left_out=options.leave_out,
            positive=options.positive,
            control=options.control,
            keep_training=options.keep_training,
            work=options.work,
        )
    except (FileNotFoundError, ValueError) as error:
        log.info("hold-out refused", exc_info=True)
        return stop(error)
    print(json.dumps(figures, indent=2))
    return ANSWERED
