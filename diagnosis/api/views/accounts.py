"""Tokens, and who the caller is."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import get_adapter
from django.core.exceptions import ValidationError as TooManyLogins
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import AuthenticationFailed, NotFound, Throttled
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import AnonRateThrottle
from rest_framework.views import APIView

from diagnosis.api.schema import errors
from diagnosis.api.serializers.accounts import (
    MeSerializer,
    SiteSerializer,
    TokenRequestSerializer,
    TokenSerializer,
)
from diagnosis.api.views.base import ListView, PortalView
from diagnosis.errors import NotPossible
from diagnosis.models import Site, User
from diagnosis.services.tokens import token_issue, token_revoke

# The same sentence whether the account does not exist, is closed, or the password is wrong.
NOT_LOGGED_IN = gettext_lazy("The user name or the password is not right.")


class TokenRequestThrottle(AnonRateThrottle):
    """Bounds what an address may try at all; wrong passwords are counted by the login, whose limits are stricter."""

    scope = "token"
    rate = "30/min"

    def get_ident(self, request: Request) -> str:
        return str(request.META["REMOTE_ADDR"])


class TokenView(PortalView):
    authentication_classes = []
    permission_classes = [AllowAny]
    throttle_classes = [TokenRequestThrottle]
    serializer_class = TokenRequestSerializer

    @extend_schema(
        operation_id="auth_token_create",
        summary="Get a token",
        responses={201: TokenSerializer, **errors(400, 429)},
        tags=["auth"],
    )
    def post(self, request: Request) -> Response:
        """The token is shown once. It expires by itself; `POST /api/v1/auth/logout/` ends it before."""
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        user = self._authenticate(request, serializer.validated_data)
        issued = token_issue(user=user)
        body = {"token": issued.secret, "expiry": issued.token.expiry, "user": user}
        return Response(TokenSerializer(body).data, status=201)

    def get_authenticate_header(self, request: Request) -> str:
        return "Token"

    def _authenticate(self, request: Request, credentials: dict[str, str]) -> User:
        """Through the login's own door, so that page and API count failed logins together."""
        try:
            user = get_adapter(request._request).authenticate(request._request, **credentials)
        except TooManyLogins:
            raise Throttled(
                detail=_("There were too many failed logins. Wait some minutes, then try again.")
            ) from None
        if not isinstance(user, User) or not user.is_active:
            raise AuthenticationFailed(NOT_LOGGED_IN)
        return user


class LogoutView(PortalView):
    serializer_class = None

    @extend_schema(
        operation_id="auth_logout",
        summary="End this token",
        request=None,
        responses={204: None, **errors(400)},
        tags=["auth"],
    )
    def post(self, request: Request) -> Response:
        if request.auth is None:
            raise NotPossible(
                _(
                    "This request was made without a token, so there is none to end. Log out on the page instead."
                )
            )
        token_revoke(actor=self.person, token=request.auth)
        return Response(status=204)


class MeView(PortalView):
    serializer_class = MeSerializer

    @extend_schema(
        operation_id="me",
        summary="Who I am and where I work",
        responses={200: MeSerializer, **errors()},
        tags=["auth"],
    )
    def get(self, request: Request) -> Response:
        user = User.objects.prefetch_related("memberships__site").get(pk=self.person.pk)
        return Response(self.get_serializer(user).data)


class SiteListView(ListView):
    serializer_class = SiteSerializer
    queryset = Site.objects.none()

    @extend_schema(
        operation_id="sites_list",
        summary="My sites",
        responses={200: SiteSerializer(many=True), **errors(400)},
        tags=["sites"],
    )
    def get(self, request: Request) -> Response:
        return self.pages_of(Site.objects.visible_to(self.person))


class UnknownAddressView(APIView):
    """JSON for every other address under the API, with or without a login."""

    authentication_classes: list[Any] = []
    permission_classes = [AllowAny]
    schema = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        raise NotFound(
            _(
                "There is no such address in the API. Addresses end with a slash, and ids are written as the API gives them; "
                "/api/docs/ lists all."
            )
        )
