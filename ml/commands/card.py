"""`python -m ml card`: measure a finished model folder again and write its card, page and pictures anew."""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml.commands.common import ANSWERED, UnusableError, load, stop, summary

if TYPE_CHECKING:
    from ml.commands.common import Commands
    from ml.serving import ServedModel

log = logging.getLogger("ml")


def add_parser(commands: Commands) -> None:
    """Add the command to the parser of `python -m ml`."""
    card = commands.add_parser(
        "card",
        help="measure a model folder, its bias and its maps, and write card.json, README.md and plots anew",
        epilog="The sha256 of card.json names the model: for the portal it is another model afterwards.",
    )
    card.add_argument("model", type=Path, metavar="FOLDER", help="a model folder")
    card.add_argument("--data", type=Path, required=True, metavar="DIR")
    card.add_argument(
        "--hold-out",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="what `python -m ml hold-out` printed, a file for each run (default: those in the card stay)",
    )
    card.add_argument(
        "--keep",
        choices=sorted(MORE),
        action="append",
        default=[],
        help="do not measure this again, leave it as the card has it; may be repeated",
    )
    card.set_defaults(command=_card)


def _bias(model: ServedModel, folder: Path, data: Path) -> dict[str, Any]:
    from ml.data.split import TEST, load_split
    from ml.evaluation.bias import measure_bias
    from ml.serving.folder import SPLIT

    rows = load_split(folder / SPLIT)
    return measure_bias(model, rows[rows["split"] == TEST], data)


def _explanation(model: ServedModel, folder: Path, data: Path) -> dict[str, Any]:
    from ml.explanation.score import score_maps

    figures = score_maps(model, folder, data)
    # What `python -m ml explain-score` lists for each case would be most of the card. The map that scores best is served.
    return {key: value for key, value in figures.items() if key != "per_case"} | {"served": figures["best"]}


MORE = {"bias": _bias, "explanation": _explanation}


def _card(options: argparse.Namespace) -> int:
    from ml.evaluation.card import rewrite
    from ml.evaluation.evaluate import CARD_FORMAT, DataDiffersError
    from ml.evaluation.parity import RuntimesDifferError

    try:
        if load(options.model, "onnx").card["format"] != CARD_FORMAT:
            return stop(
                "This model was made by an earlier version, which stored no temperature. Train it again."
            )
        hold_out = [_hold_out(file) for file in options.hold_out]
        more = {name: function for name, function in MORE.items() if name not in options.keep}
        card = rewrite(options.model.absolute(), options.data, more=more, hold_out=hold_out)
    except (UnusableError, DataDiffersError, RuntimesDifferError, FileNotFoundError, ValueError) as error:
        log.info("card refused", exc_info=True)
        return stop(error)
    print(f"{card['name']} {card['version']}\n{summary(card)}\nWritten: {options.model}")
    return ANSWERED


def _hold_out(file: Path) -> dict[str, Any]:
    """The figures of one run. Raises FileNotFoundError, or ValueError for a file that holds something else."""
    try:
        figures = json.loads(file.read_text(encoding="utf-8"))
        if {"protocol", "auroc"} <= set(figures):
            return dict(figures)
    except (TypeError, json.JSONDecodeError):
        pass
    raise ValueError(f"{file} is not what `python -m ml hold-out` prints.")
