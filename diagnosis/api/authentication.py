"""Who is calling."""

from __future__ import annotations

from django.utils.translation import gettext as _
from knox.auth import TokenAuthentication as KnoxTokenAuthentication
from knox.models import AuthToken
from rest_framework.exceptions import AuthenticationFailed

from diagnosis.models import User


class TokenAuthentication(KnoxTokenAuthentication):
    """Knox's tokens; what cannot be one is refused before it reaches the decoder and the database, which raise on it."""

    def authenticate_credentials(self, token: bytes) -> tuple[User, AuthToken]:
        if not token.isalnum():
            raise AuthenticationFailed(_("Invalid token."))
        user, auth_token = super().authenticate_credentials(token)
        return user, auth_token
