"""`python -m ml evaluate`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from ml.commands.common import ANSWERED, UnusableError, identity, load, stop, summary

if TYPE_CHECKING:
    from ml.commands.common import Commands


def add_parser(commands: Commands) -> None:
    """Add the command to the parser of `python -m ml`."""
    evaluate = commands.add_parser("evaluate", help="measure a model again on the split stored with it")
    evaluate.add_argument("model", type=Path, metavar="MODEL", help="a model folder")
    evaluate.add_argument("--data", type=Path, required=True, metavar="DIR")
    evaluate.add_argument("--json", action="store_true", help="all figures as one JSON object")
    evaluate.add_argument("--runtime", choices=["onnx", "keras"], default="onnx")
    evaluate.add_argument(
        "--parity",
        type=int,
        default=0,
        metavar="N",
        help="compare both runtimes again, on the first N test images (else the card's figure is given)",
    )
    evaluate.set_defaults(command=_evaluate)


def _evaluate(options: argparse.Namespace) -> int:
    from ml.evaluation.card import parity
    from ml.evaluation.evaluate import CARD_FORMAT, DataDiffersError, ask, evaluate
    from ml.evaluation.parity import RuntimesDifferError

    try:
        model = load(options.model, options.runtime)
        if model.card["format"] != CARD_FORMAT:
            return stop(
                "This model was made by an earlier version, which stored no thresholds. Train it again."
            )
        figures = evaluate(ask(model, options.model, options.data), model.card)
        if options.parity:
            figures["runtime_parity"] = parity(model, options.model, options.data, options.parity)
    except (UnusableError, DataDiffersError, RuntimesDifferError) as error:
        return stop(error)
    if options.json:
        stored = {"runtime_parity": model.card["runtime_parity"]}
        print(json.dumps({"model": identity(model), **stored, **figures}, indent=2))
    else:
        print(f"{model.name} {model.version}\n{summary(figures)}")
    return ANSWERED
