"""Comparisons that an index answers on PostgreSQL and on SQLite, and that Django has none of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.expressions import BaseExpression
from django.db.models.sql.compiler import SQLCompiler

LAST_CHARACTER = chr(0x10FFFF)


class HasPrefix(models.Lookup):
    """``field__has_prefix="mul"``: a range of the field's index, in letters exactly as they are."""

    lookup_name = "has_prefix"

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> tuple[str, tuple[Any, ...]]:
        left, left_params = self.process_lhs(compiler, connection)
        prefix = str(self.rhs)
        return f"({left} >= %s AND {left} < %s)", (
            *left_params,
            prefix,
            *left_params,
            prefix + LAST_CHARACTER,
        )

    def as_postgresql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper
    ) -> tuple[str, tuple[Any, ...]]:
        left, left_params = self.process_lhs(compiler, connection)
        return f"{left} LIKE %s", (*left_params, connection.ops.prep_for_like_query(str(self.rhs)) + "%")


models.CharField.register_lookup(HasPrefix)
models.TextField.register_lookup(HasPrefix)


class RowComparison(models.Func):
    """``(a, b, c) > (x, y, z)``: whether a row comes after another in an order by several columns. One range of an index on
    them, where the same said with AND and OR reads all that comes before.
    """

    output_field = models.BooleanField()
    conditional = True

    def __init__(self, fields: Sequence[models.F], operator: str, values: Sequence[models.Value]) -> None:
        super().__init__(*fields, *values)
        self.operator = operator

    def as_sql(  # type: ignore[override]  # What else ``Func`` takes is for functions with a name.
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **_: Any
    ) -> tuple[str, tuple[Any, ...]]:
        half = len(self.source_expressions) // 2
        left, left_params = self._row(compiler, self.source_expressions[:half])
        right, right_params = self._row(compiler, self.source_expressions[half:])
        return f"({left}) {self.operator} ({right})", (*left_params, *right_params)

    @staticmethod
    def _row(compiler: SQLCompiler, expressions: Sequence[BaseExpression]) -> tuple[str, list[Any]]:
        compiled = [compiler.compile(expression) for expression in expressions]
        return ", ".join(sql for sql, _ in compiled), [value for _, params in compiled for value in params]


class CappedCount(models.Subquery):
    """How many rows a sliced query set holds: counting stops at its end."""

    template = "(SELECT COUNT(*) FROM (%(subquery)s) capped)"
    output_field = models.IntegerField()
