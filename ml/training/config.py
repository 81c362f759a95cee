"""One file says what a model is: labels, sources, network, augmentation, resampling, schedule."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

CONFIGS = Path(__file__).parent / "configs"
DEFAULT = CONFIGS / "covid3.json"


@dataclass(frozen=True)
class Network:
    """See `ml.training.network.build_network`."""

    stem: int
    widths: list[int]
    blocks: list[int]
    dropout: float


@dataclass(frozen=True)
class Augmentation:
    """The largest change of each kind; every image draws its own, evenly, from both sides of no change.

    There is no left-right flip: the heart lies left, and a flipped film shows either another person or a
    fault that a reader must be told of. `shift` and `zoom` are shares of the side; `gamma` is the natural
    logarithm of the exponent; `blur` is the largest weight of the 3 x 3 mean; `noise` the largest standard
    deviation in 0..1.

    The others break what tells one hospital from another and is no sign of disease. `local_contrast`: the
    largest weight of the difference from the surroundings' mean, added or taken away (an equalised or a
    flat film). `low_resolution`: the share of images that are shrunk to between a half and the whole of
    their side and enlarged again. `jpeg`: the share of images compressed anew, at quality 25 to 95.
    `border`: the largest width of a frame of one grey on each side, as a share of the side; each side has
    one in half of the images. `patches`: how many rectangles of one grey are laid near the corners, where
    letters and markers stand.
    """

    rotation_degrees: float = 0.0
    shift: float = 0.0
    zoom: float = 0.0
    gamma: float = 0.0
    blur: float = 0.0
    noise: float = 0.0
    local_contrast: float = 0.0
    low_resolution: float = 0.0
    jpeg: float = 0.0
    border: float = 0.0
    patches: int = 0


@dataclass(frozen=True)
class Schedule:
    """Epochs and step sizes. The rate warms up linearly, then falls by a half cosine to zero at the last
    epoch.

    `patience`: epochs without a better validation loss before training stops.
    """

    epochs: int
    batch: int
    learning_rate: float
    warm_up_epochs: int = 0
    weight_decay: float = 0.0
    patience: int = 5


@dataclass(frozen=True)
class Config:
    """What `configs/*.json` holds.

    `labels`: code to display name, in the order of the network's outputs. `sources`: importers to train on
    (of one image in two sources the first one's copy stays). `unseen_source`: never trained on, measured at
    the end, or null. `resampling`: how many images an epoch draws from each "label/source" of the training
    split; a stratum it does not name is drawn once each. `relabel`: a publisher's finding to the label that
    it is taken for (`SARS` to `viral_pneumonia`); a finding that is no label and not named here is not used.
    `limits`: what the card tells every reader of this model.
    """

    labels: dict[str, str]
    sources: list[str]
    size: int
    network: Network
    schedule: Schedule
    seed: int
    augmentation: Augmentation = field(default_factory=Augmentation)
    resampling: dict[str, int] = field(default_factory=dict)
    relabel: dict[str, str] = field(default_factory=dict)
    unseen_source: str | None = None
    limits: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """As plain data, for the card and for comparing an interrupted run with its continuation."""
        return asdict(self)


def load_config(path: Path = DEFAULT, *, epochs: int | None = None) -> Config:
    """Read a configuration. Raises ValueError that names an unknown or missing field."""
    document = json.loads(path.read_text(encoding="utf-8"))
    try:
        schedule = document["schedule"] | ({} if epochs is None else {"epochs": epochs})
        parts = {
            "network": _part(Network, document["network"]),
            "augmentation": _part(Augmentation, document.get("augmentation", {})),
            "schedule": _part(Schedule, schedule),
        }
        config = _part(Config, document | parts)
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path.name} is not a training configuration: {error}.") from error
    if len(config.labels) < 2:
        raise ValueError(f"{path.name} names fewer than two labels.")
    strangers = set(config.relabel.values()) - set(config.labels)
    if strangers:
        raise ValueError(f"{path.name} takes findings for what is no label: {', '.join(sorted(strangers))}.")
    return config


def _part(kind: type[Any], document: dict[str, Any]) -> Any:
    unknown = set(document) - {entry.name for entry in fields(kind)}
    if unknown:
        raise ValueError(
            f"The configuration names what this version does not know: {', '.join(sorted(unknown))}."
        )
    return kind(**document)
