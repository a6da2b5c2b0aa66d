"""The OpenAPI document is whole: words, examples, errors and headers on every route."""

import threading
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.routing import BaseRoute

from app.anthropic.message_errors import MessageError
from app.anthropic.response import MessageReply
from app.core.schemas import (
    ErrorBody,
    Job,
    JobDeleted,
    JobList,
    ModelCard,
    ModelList,
    StoredArtifact,
)
from app.main import ROUTERS
from app.openai.text.response import ChatReply, CompletionReply
from app.openai.videos.response import VideoDeleted, VideoResponse
from app.openapi import Api
from app.routes.generate import generate_router
from app.routes.session import Session, SessionDeleted
from app.status import ServiceStatus
from tests.app.serving import Running
from tests.conftest import MODEL

EXAMPLES: dict[str, type[BaseModel]] = {
    "/jobs": JobList,
    "/jobs/{job_id}": Job,
    "/jobs/{job_id}/cancel": Job,
    "/generate/image": Job,
    "/generate/audio": Job,
    "/generate/story": Job,
    "/v1/chat/completions": ChatReply,
    "/v1/completions": CompletionReply,
    "/v1/messages": MessageReply,
    "/generate/video": Job,
    "/v1/videos/{video}": VideoResponse,
    "/models": ModelList,
    "/models/{model_id}": ModelCard,
    "/artifacts": StoredArtifact,
    "/session": Session,
    "/status": ServiceStatus,
}
ERRORS: dict[str, type[BaseModel]] = {"/v1/messages": MessageError}
DELETED: dict[str, type[BaseModel]] = {
    "/session": SessionDeleted,
    "/v1/videos/{video}": VideoDeleted,
}


@pytest.fixture
def document(api: httpx.Client) -> dict[str, Any]:
    return dict(api.get("/openapi.json").json())


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(p, m, o) for p, by in document["paths"].items() for m, o in by.items()]


def described(route: BaseRoute) -> bool:
    """Whether a route is one of its own: the text-only base URL has those of the others again."""
    return isinstance(route, APIRoute) and route.include_in_schema


def test_every_route_is_described(document: dict[str, Any]) -> None:
    assert len(operations(document)) == len(
        [route for r in (generate_router(), *ROUTERS) for route in r.routes if described(route)]
    )
    for path, _, operation in operations(document):
        assert operation["summary"], path
        assert operation["description"], path
        assert {"500"} < set(operation["responses"]), path
        for parameter in operation.get("parameters", ()):
            assert parameter["description"], path


def test_every_error_has_the_shape_and_an_example(document: dict[str, Any]) -> None:
    for path, _, operation in operations(document):
        for status, response in operation["responses"].items():
            assert response["description"]
            if status >= "400":
                content = response["content"]["application/json"]
                kind = ERRORS.get(path, ErrorBody)
                assert content["schema"]["$ref"].endswith(f"/{kind.__name__}"), (path, status)
                kind.model_validate(content["example"])
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_examples_are_what_they_say(document: dict[str, Any]) -> None:
    for path, _, operation in operations(document):
        for status, response in operation["responses"].items():
            example = response.get("content", {}).get("application/json", {}).get("example")
            if status < "300" and path in EXAMPLES and example and "deleted" not in example:
                EXAMPLES[path].model_validate(example)
            elif example and "deleted" in example:
                DELETED.get(path, JobDeleted).model_validate(example)


def test_the_body_is_any_of_the_models_requests(document: dict[str, Any]) -> None:
    body = document["paths"]["/generate/image"]["post"]["requestBody"]["content"]
    content = body["application/json"]
    assert content["schema"] == {"anyOf": [{"$ref": f"#/components/schemas/{MODEL}"}]}
    assert content["examples"][MODEL]["value"]["model"] == MODEL
    schema = document["components"]["schemas"][MODEL]
    assert schema["additionalProperties"] is False
    assert "model" not in schema.get("required", [])  # it is the default
    assert schema["properties"]["n"]["maximum"] == 64


def test_the_document_is_not_made_in_the_event_loop(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes most of a second, in which nobody else would be served."""
    makers = []

    def recorded(self: Api) -> dict[str, Any]:
        makers.append(threading.current_thread().name)
        return {}

    monkeypatch.setattr(Api, "openapi", recorded)
    assert running.client.get("/openapi.json").json() == {}
    assert running.client.get("/jobs", params={"limit": 0}).status_code == 422
    assert len(makers) == 1
    assert makers != ["api"]  # the thread of the loop, in tests/app/serving.py


def test_nothing_is_loaded_from_elsewhere(api: httpx.Client) -> None:
    """/docs is our own page: tests/app/web/test_reference.py."""
    assert api.get("/redoc").status_code == 404


def test_operations_are_named_for_methods_of_generated_clients(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(names)) == len(names)
    assert {"generate_image", "list_jobs", "complete_chat", "create_video"} <= set(names)
    assert all(len(operation["tags"]) == 1 for _, _, operation in operations(document))


def schemas_in(node: Any, inside: str = "") -> list[tuple[str, dict[str, Any]]]:
    """Every object of a document, with the name that it stands under."""
    if isinstance(node, list):
        return [schema for child in node for schema in schemas_in(child, inside)]
    if not isinstance(node, dict):
        return []
    return [(inside, node), *(x for name, child in node.items() for x in schemas_in(child, name))]


def test_schemas_have_no_form_that_generators_refuse(document: dict[str, Any]) -> None:
    for name, schema in schemas_in(document["components"]["schemas"]):
        if name in ("properties", "example", "examples", "default"):
            continue
        assert schema != {"type": "null"} or name in ("anyOf", "items"), name
        assert "default" not in schema or schema["default"] is not None, name
        assert not isinstance(schema.get("title"), str), name
        assert not ("anyOf" in schema and "enum" in schema), name


def test_a_service_without_keys_asks_for_none(document: dict[str, Any]) -> None:
    assert "securitySchemes" not in document["components"]
    assert not any("security" in operation for _, _, operation in operations(document))


def test_the_document_says_what_any_request_may_be_refused_for(document: dict[str, Any]) -> None:
    """Middleware refuses before an operation is known, so no operation lists it."""
    codes = ("403 `origin_not_allowed`", "408 `request_timeout`", "421 `host_not_allowed`")
    for code in (*codes, "503 `too_many_connections`"):
        assert code in " ".join(document["info"]["description"].split())
