"""/session: a cookie by which a browser's elements read what a key may read."""

from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import Field

from app.auth import Key
from app.core.schemas import Schema
from app.deps import KeyDep, ServicesDep
from app.http.openapi_examples import errors, reply
from app.http.responses import json_reply
from app.sessions import COOKIE, SECONDS

router = APIRouter(tags=["session"])

NOT_STORED = {"Cache-Control": "no-store"}
SET_COOKIE: dict[str, Any] = {
    "Set-Cookie": {"description": "The cookie of the session.", "schema": {"type": "string"}}
}
EXAMPLE: dict[str, Any] = {
    "object": "session",
    "owner": "ann",
    "scopes": ["metrics"],
    "keys_required": True,
    "expires_at": 1790003600,
}


class Session(Schema):
    """Who is asking, and what its key may do."""

    object: Literal["session"] = "session"
    owner: str = Field(description="The key's name; `local` where no keys are needed.")
    scopes: list[str] = Field(description="What the key may do besides.")
    keys_required: bool = Field(description="Whether requests need a key.")
    expires_at: int | None = Field(
        default=None, description="When the cookie ends; null where the request had none."
    )


class SessionDeleted(Schema):
    object: Literal["session.deleted"] = "session.deleted"
    deleted: Literal[True] = True


@router.post(
    "/session",
    summary="Begin a session",
    response_model=Session,
    responses={200: reply("It has begun.", EXAMPLE, SET_COOKIE), **errors(401, 503)},
)
async def begin_session(request: Request, key: KeyDep, services: ServicesDep) -> Response:
    """Sets a cookie by which a browser may read what the key may read, for an hour.

    `<img>`, `<audio>`, `<video>`, `EventSource` and downloads send no Authorization header. The
    cookie counts for GET and HEAD only, and a header wins over it. Where no keys are needed, no
    cookie is set.
    """
    if not services.keys.required:
        return json_reply(_described(key, False), headers=NOT_STORED)
    cookie, expires = await services.sessions.begin(key)
    response = json_reply(_described(key, True, expires), headers=NOT_STORED)
    _set(response, request, cookie, SECONDS)
    return response


@router.get(
    "/session",
    summary="Look at the session",
    response_model=Session,
    responses={200: reply("Who is asking.", EXAMPLE), **errors(401, 503)},
)
async def get_session(request: Request, key: KeyDep, services: ServicesDep) -> Response:
    """Says who is asking, by a key or by a cookie, and whether requests need a key at all.

    401 where they do and there is none.
    """
    session = getattr(request.state, "session", None)
    expires = session.expires if session else None
    return json_reply(_described(key, services.keys.required, expires), headers=NOT_STORED)


@router.delete(
    "/session",
    summary="End the session",
    response_model=SessionDeleted,
    responses={
        200: reply(
            "The browser has the cookie no more.",
            {"object": "session.deleted", "deleted": True},
            SET_COOKIE,
        ),
        **errors(),
    },
)
async def end_session(request: Request) -> Response:
    """Takes the cookie from the browser. It needs no key, and there may be no session."""
    response = json_reply(SessionDeleted(), headers=NOT_STORED)
    _set(response, request, "", 0)
    return response


def _described(key: Key, required: bool, expires: int | None = None) -> Session:
    return Session(
        owner=key.name, scopes=sorted(key.scopes), keys_required=required, expires_at=expires
    )


def _set(response: Response, request: Request, value: str, seconds: int) -> None:
    """Set the cookie where this service is on its host, as a trusted proxy says."""
    response.set_cookie(
        COOKIE,
        value,
        max_age=seconds,
        path=request.scope.get("root_path") or "/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )
