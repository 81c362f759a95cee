"""Put the trained model that the workers serve on record, and make it the active one."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from diagnosis import inference
from diagnosis.models import ModelVersion
from diagnosis.services.accounts import system_user
from diagnosis.services.model_versions import model_version_activate, model_version_register


class Command(BaseCommand):
    help = "Register the model in CXR_MODEL_DIR and make it the active one. Safe to run twice."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            model = inference.served_model()
            model_version = model_version_register(
                actor=system_user(),
                name=model.name,
                version=model.version,
                sha256=model.sha256,
                labels=model.card["labels"],
                card=model.card,
                files=inference.served_files(),
            )
        except (inference.ModelIntegrityError, OSError, ValueError) as error:
            raise CommandError(str(error)) from error
        if not ModelVersion.objects.filter(is_active=True, pk=model_version.pk).exists():
            model_version_activate(
                actor=system_user(), model_version=model_version, reason="Configured by CXR_MODEL_DIR."
            )
        self.stdout.write(f"{model_version} gives the second opinion.")
