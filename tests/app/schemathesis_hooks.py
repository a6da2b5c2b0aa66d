"""What schemathesis does to each request before it sends it."""

import uuid
from typing import Any

import schemathesis
from schemathesis.hooks import HookContext

IDEMPOTENCY = "Idempotency-Key"


@schemathesis.hook
def before_call(context: HookContext, case: schemathesis.Case, kwargs: dict[str, Any]) -> None:
    """Gives each valid idempotency key once: a second body with it is rightly refused."""
    headers = case.headers or {}
    if case.meta and case.meta.generation.mode.is_positive and IDEMPOTENCY in headers:
        headers[IDEMPOTENCY] = str(uuid.uuid4())


@schemathesis.hook
def before_load_schema(context: HookContext, raw_schema: dict[str, Any]) -> None:
    """Takes files out of forms that may have several schemas: it would send them as texts."""
    for schema in raw_schema["components"]["schemas"].values():
        fields = schema.get("properties", {})
        for name in [n for n, field in fields.items() if field.get("format") == "binary"]:
            del fields[name]
