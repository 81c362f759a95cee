"""Accounts, sites and tokens."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from diagnosis.api.fields import InputSerializer
from diagnosis.models import Membership, Site, User


class TokenRequestSerializer(InputSerializer):
    username = serializers.CharField(max_length=254)
    password = serializers.CharField(
        max_length=1000, trim_whitespace=False, write_only=True, style={"input_type": "password"}
    )


class PersonSerializer(serializers.ModelSerializer[User]):
    """A colleague, as others may see them."""

    name = serializers.CharField(source="display_name", read_only=True)

    class Meta:
        model = User
        fields = ["id", "username", "name"]
        read_only_fields = fields


class TokenSerializer(serializers.Serializer[Any]):
    token = serializers.CharField(
        read_only=True, help_text="Shown once: send it as `Authorization: Token …`."
    )
    expiry = serializers.DateTimeField(read_only=True)
    user = PersonSerializer(read_only=True)


class SiteSerializer(serializers.ModelSerializer[Site]):
    class Meta:
        model = Site
        fields = ["id", "name", "time_zone"]
        read_only_fields = fields


class MembershipSerializer(serializers.ModelSerializer[Membership]):
    site = SiteSerializer(read_only=True)

    class Meta:
        model = Membership
        fields = ["site", "role"]
        read_only_fields = fields


class MeSerializer(PersonSerializer):
    memberships = MembershipSerializer(many=True, read_only=True)

    class Meta(PersonSerializer.Meta):
        fields = [*PersonSerializer.Meta.fields, "memberships"]
        read_only_fields = fields
