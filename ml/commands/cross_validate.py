"""`python -m ml cross-validate`."""

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
    parser = commands.add_parser(
        "cross-validate", help="train and test on folds of one published set; writes no model"
    )
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    parser.add_argument("--config", type=Path, required=True, metavar="FILE")
    parser.add_argument("--source", required=True, metavar="SOURCE", help="the set, such as darkcovidnet")
    parser.add_argument("--folds", type=int, default=5, metavar="N")
    parser.add_argument(
        "--protocol",
        choices=["published", "grouped", "both"],
        default="both",
        help="folds of single images, or of whole groups of near-twins and patients",
    )
    parser.add_argument(
        "--start-from",
        type=Path,
        metavar="WORK",
        help="the --work folder of a `hold-out --leave-out SOURCE` run: its weights are the first ones",
    )
    parser.add_argument("--epochs", type=int, metavar="N", help="instead of the configuration's")
    parser.add_argument(
        "--work", type=Path, required=True, metavar="DIR", help="finished folds, to go on after a kill"
    )
    parser.add_argument("--json", action="store_true", help="all figures as one JSON object")
    parser.set_defaults(command=_cross_validate)


def _cross_validate(options: argparse.Namespace) -> int:
    from ml.training.config import load_config
    from ml.training.cross_validate import PROTOCOLS, cross_validate

    try:
        figures = cross_validate(
            load_config(options.config, epochs=options.epochs),
            data=options.data,
            source=options.source,
            folds=options.folds,
            work=options.work,
            protocols=PROTOCOLS if options.protocol == "both" else (options.protocol,),
            start_from=options.start_from,
        )
    except (FileNotFoundError, ValueError) as error:
        log.info("cross-validation refused", exc_info=True)
        return stop(error)
    if options.json:
        print(json.dumps(figures, indent=2))
        return ANSWERED
    for protocol in PROTOCOLS:
        if protocol in figures:
            entry = figures[protocol]
            pooled = entry["pooled"]["accuracy"]
            low, high = pooled["interval_95"]
            parted = entry["seen_in_training"]["images_with_a_group_in_another_fold"]
            print(
                f"{protocol}: accuracy {entry['mean_accuracy']:.4f} over {options.folds} folds (deviation "
                f"{entry['standard_deviation']:.4f}); pooled {pooled['correct']}/{pooled['total']}, {low:.4f} to "
                f"{high:.4f}; {parted} images with a twin or their patient in training; {entry['minutes']} minutes"
            )
    return ANSWERED
