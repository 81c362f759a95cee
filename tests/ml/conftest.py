"""Drawn data in the publishers' layouts, a model trained on them, and the committed model."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ml.cli import main
from ml.serving import ServedModel, default_model_folder, load_model

REPOSITORY = Path(__file__).resolve().parents[2]
SIDE = 48
TINY = {
    "labels": {"covid19": "COVID-19", "viral_pneumonia": "Viral Pneumonia", "normal": "Normal"},
    "sources": ["chest_xray", "radiography_database"],
    "unseen_source": "covid_chestxray",
    "seed": 7,
    "size": 32,
    "network": {"stem": 4, "widths": [6, 8], "blocks": [1, 1], "dropout": 0.1},
    "augmentation": {
        "rotation_degrees": 5,
        "shift": 0.05,
        "zoom": 0.1,
        "gamma": 0.2,
        "blur": 0.5,
        "noise": 0.02,
    },
    "resampling": {"covid19/radiography_database": 16, "normal/radiography_database": 8},
    "schedule": {"epochs": 2, "batch": 8, "learning_rate": 0.003, "warm_up_epochs": 1, "patience": 5},
    "limits": ["Trained on drawings."],
}


def drawing(seed: int, bright: int = 0) -> np.ndarray:
    """A smooth random picture, uint8 (SIDE, SIDE), unlike that of any other seed; `bright` 0..3 lights up
    a corner.
    """
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(40, 160, (9, 9), dtype=np.uint8))
    picture = np.array(coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC))
    row, column = divmod(bright, 2)
    half = SIDE // 2
    picture[row * half : (row + 1) * half, column * half : (column + 1) * half] |= 64
    return picture


def save(picture: np.ndarray, path: Path, quality: int = 75) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path, quality=quality)
    return path


@pytest.fixture(scope="session")
def drawn_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eighty drawings in the layouts of three publishers, with copies between and inside the sets."""
    data = tmp_path_factory.mktemp("data")
    database, children, hospitals = (
        data / name for name in ("COVID-19_Radiography_Dataset", "chest_xray", "covid-chestxray-dataset")
    )
    for n in range(20):
        save(drawing(n, 0), database / f"COVID/images/COVID-{n}.png")
        save(drawing(100 + n, 1), database / f"Normal/images/Normal-{n}.png")
        save(drawing(200 + n, 1), children / f"train/NORMAL/IM-{n:04d}-0001.jpeg", quality=90)
        save(drawing(300 + n, 2), children / f"train/PNEUMONIA/person{n // 2}_virus_{n}.jpeg", quality=90)
    save(drawing(400, 3), children / "test/PNEUMONIA/person1_bacteria_3.jpeg")
    # One of the children once more in the other set, re-encoded, as the publishers did.
    save(drawing(200, 1), database / "Normal/images/Normal-20.png")
    rows = ["patientid,finding,view,modality,filename"]
    for n in range(6):
        finding = "COVID-19" if n % 2 else "Streptococcus"
        save(drawing(500 + n, 0 if n % 2 else 3), hospitals / f"images/case-{n}.jpg", quality=90)
        rows.append(f"{n},{finding},PA,X-ray,case-{n}.jpeg")
    save(drawing(3, 0), hospitals / "images/seen-before.jpg", quality=80)
    save(drawing(510), hospitals / "images/lateral.jpg")
    rows += [
        "90,COVID-19,AP,X-ray,seen-before.jpg",
        "91,COVID-19,L,X-ray,lateral.jpg",
        "92,COVID-19,PA,X-ray,gone.jpg",
        "93,COVID-19,Axial,CT,slice.jpg",
        "94,todo,PA,X-ray,case-0.jpg",
    ]
    (hospitals / "metadata.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return data


@dataclass(frozen=True)
class Trained:
    """What one run of the training command left behind."""

    folder: Path
    work: Path
    data: Path
    config: Path


@pytest.fixture(scope="session")
def trained(drawn_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A model trained through the command on the drawn data, to the finished folder."""
    place = tmp_path_factory.mktemp("trained")
    config = place / "tiny.json"
    config.write_text(json.dumps(TINY), encoding="utf-8")
    folder, work = place / "zoo" / "tiny-0.1.0", place / "work"
    arguments = ["--data", drawn_data, "--out", folder, "--config", config, "--work", work, "--epochs", "1"]
    assert main(["train", *map(str, arguments)]) == 0
    return Trained(folder, work, drawn_data, config)


@pytest.fixture(scope="session")
def committed() -> Path:
    """The folder of the model that the portal serves by default."""
    return default_model_folder()


@pytest.fixture(scope="session")
def served(committed: Path) -> ServedModel:
    return load_model(committed)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of published images, or a skip that says how to give it."""
    named = os.environ.get("CXR_DATA")
    folder = Path(named) if named else REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no chest X-rays here: set CXR_DATA to the folder that holds the published data sets")
    return folder


@pytest.fixture
def predict_lines(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, list[dict]]]:
    """Run `predict --json` with these arguments: the exit code and the parsed lines."""

    def run(*arguments: object) -> tuple[int, list[dict]]:
        capsys.readouterr()
        code = main(["predict", "--json", *map(str, arguments)])
        return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return run
