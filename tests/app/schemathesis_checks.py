"""What schemathesis checks of the answers to messages of the Model Context Protocol."""

from typing import Any

import schemathesis

INTERNAL = b'"code":-32603'


@schemathesis.check
def no_internal_error(
    ctx: "schemathesis.CheckContext",
    response: "schemathesis.Response",
    case: "schemathesis.Case[Any]",
) -> None:
    """An answer of status 200 may still be an internal error of the protocol."""
    if INTERNAL in response.content.replace(b" ", b""):
        raise AssertionError(response.text)
