"""What settings list with commas: hosts, origins, networks, and aliases of models."""

import ipaddress
import re
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator
from pydantic_settings import NoDecode

HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:(?P<port>[0-9]{1,5}))?")
ORIGIN = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<host>[^/?#@\s,*]+)", re.IGNORECASE)
ALIAS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,99}")
DEFAULT_PORTS = {"http": 80, "https": 443}


def split_host(host: str) -> tuple[str, int | None]:
    """The name and port of a Host header. Raises ValueError."""
    match = HOST.fullmatch(host)
    if match is None:
        raise ValueError(f"{host!r} is not a host name")
    name = match["name"].lower().rstrip(".").strip("[]")
    return name, int(match["port"]) if match["port"] else None


def is_loopback(name: str) -> bool:
    """Whether this name or address always means the machine that asks."""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def checked_host(name: str) -> str:
    """A host name or address as a setting lists it, without a port. Raises ValueError."""
    name = name.strip()
    bare, port = split_host(f"[{name}]" if name.count(":") > 1 and name[0] != "[" else name)
    if port is not None:
        raise ValueError(f"{name!r} must have no port")
    return bare


def checked_origin(origin: str) -> str:
    """An origin as browsers write it: scheme://host[:port]. Raises ValueError."""
    match = ORIGIN.fullmatch(origin)
    if match is None:
        raise ValueError(f"{origin!r} is not an origin: scheme://host[:port], without a path")
    scheme, host = match["scheme"].lower(), match["host"].lower()
    return f"{scheme}://{host.removesuffix(f':{DEFAULT_PORTS.get(scheme)}')}"


def checked_network(network: str) -> str:
    """An address, or a network as 10.0.0.0/8. Raises ValueError."""
    return str(ipaddress.ip_network(network))


def same_host(origin: str, host: str, scheme: str) -> bool:
    """Whether a page of this origin was served under this Host header.

    A proxy may have taken TLS off, so a page may be https where this service sees http; not the
    other way round.
    """
    try:
        parts = urlsplit(origin)
        page, served = split_host(parts.netloc), split_host(host)
    except ValueError:
        return False
    default = DEFAULT_PORTS.get(parts.scheme)
    if default is None or (scheme, parts.scheme) == ("https", "http"):
        return False
    return (page[0], page[1] or default) == (served[0], served[1] or default)


def _listed(text: Any) -> Any:
    """The entries of a list with commas."""
    return [x.strip() for x in text.split(",") if x.strip()] if isinstance(text, str) else text


def _aliases(text: Any) -> Any:
    """Models by their other names, of a list as `dall-e-3=t2i-emoji`. Raises ValueError."""
    if not isinstance(text, str):
        return text
    aliases: dict[str, str] = {}
    for pair in _listed(text):
        alias, sign, model = (x.strip() for x in pair.partition("="))
        if not sign or not model:
            raise ValueError(f"{pair!r} is not ALIAS=MODEL")
        if not ALIAS.fullmatch(alias):
            raise ValueError(f"{alias[:100]!r} must be of letters, digits and . _ : -")
        if alias in aliases:
            raise ValueError(f"{alias} is there twice")
        aliases[alias] = model
    for alias, model in aliases.items():
        if model in aliases:
            raise ValueError(f"{alias} must stand for a model, and {model} is an alias")
    return aliases


Hosts = Annotated[
    tuple[Annotated[str, AfterValidator(checked_host)], ...], NoDecode, BeforeValidator(_listed)
]
Origins = Annotated[
    tuple[Annotated[str, AfterValidator(checked_origin)], ...], NoDecode, BeforeValidator(_listed)
]
Networks = Annotated[
    tuple[Annotated[str, AfterValidator(checked_network)], ...], NoDecode, BeforeValidator(_listed)
]
Aliases = Annotated[Mapping[str, str], NoDecode, BeforeValidator(_aliases)]
