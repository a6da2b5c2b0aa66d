"""The OpenAPI document: the routes' own, with what only the running service knows.

That is the request of each model in the folder of checkpoints, and whether keys are needed.
"""

import asyncio
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema
from pydantic_core import to_json
from starlette.concurrency import run_in_threadpool

from app.anthropic.request import MessagesRequest
from app.catalog.catalog import CatalogEntry
from app.http.compression import compressed
from app.http.openapi_schemas import portable
from app.openai.embeddings import request as embedding_request
from app.openai.images.edit_request import (
    EditRequest,
    ImageEditRequest,
    ImageVariationRequest,
    edit_body,
)
from app.openai.images.request import in_dialect
from app.openai.json_schema import or_null
from app.openai.music import request as music_request
from app.openai.responses.request import ResponsesRequest
from app.openai.text import request as text_request
from app.openai.text.chat_request import ChatRequest
from app.openai.text.completion_request import CompletionRequest
from app.openai.text.request import DialectRequest
from app.openai.videos import request as video_request
from app.services import Services
from app.sessions import COOKIE
from models.modalities import MODALITIES

DESCRIPTION = """Makes pictures, videos, music and stories by generative models. A request becomes a
job: poll it, follow its events, or wait with `Prefer: wait=N`; then read its outputs by their hash.

Every error has one shape: `{"error": {"message", "type", "param", "code"}}`. Any request
may be answered so besides what its operation lists: 403 `origin_not_allowed` to a page of another
site, 408 `request_timeout` where the request came too slowly, 421 `host_not_allowed` where a
service without keys has no such name, and 503 `too_many_connections`."""
OPEN = {("get", "/livez"), ("get", "/readyz"), ("delete", "/session")}
IN_OPENAI = "/v1/images/generations"
MUSIC_IN_OPENAI = "/v1/audio/generate"
MESSAGES = "/v1/messages"
TEXT_IN_DIALECTS: dict[str, type[DialectRequest]] = {
    "/v1/chat/completions": ChatRequest,
    "/v1/completions": CompletionRequest,
    "/v1/responses": ResponsesRequest,
    MESSAGES: MessagesRequest,
}
FORMS_IN_OPENAI: dict[str, type[EditRequest]] = {
    "/v1/images/edits": ImageEditRequest,
    "/v1/images/variations": ImageVariationRequest,
}
VIDEOS_IN_OPENAI = "/v1/videos"
EMBEDDINGS_IN_OPENAI = "/v1/embeddings"
SHOWN = ("prompt", "texts", "class_label", "steps", "seconds")
"""Params that an example of a request has, where the model takes them."""
DIALECT = "-in-openai"  # after the name of a schema
REFS = "#/components/schemas/{model}"


class Api(FastAPI):
    """An app whose document follows the folder of checkpoints; made anew when that changes."""

    described: dict[str, CatalogEntry] | None = None

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._making = asyncio.Lock()
        self.add_route("/openapi.json", self._send_document, include_in_schema=False)

    def openapi(self) -> dict[str, Any]:
        """The document. Blocks for most of a second where the folder has changed."""
        services: Services = self.state.services
        entries = services.catalog.entries
        if self.openapi_schema is None or self.described is not entries:
            self.openapi_schema, self.described = document(self, services), entries
        return self.openapi_schema

    async def _send_document(self, request: Request) -> Response:
        async with self._making:
            text = await run_in_threadpool(self._text, request.scope.get("root_path", ""))
        return compressed(request, Response(text, media_type="application/json"))

    def _text(self, prefix: str) -> bytes:
        servers = {"servers": [{"url": prefix}]} if prefix else {}
        return to_json(self.openapi() | servers)


def document(app: FastAPI, services: Services) -> dict[str, Any]:
    """The document as of now."""
    document = get_openapi(
        title="Atelier", version=app.version, description=DESCRIPTION, routes=app.routes
    )
    _drop_what_fastapi_assumes(document)
    for modality in MODALITIES.values():
        document["paths"][modality.path]["post"]["requestBody"] = _body(
            document, services, modality.name
        )
    document["paths"][IN_OPENAI]["post"]["requestBody"] = _body_in_openai(document, services)
    document["paths"][MUSIC_IN_OPENAI]["post"]["requestBody"] = _music_in_openai(document, services)
    document["paths"][VIDEOS_IN_OPENAI]["post"]["requestBody"] = _videos_in_openai(
        document, services
    )
    document["paths"][EMBEDDINGS_IN_OPENAI]["post"]["requestBody"] = _embeddings_in_openai(
        document, services
    )
    for path, edit in FORMS_IN_OPENAI.items():
        document["paths"][path]["post"]["requestBody"] = edit_body(services.catalog, edit)
    for path, kind in TEXT_IN_DIALECTS.items():
        document["paths"][path]["post"]["requestBody"] = _text_in_dialect(document, services, kind)
    if services.settings.keys_file:
        _name_keys(document)
    _make_portable(document)
    return document


def _name_keys(document: dict[str, Any]) -> None:
    """Which operations need a key, and which take a session's cookie in its place."""
    document["components"]["securitySchemes"] = {
        "key": {"type": "http", "scheme": "bearer"},
        "session": {"type": "apiKey", "in": "cookie", "name": COOKIE},
        "x-api-key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
    }
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            readable: list[dict[str, list[str]]] = [{"key": []}, {"session": []}]
            needed = readable if method == "get" else [{"key": []}]
            needed += [{"x-api-key": []}] if path == MESSAGES else []
            operation["security"] = [] if (method, path) in OPEN else needed


def _make_portable(document: dict[str, Any]) -> None:
    """Every schema of the document as generators of clients take it."""
    schemas = document["components"]["schemas"]
    schemas |= {name: portable(schema) for name, schema in schemas.items()}
    for operations in document["paths"].values():
        for operation in operations.values():
            for parameter in operation.get("parameters", ()):
                parameter["schema"] = portable(parameter["schema"])


def _drop_what_fastapi_assumes(document: dict[str, Any]) -> None:
    """It writes a 422 of its own shape on every route that has a parameter."""
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)
    for operations in document["paths"].values():
        for operation in operations.values():
            schema = operation["responses"].get("422", {}).get("content", {})
            if "HTTPValidationError" in str(schema):
                del operation["responses"]["422"]


def _body(document: dict[str, Any], services: Services, modality: str) -> dict[str, Any]:
    """Any of the models' requests; all but the default model's must name it."""
    entries = [x for _, x in services.catalog.of(modality)]
    _, definitions = models_json_schema(
        [(x.request, "validation") for x in entries], ref_template=REFS
    )
    schemas = definitions.get("$defs", {})
    default = _default(services, modality)
    for entry in entries:
        schema = schemas[entry.id]
        if entry.id != default:
            schema["required"] = ["model", *schema.get("required", [])]
    document["components"]["schemas"] |= schemas
    return _any_of({x.id: _example(x) for x in entries})


def _default(services: Services, modality: str) -> str:
    return services.catalog.id_of(services.settings.default_model(modality))


def _body_in_openai(document: dict[str, Any], services: Services) -> dict[str, Any]:
    """The same for OpenAI's dialect, made of the native requests of all models of pictures."""
    schemas = document["components"]["schemas"]
    default = _default(services, "text-to-image")
    entries = [x for _, x in services.catalog.of() if MODALITIES[x.family.modality].has_pictures]
    for entry in entries:
        schema = in_dialect(entry, schemas[entry.id], services.settings.sizes)
        schemas[f"{entry.id}{DIALECT}"] = _named(schema, entry.id != default)
    return _any_of({f"{x.id}{DIALECT}": {"prompt": "", **_example(x)} for x in entries})


def _named(schema: dict[str, Any], by_request: bool) -> dict[str, Any]:
    """The schema of a model that requests must name; the default one may be null."""
    if by_request:
        return schema | {"required": list(dict.fromkeys(["model", *schema["required"]]))}
    fields = schema["properties"]
    return schema | {"properties": {**fields, "model": or_null(fields["model"])}}


def _music_in_openai(document: dict[str, Any], services: Services) -> dict[str, Any]:
    """The same for words that ask for music."""
    schemas = document["components"]["schemas"]
    entries = [x for _, x in services.catalog.of("audio")]
    for entry in entries:
        schemas[f"{entry.id}{DIALECT}"] = music_request.in_dialect(entry, schemas[entry.id])
    inputs = music_request.MusicRequest.model_fields["input"].examples or [""]
    return _any_of(
        {f"{x.id}{DIALECT}": {"model": x.id, "input": inputs[0], "seed": 1234} for x in entries}
    )


def _videos_in_openai(document: dict[str, Any], services: Services) -> dict[str, Any]:
    """The same for videos, which are asked for by a form as well."""
    schemas = document["components"]["schemas"]
    default = _default(services, "video")
    entries = [x for _, x in services.catalog.of("video")]
    for entry in entries:
        schema = video_request.in_dialect(entry, schemas[entry.id], services.settings.sizes)
        if entry.id != default:
            schema["required"] = list(dict.fromkeys(["model", *schema["required"]]))
        schemas[f"{entry.id}{DIALECT}"] = schema
    body = _any_of({f"{x.id}{DIALECT}": _example(x) for x in entries})
    body["content"]["multipart/form-data"] = {
        "schema": body["content"]["application/json"]["schema"]
    }
    return body


def _embeddings_in_openai(document: dict[str, Any], services: Services) -> dict[str, Any]:
    """The same for vectors of texts."""
    schemas = document["components"]["schemas"]
    default = _default(services, "embedding")
    entries = [x for _, x in services.catalog.of("embedding")]
    for entry in entries:
        schema = embedding_request.in_dialect(entry, schemas[entry.id])
        schemas[f"{entry.id}{DIALECT}"] = _named(schema, entry.id != default)
    inputs = embedding_request.EmbeddingRequest.model_fields["input"].examples or [""]
    return _any_of({f"{x.id}{DIALECT}": {"model": x.id, "input": inputs[0]} for x in entries})


def _text_in_dialect(
    document: dict[str, Any], services: Services, kind: type[DialectRequest]
) -> dict[str, Any]:
    """The same for text, in the dialect of a request."""
    examples = {}
    for _, entry in services.catalog.of("story"):
        dialect = "-in-anthropic" if kind is MessagesRequest else DIALECT
        name = f"{entry.id}{dialect}-{kind.__name__.lower()}"
        schema = text_request.in_dialect(kind, document["components"]["schemas"][entry.id])
        inner = {f"{name}-{k}": _placed(x, name) for k, x in schema.pop("$defs").items()}
        document["components"]["schemas"] |= inner
        document["components"]["schemas"][name] = _placed(schema, name)
        shown = {x: schema["properties"][x]["examples"][0] for x in schema["required"]}
        examples[name] = {"model": entry.id, **shown, "seed": 1234}
    return _any_of(examples)


def _placed(schema: Any, name: str) -> Any:
    """With references into the document, where what they refer to was put."""
    if isinstance(schema, list):
        return [_placed(item, name) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        k: REFS.format(model=f"{name}-{x.removeprefix('#/$defs/')}")
        if k == "$ref" and str(x).startswith("#/$defs/")
        else _placed(x, name)
        for k, x in schema.items()
    }


def _any_of(examples: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """A body of any of these schemas, each with an example."""
    body = {"anyOf": [{"$ref": REFS.format(model=name)} for name in examples]}
    content: dict[str, Any] = {"schema": body if examples else {"type": "object"}}
    content["examples"] = {name: {"value": value} for name, value in examples.items()}
    return {"required": True, "content": {"application/json": content}}


def _example(entry: CatalogEntry) -> dict[str, Any]:
    """A request to this model."""
    fields = entry.schema["properties"]
    shown = [name for name in SHOWN if name in fields]
    example = {name: fields[name]["examples"][0] for name in shown}
    return {"model": entry.id, **example, "seed": 1234}
