"""`python -m ml gate`: train, measure and study the input gate."""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml.commands.common import ANSWERED, stop

if TYPE_CHECKING:
    from ml.commands.common import Commands

log = logging.getLogger("ml")


def add_parser(commands: Commands) -> None:
    """Add the command to the parser of `python -m ml`."""
    gate = commands.add_parser("gate", help="the check that an image is one upright frontal chest X-ray")
    parts = gate.add_subparsers(required=True, metavar="COMMAND")
    train = parts.add_parser("train", help="train a gate and write its folder")
    train.add_argument("--data", type=Path, required=True, metavar="DIR")
    train.add_argument(
        "--out", type=Path, required=True, metavar="FOLDER", help="for example ml/zoo/gate-1.1.0"
    )
    train.add_argument(
        "--negatives", type=Path, metavar="DIR", help="images that are no frontal chest X-ray, to learn from"
    )
    train.add_argument("--steps", type=int, metavar="N", help="batches; default: as the committed gate")
    train.set_defaults(command=_train)
    evaluate = parts.add_parser("evaluate", help="how much a gate refuses, rightly and wrongly")
    evaluate.add_argument(
        "gate", type=Path, nargs="?", metavar="GATE", help="default: the one in ml/zoo/default.json"
    )
    evaluate.add_argument("--data", type=Path, required=True, metavar="DIR")
    evaluate.add_argument(
        "--negatives",
        type=Path,
        metavar="DIR",
        help="images that are no frontal chest X-ray, in folders by kind",
    )
    evaluate.add_argument("--json", action="store_true", help="all figures as one JSON object")
    evaluate.set_defaults(command=_evaluate)
    hold_out = parts.add_parser(
        "hold-out",
        help="train without each source and without some kinds, and measure on those; writes no gate",
    )
    hold_out.add_argument("--data", type=Path, required=True, metavar="DIR")
    hold_out.add_argument(
        "--source", action="append", metavar="SOURCE", help="only this fold; may be repeated"
    )
    hold_out.add_argument("--steps", type=int, metavar="N", help="batches; default: as the committed gate")
    hold_out.set_defaults(command=_hold_out)


def _train(options: argparse.Namespace) -> int:
    from ml.gate.train import train_gate

    steps = {} if options.steps is None else {"steps": options.steps}
    try:
        folder = train_gate(options.data, options.out, negatives=options.negatives, **steps)
    except (FileExistsError, FileNotFoundError, ValueError) as error:
        log.info("gate train refused", exc_info=True)
        return stop(error)
    print(folder)
    return ANSWERED


def _evaluate(options: argparse.Namespace) -> int:
    from ml.gate.evaluate import DataDiffersError, evaluate_gate, held_out_rows
    from ml.serving import ModelIntegrityError, default_gate_folder, load_gate

    try:
        folder = options.gate or default_gate_folder()
        figures = evaluate_gate(load_gate(folder), held_out_rows(folder), options.data, options.negatives)
    except (FileNotFoundError, ModelIntegrityError, DataDiffersError) as error:
        log.info("gate evaluate refused", exc_info=True)
        return stop(error)
    print(json.dumps(figures, indent=2) if options.json else "\n".join(_lines(figures)))
    return ANSWERED


def _hold_out(options: argparse.Namespace) -> int:
    from ml.gate.hold_out import FOLDS, hold_out_gates

    unknown = set(options.source or []) - set(FOLDS)
    if unknown:
        return stop(f"No such source: {', '.join(sorted(unknown))}. There are: {', '.join(FOLDS)}.")
    steps = {} if options.steps is None else {"steps": options.steps}
    try:
        figures = hold_out_gates(options.data, sources=options.source, **steps)
    except (FileNotFoundError, ValueError) as error:
        log.info("gate hold-out refused", exc_info=True)
        return stop(error)
    print(json.dumps(figures, indent=2))
    return ANSWERED


def _lines(figures: dict[str, Any]) -> list[str]:
    frontal = figures["frontal"]
    shipped = figures["shipped_with_packages"]
    return [
        f"Frontal chest X-rays wrongly refused: {_share(frontal['all']['refused'])}",
        *(f"  {source}: {_share(entry)}" for source, entry in frontal["by_source"].items()),
        f"Drawn chests refused: {_share(figures['phantom']['refused'])}",
        f"Other pictures refused: {_share(figures['other_than_frontal']['refused'])}",
        *(f"  {kind}: {_share(entry['refused'])}" for kind, entry in figures["kinds"].items()),
        f"Files that packages ship refused: {_share(shipped['refused'])}",
        *(f"  {name}: {_share(entry['refused'])}" for name, entry in figures.get("negatives", {}).items()),
    ]


def _share(entry: dict[str, Any]) -> str:
    if entry["value"] is None:
        return "none measured"
    low, high = entry["interval_95"]
    return f"{entry['value']:.4f} ({low:.4f} to {high:.4f}; {entry['correct']}/{entry['total']})"
