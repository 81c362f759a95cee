"""What the commands share: exit codes, loading a model, and how its figures read on a screen."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ml.serving import Gate, ServedModel

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

# Every file was answered, by a result or by a refusal with its reason.
ANSWERED = 0
# At least one file could not be answered because of a fault that is not the image's.
FAULT = 1
# Nothing was tried: wrong arguments, no model, no data.
UNUSABLE = 2


class UnusableError(Exception):
    """No model can be loaded; the text is for the person at the shell."""


def stop(reason: object) -> int:
    """Say why nothing could be tried, and give the exit code for it."""
    print(reason, file=sys.stderr)
    return UNUSABLE


def load(folder: Path | None, runtime: str) -> ServedModel:
    """The model in `folder`, else the one served by default. Raises UnusableError."""
    from ml.serving import ModelIntegrityError, default_model_folder, load_model

    try:
        return load_model(folder or default_model_folder(), runtime)
    except ModelIntegrityError as error:
        raise UnusableError(f"The model is refused. {error}") from error
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UnusableError(
            f"No model found: {folder or error}. A model is a folder with a card.json."
        ) from error


def files_in(paths: list[Path]) -> Iterator[Path]:
    """The files given, and those of the folders given; not hidden ones."""
    for path in paths:
        if path.is_dir():
            yield from sorted(
                entry for entry in path.iterdir() if entry.is_file() and not entry.name.startswith(".")
            )
        else:
            yield path


def load_default_gate() -> Gate:
    """The gate served by default. Raises UnusableError."""
    from ml.serving import ModelIntegrityError, load_gate

    try:
        return load_gate()
    except ModelIntegrityError as error:
        raise UnusableError(f"The gate is refused. {error}") from error
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UnusableError(f"No gate found: {error}. A gate is a folder with a card.json.") from error


def identity(model: ServedModel) -> dict[str, str]:
    """What names a model in every output: `name`, `version`, `sha256`."""
    return {"name": model.name, "version": model.version, "sha256": model.sha256}


def summary(card: dict[str, Any]) -> str:
    """The measured blocks of a card in a few lines for a person."""
    figures, calibration, conformal = card["metrics"], card["calibration"], card["conformal"]["test"]
    test = figures["test"]
    lines = [
        f"Test split: accuracy {_share(test['accuracy'])}, balanced accuracy {test['balanced_accuracy']}"
    ]
    lines += [_class_line(code, entry, "auroc_against_the_rest") for code, entry in test["classes"].items()]
    before, after = (calibration["test"][when]["expected_calibration_error"] for when in ("before", "after"))
    lines.append(
        f"  expected calibration error {after} (before temperature scaling with "
        f"{calibration['temperature']:.3f}: {before})"
    )
    lines += [
        f"  {point['label']} above {point['threshold']:.4f} (chosen on validation for a {point['aim']} of "
        f"{point['at_least']}): sensitivity {_share(point['test']['sensitivity'])}, specificity "
        f"{_share(point['test']['specificity'])}"
        for point in card["operating_points"]
    ]
    lines.append(
        f"  unsure of {_share(conformal['unsure'])}; right where sure {_share(conformal['accuracy_where_sure'])}; "
        f"true label possible {_share(conformal['coverage'])}"
    )
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
