"""Which trained model gives the second opinion."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from django.db import transaction

from diagnosis.models import PICTURE_NAME, AuditAction, ModelPicture, ModelVersion, User
from diagnosis.services.audit import audit_record

PICTURE_FOLDER, PICTURE_SUFFIX = "plots/", ".png"
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
LARGEST_PICTURE = 2 * 1024 * 1024
"""Bytes. A plot of few colours has a hundredth of that."""


@transaction.atomic
def model_version_register(
    *,
    actor: User,
    name: str,
    version: str,
    sha256: str,
    labels: list[dict[str, str]],
    card: dict[str, Any],
    files: Mapping[str, bytes],
) -> ModelVersion:
    """Put a trained model on record with the pictures of its card; the same model again adds only what is missing.

    ``files`` are those of its folder by their names in the card. What the portal shows of a model is what was verified
    here, whatever happens to the folder later. Raises ``ValueError`` when the name and version are on record with other
    contents: a version never changes.
    """
    model_version = ModelVersion.objects.filter(name=name, version=version).first()
    if model_version is None:
        model_version = ModelVersion.objects.create(
            name=name, version=version, sha256=sha256, labels=labels, card=card
        )
        audit_record(
            actor=actor,
            action=AuditAction.MODEL_REGISTERED,
            target=model_version,
            details={"name": name, "version": version, "sha256": sha256},
        )
    elif model_version.sha256 != sha256:
        raise ValueError(
            f"{name} {version} is on record with other contents. Give a changed model a new version."
        )
    for picture in _pictures(model_version, files):
        ModelPicture.objects.get_or_create(
            model_version=model_version,
            name=picture.name,
            defaults={"sha256": picture.sha256, "content": picture.content},
        )
    return model_version


def _pictures(model_version: ModelVersion, files: Mapping[str, bytes]) -> Iterator[ModelPicture]:
    """The plots among ``files``. Raises ``ValueError`` for one that is not the picture that the card names."""
    expected = model_version.card.get("files", {})
    for path, content in files.items():
        if not (path.startswith(PICTURE_FOLDER) and path.endswith(PICTURE_SUFFIX)):
            continue
        name = path.removeprefix(PICTURE_FOLDER).removesuffix(PICTURE_SUFFIX)
        digest = hashlib.sha256(content).hexdigest()
        if not PICTURE_NAME.fullmatch(name):
            raise ValueError(f"{path}: a picture's name holds only lower-case letters, digits, - and _.")
        if digest != expected.get(path) or not content.startswith(PNG_SIGNATURE):
            raise ValueError(f"{path} is not the PNG that the card names.")
        if len(content) > LARGEST_PICTURE:
            raise ValueError(f"{path} is larger than {LARGEST_PICTURE} bytes.")
        yield ModelPicture(model_version=model_version, name=name, sha256=digest, content=content)


@transaction.atomic
def model_version_activate(*, actor: User, model_version: ModelVersion, reason: str) -> ModelVersion:
    """Make this the one model that analyses new images; earlier predictions stay as they are."""
    if model_version.is_active:
        return model_version
    ModelVersion.objects.filter(is_active=True).update(is_active=False)
    ModelVersion.objects.filter(pk=model_version.pk).update(is_active=True)
    model_version.refresh_from_db()
    audit_record(
        actor=actor, action=AuditAction.MODEL_ACTIVATED, target=model_version, details={"reason": reason}
    )
    return model_version
