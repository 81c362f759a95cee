"""`python -m ml train`."""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from ml.commands.common import ANSWERED, stop, summary

if TYPE_CHECKING:
    from ml.commands.common import Commands

log = logging.getLogger("ml")


def add_parser(commands: Commands) -> None:
    """Add the command to the parser of `python -m ml`."""
    train = commands.add_parser("train", help="train a model and write its folder")
    train.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="folder that holds the publishers' folders"
    )
    train.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="FOLDER",
        help="ml/zoo/<name>-<version>; must not exist yet",
    )
    train.add_argument("--config", type=Path, metavar="FILE", help="default: ml/training/configs/covid3.json")
    train.add_argument("--epochs", type=int, metavar="N", help="instead of the configuration's")
    train.add_argument(
        "--start-from",
        type=Path,
        metavar="FOLDER",
        help="a model folder whose weights to begin with; refused if it learnt from what would be the test",
    )
    train.add_argument(
        "--work",
        type=Path,
        metavar="DIR",
        help="checkpoints, from which the same command goes on after a kill (default: var/training/<out>)",
    )
    train.set_defaults(command=_train)


def _train(options: argparse.Namespace) -> int:
    from ml.training.config import DEFAULT, load_config
    from ml.training.train import train

    out = options.out.absolute()
    work = options.work or Path("var") / "training" / out.name
    try:
        config = load_config(options.config or DEFAULT, epochs=options.epochs)
        folder = train(config, data=options.data, out=out, work=work, start_from=options.start_from)
    except (FileNotFoundError, FileExistsError, ValueError) as error:
        log.info("training refused", exc_info=True)
        return stop(error)
    print(summary(json.loads((folder / "card.json").read_text(encoding="utf-8"))))
    print(f"Written: {options.out}")
    return ANSWERED
