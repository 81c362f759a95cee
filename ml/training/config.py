"""One file says what a model is: labels, sources, network, augmentation, resampling, schedule."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

CONFIGS = Path(__file__).parent / "configs"
DEFAULT = CONFIGS / "covid3.json"
KEPT = ("best", "last")
BALANCES = ("resampled", "balanced_batches", "class_weights")


@dataclass(frozen=True)
class Network:
    """See `ml.training.network.build_network`."""

    stem: int
    widths: list[int]
    blocks: list[int]
    dropout: float
    style_mixing: float = 0.0


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
    letters and markers stand. `other_surroundings`: the share of images that show their lungs in the
    surroundings of another image of the batch, whatever its class, so that what lies outside the lungs tells
    nothing (Xiao et al. 2020, "Noise or signal: the role of image backgrounds in object recognition").
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
    other_surroundings: float = 0.0

    @property
    def moves(self) -> Augmentation:
        """What of it moves the image, and so moves an outline of it."""
        return Augmentation(rotation_degrees=self.rotation_degrees, shift=self.shift, zoom=self.zoom)


@dataclass(frozen=True)
class Schedule:
    """Epochs and step sizes. The rate warms up linearly, then falls by a half cosine to zero at the last
    epoch.

    `patience`: epochs without a better validation loss before training stops. `keep`: the weights of the `best` epoch
    by validation loss, or of the `last`, for a rate that falls to nothing: its last epochs are the surest of
    themselves, which costs loss and is mended by the temperature. `mixed_precision`: compute in
    bfloat16 and keep the weights in float32; 1.4 times as fast on a CPU with AVX-512 BF16. `small_size`,
    `small_epochs`: the first epochs train on squares of this size, which cost less; validation, and what
    follows, see the whole size. `outside_lungs`: what the loss adds for evidence outside the lungs, see
    `ml.training.fit.evidence_outside`.
    """

    epochs: int
    batch: int
    learning_rate: float
    warm_up_epochs: int = 0
    weight_decay: float = 0.0
    patience: int = 5
    mixed_precision: bool = False
    small_size: int = 0
    small_epochs: int = 0
    outside_lungs: float = 0.0
    keep: str = "best"


@dataclass(frozen=True)
class Config:
    """What `configs/*.json` holds.

    `labels`: code to display name, in the order of the network's outputs. `sources`: importers to train on
    (of one image in two sources the first one's copy stays). `unseen_source`: never trained on, measured at
    the end, or null. `resampling`: how many images an epoch draws from each "label/source" of the training
    split; a stratum it does not name is drawn once each. `balance`: how uneven strata are met, see
    `ml.training.resampling`. `relabel`: a publisher's finding to the label that
    it is taken for (`SARS` to `viral_pneumonia`); a finding that is no label and not named here is not used.
    `auxiliary`: further codes that training tells apart and the finished model does not name: other diseases of
    the same hospitals, which a network that knows only the hospital cannot tell from the disease in question.
    `test_only`: sources whose images, and all their near-twins and patients, are never trained on. `limits`: what
    the card tells every reader of this model.
    """

    labels: dict[str, str]
    sources: list[str]
    size: int
    network: Network
    schedule: Schedule
    seed: int
    augmentation: Augmentation = field(default_factory=Augmentation)
    resampling: dict[str, int] = field(default_factory=dict)
    balance: str = "resampled"
    relabel: dict[str, str] = field(default_factory=dict)
    auxiliary: dict[str, str] = field(default_factory=dict)
    test_only: list[str] = field(default_factory=list)
    unseen_source: str | None = None
    limits: list[str] = field(default_factory=list)

    @property
    def needs_lungs(self) -> bool:
        """Whether training asks where the lungs are."""
        return bool(self.augmentation.other_surroundings or self.schedule.outside_lungs)

    @property
    def classes(self) -> list[str]:
        """What training tells apart: the labels in the order of the network's outputs, then the auxiliary codes."""
        return [*self.labels, *self.auxiliary]

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
    if config.schedule.keep not in KEPT:
        raise ValueError(f"{path.name}: keep must be one of {', '.join(KEPT)}, not {config.schedule.keep}.")
    if config.balance not in BALANCES:
        raise ValueError(f"{path.name}: balance must be one of {', '.join(BALANCES)}, not {config.balance}.")
    twice = set(config.labels) & set(config.auxiliary)
    if twice:
        raise ValueError(f"{path.name} has as label and as auxiliary: {', '.join(sorted(twice))}.")
    strangers = set(config.relabel.values()) - set(config.classes)
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
