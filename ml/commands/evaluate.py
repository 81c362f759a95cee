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
    evaluate.set_defaults(command=_evaluate)


def _evaluate(options: argparse.Namespace) -> int:
    from ml.evaluation.evaluate import DataDiffersError, evaluate

    try:
        model = load(options.model, options.runtime)
        figures = evaluate(model, options.model, options.data)
    except (UnusableError, DataDiffersError) as error:
        return stop(error)
    if options.json:
        print(json.dumps({"model": identity(model), "metrics": figures}, indent=2))
    else:
        print(f"{model.name} {model.version}\n{summary(figures)}")
    return ANSWERED
