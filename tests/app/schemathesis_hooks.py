"""What schemathesis does to each request before it sends it."""

import uuid
from typing import Any

import schemathesis
from schemathesis.hooks import HookContext

IDEMPOTENCY = "Idempotency-Key"


@schemathesis.hook
def before_call(
    context: HookContext, case: "schemathesis.Case[Any]", kwargs: dict[str, Any]
) -> None:
    """Gives each valid idempotency key once: a second body with it is rightly refused."""
    headers: Any = case.headers or {}
    if case.meta and case.meta.generation.mode.is_positive and IDEMPOTENCY in headers:
        headers[IDEMPOTENCY] = str(uuid.uuid4())


@schemathesis.hook
def before_load_schema(context: HookContext, raw_schema: dict[str, Any]) -> None:
    """Leaves out forms that may have several schemas: it would send files and null as texts.

    The service takes null as the model of a video. The document does not say so, since
    openapi-python-client writes code that fails for a choice or null in a form.
    """
    for operations in raw_schema["paths"].values():
        for operation in operations.values():
            content = operation.get("requestBody", {}).get("content", {})
            if "application/json" in content:
                content.pop("multipart/form-data", None)
    for schema in raw_schema["components"]["schemas"].values():
        fields = schema.get("properties", {})
        if fields.pop("input_reference", None):  # a file of those forms
            fields["model"] = {"anyOf": [fields["model"], {"type": "null"}]}
