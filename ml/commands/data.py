"""`python -m ml data`."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from ml.commands.common import ANSWERED, stop

if TYPE_CHECKING:
    from ml.commands.common import Commands

log = logging.getLogger("ml")


def add_parser(commands: Commands) -> None:
    """Add the command to the parser of `python -m ml`."""
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
        return stop(error)
    write_manifest(manifest, out)
    report = write_report(manifest, root, folder)
    print(f"Written: {out}, {len(manifest)} images\nWritten: {report}")
    return ANSWERED
