"""What the OpenAPI schema says beyond what it reads off views and serializers."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse
from rest_framework import serializers


class TokenScheme(OpenApiAuthenticationExtension):
    target_class = "diagnosis.api.authentication.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "“Token ”, with a space, and the token that `POST /api/v1/auth/token/` gave.",
        }


class ErrorSerializer(serializers.Serializer[Any]):
    """The answer to everything that goes wrong."""

    detail = serializers.CharField(help_text="What happened and what to do, as a sentence.")
    code = serializers.CharField(help_text="The same for a program.")
    errors = serializers.DictField(  # type: ignore[assignment]
        required=False, help_text="Field → sentences, where the request was not accepted."
    )
    error_id = serializers.CharField(
        required=False, help_text="For an administrator, where the fault is on our side."
    )


_DESCRIPTIONS = {
    400: "Not accepted; nothing was changed.",
    401: "No valid token or session.",
    403: "The role does not allow it.",
    404: "No such record, or one of another hospital.",
    409: "The record changed meanwhile, or is not in a state for this.",
    413: "Too large.",
    429: "Too many tries.",
}


def errors(*codes: int) -> dict[int, OpenApiResponse]:
    """The refusals of an operation that needs a login, and these."""
    return {code: OpenApiResponse(ErrorSerializer, _DESCRIPTIONS[code]) for code in sorted({401, *codes})}


def file_of(*media_types: str) -> dict[tuple[int, str], Any]:
    return {(200, media_type): OpenApiTypes.BINARY for media_type in media_types}
