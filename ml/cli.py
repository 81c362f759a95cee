"""The commands of `python -m ml`. Each imports what it needs when it is called, so that `predict` starts
fast.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from ml.serving import ServedModel

log = logging.getLogger("ml")

# Every file was answered, by a result or by a refusal with its reason.
ANSWERED = 0
# At least one file could not be answered because of a fault that is not the image's.
FAULT = 1
# Nothing was tried: wrong arguments, no model, no data.
UNUSABLE = 2

HEAT_MAP_SIZE = (224, 224)
NEUTRAL_REASON = "This file could not be analysed because of an internal error. The log has the details."


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
    parser = argparse.ArgumentParser(prog="python -m ml", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

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
        "--work",
        type=Path,
        metavar="DIR",
        help="checkpoints, from which the same command goes on after a kill (default: var/training/<out>)",
    )
    train.set_defaults(command=_train)

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

    evaluate = commands.add_parser("evaluate", help="measure a model again on the split stored with it")
    evaluate.add_argument("model", type=Path, metavar="MODEL", help="a model folder")
    evaluate.add_argument("--data", type=Path, required=True, metavar="DIR")
    evaluate.add_argument("--json", action="store_true", help="all figures as one JSON object")
    evaluate.add_argument("--runtime", choices=["onnx", "keras"], default="onnx")
    evaluate.set_defaults(command=_evaluate)

    data = commands.add_parser("data", help="list, hash and show the images of a data folder")
    tasks = data.add_subparsers(required=True, metavar="TASK")
    build = tasks.add_parser("build", help="write the manifest of all images, and a report on them")
    build.add_argument(
        "--data",
        type=Path,
        required=True,
        metavar="DIR",
        help="a folder that holds the publishers' folders, one with a folder for each class, or a CSV table "
        "(path,label[,patient,source,view,age,sex,split])",
    )
    build.add_argument("--out", type=Path, required=True, metavar="FILE", help="manifest.parquet")
    build.add_argument(
        "--report", type=Path, metavar="DIR", help="report.html and its pictures (default: <out>-report)"
    )
    build.set_defaults(command=_data_build)

    predict = commands.add_parser(
        "predict",
        help="ask a model about files",
        epilog="Exit code: 0 every file was answered (ok or refused), 1 at least one met an error, "
        "2 nothing could be tried.",
    )
    predict.add_argument(
        "paths",
        type=Path,
        nargs="+",
        metavar="PATH",
        help="a file, or a folder: then its files, not hidden ones",
    )
    predict.add_argument("--json", action="store_true", help="one JSON object a line for each file")
    predict.add_argument(
        "--heatmap-dir",
        type=Path,
        metavar="DIR",
        help="write each heat map as <stem>.npy: float32 224 x 224, 0..1, over the image stretched square",
    )
    predict.add_argument(
        "--model", type=Path, metavar="FOLDER", help="default: $CXR_MODEL_DIR, else the newest in ml/zoo"
    )
    predict.add_argument("--runtime", choices=["onnx", "keras"], default="onnx")
    predict.set_defaults(command=_predict)
    return parser


def _stop(reason: object) -> int:
    print(reason, file=sys.stderr)
    return UNUSABLE


def _data_build(options: argparse.Namespace) -> int:
    from ml.data.manifest import add_hashes, find_images, write_manifest
    from ml.data.report import write_report

    out: Path = options.out
    folder = options.report or out.with_name(f"{out.stem}-report")
    try:
        images, root = find_images(options.data)
        manifest = add_hashes(images, root)
    except (FileNotFoundError, ValueError) as error:
        log.info("the manifest cannot be built", exc_info=True)
        return _stop(error)
    write_manifest(manifest, out)
    report = write_report(manifest, root, folder)
    print(f"Written: {out}, {len(manifest)} images\nWritten: {report}")
    return ANSWERED


def _train(options: argparse.Namespace) -> int:
    from ml.training.config import DEFAULT, load_config
    from ml.training.train import train

    out = options.out.absolute()
    work = options.work or Path("var") / "training" / out.name
    try:
        config = load_config(options.config or DEFAULT, epochs=options.epochs)
        folder = train(config, data=options.data, out=out, work=work)
    except (FileNotFoundError, FileExistsError, ValueError) as error:
        log.info("training refused", exc_info=True)
        return _stop(error)
    print(_summary(json.loads((folder / "card.json").read_text(encoding="utf-8"))["metrics"]))
    print(f"Written: {options.out}")
    return ANSWERED


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
            work=options.work,
        )
    except (FileNotFoundError, ValueError) as error:
        log.info("hold-out refused", exc_info=True)
        return _stop(error)
    print(json.dumps(figures, indent=2))
    return ANSWERED


def _evaluate(options: argparse.Namespace) -> int:
    from ml.evaluation.evaluate import DataDiffersError, evaluate

    try:
        model = _load(options.model, options.runtime)
        figures = evaluate(model, options.model, options.data)
    except (UnusableError, DataDiffersError) as error:
        return _stop(error)
    if options.json:
        print(json.dumps({"model": _identity(model), "metrics": figures}, indent=2))
    else:
        print(f"{model.name} {model.version}\n{_summary(figures)}")
    return ANSWERED


def _summary(figures: dict[str, Any]) -> str:
    test = figures["test"]
    lines = [
        f"Test split: accuracy {_share(test['accuracy'])}, balanced accuracy {test['balanced_accuracy']}"
    ]
    lines += [_class_line(code, entry, "auroc_against_the_rest") for code, entry in test["classes"].items()]
    if "unseen_source" in figures:
        unseen = figures["unseen_source"]
        lines.append(f"Never seen in training: {', '.join(unseen['sources'])}, {unseen['images']} images")
        lines += [
            _class_line(code, entry, "auroc_against_other_findings")
            for code, entry in unseen["classes"].items()
        ]
    return "\n".join(lines)


def _class_line(code: str, entry: dict[str, Any], area: str) -> str:
    sensitivity, specificity = _share(entry["sensitivity"]), _share(entry["specificity"])
    low, high = entry[area]["interval_95"] or (None, None)
    curve = f"AUROC {entry[area]['value']} ({low} to {high})"
    return f"  {code}: sensitivity {sensitivity}, specificity {specificity}, {curve}"


def _share(entry: dict[str, Any]) -> str:
    if entry["value"] is None:
        return "not measured"
    low, high = entry["interval_95"]
    return f"{entry['value']:.3f} ({low:.3f} to {high:.3f}; {entry['correct']}/{entry['total']})"


class UnusableError(Exception):
    """No model can be loaded; the text is for the person at the shell."""


def _load(folder: Path | None, runtime: str) -> ServedModel:
    from ml.serving import ModelIntegrityError, default_model_folder, load_model

    try:
        return load_model(folder or default_model_folder(), runtime)
    except ModelIntegrityError as error:
        raise UnusableError(f"The model is refused. {error}") from error
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UnusableError(
            f"No model found: {folder or error}. A model is a folder with a card.json."
        ) from error


def _identity(model: ServedModel) -> dict[str, str]:
    return {"name": model.name, "version": model.version, "sha256": model.sha256}


def _predict(options: argparse.Namespace) -> int:
    try:
        model = _load(options.model, options.runtime)
    except UnusableError as error:
        return _stop(error)
    files = list(_files(options.paths))
    if not files:
        return _stop("There is no file in what was given.")
    if options.heatmap_dir:
        options.heatmap_dir.mkdir(parents=True, exist_ok=True)
    names = UniqueNames()
    fault = False
    for file in files:
        answer, heat = predict_file(model, file)
        if heat is not None and options.heatmap_dir:
            try:
                answer["heatmap"] = str(_write_heat_map(heat, options.heatmap_dir, names.take(file.stem)))
            except OSError:
                log.exception("The heat map of %s could not be written", file)
                answer = {**_answer(model, file, "error"), "reason": "The heat map could not be written."}
        fault = fault or answer["status"] == "error"
        print(json.dumps(answer) if options.json else _row(answer), flush=True)
    return FAULT if fault else ANSWERED


def _files(paths: list[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(
                entry for entry in path.iterdir() if entry.is_file() and not entry.name.startswith(".")
            )
        else:
            yield path


def _answer(model: ServedModel, file: Path, status: str) -> dict[str, Any]:
    return {
        "file": str(file),
        "status": status,
        "reason": None,
        "label": None,
        "probabilities": None,
        "model": _identity(model),
    }


def predict_file(model: ServedModel, file: Path) -> tuple[dict[str, Any], np.ndarray | None]:
    """One file's line, and its heat map (float32 224 x 224) when it was analysed. Raises nothing for a bad
    file.

    Keys: `file`, `status` (`ok` | `refused` | `error`), `reason`, `label` (a class code), `probabilities`
    (class code to 0..1), `model`. The codes are those of the model's card, which also has their names for
    display.
    """
    from ml.imaging import ImageRefused, load_image
    from ml.serving import heat_map

    answer = _answer(model, file, "ok")
    try:
        output = model.predict(load_image(file).pixels)
        heat = heat_map(output.maps, model.labels.index(output.label), HEAT_MAP_SIZE)
    except ImageRefused as refusal:
        return {**answer, "status": "refused", "reason": str(refusal)}, None
    except FileNotFoundError:
        return {**answer, "status": "error", "reason": "There is no file with this name."}, None
    except PermissionError:
        return {**answer, "status": "error", "reason": "This file may not be read by this account."}, None
    except Exception:
        log.exception("%s could not be analysed", file)
        return {**answer, "status": "error", "reason": NEUTRAL_REASON}, None
    return {**answer, "label": output.label, "probabilities": output.probabilities}, heat


class UniqueNames:
    """File names for stems that may repeat: `a`, then `a-2`, `a-3`; also apart where the file system folds
    case.
    """

    def __init__(self) -> None:
        self.taken: set[str] = set()

    def take(self, stem: str) -> str:
        """A name that this object has not given before."""
        name, number = stem, 1
        while name.casefold() in self.taken:
            number += 1
            name = f"{stem}-{number}"
        self.taken.add(name.casefold())
        return name


def _write_heat_map(heat: np.ndarray, folder: Path, name: str) -> Path:
    import numpy as np

    path = folder / f"{name}.npy"
    np.save(path, heat)
    return path


def _row(answer: dict[str, Any]) -> str:
    if answer["status"] != "ok":
        return f"{answer['file']}  {answer['status']}: {answer['reason']}"
    scores = ", ".join(f"{code} {value:.3f}" for code, value in answer["probabilities"].items())
    return f"{answer['file']}  {answer['label']} ({scores})"
