"""Every setting, read from `ATELIER_*` and nowhere else."""

import os
from collections.abc import Iterable
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, ValidationInfo, create_model, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.core.addresses import check_redis_url, path_url, read_store_address, socket_in
from app.core.sites import Aliases, Hosts, Networks, Origins
from models.modalities import MODALITIES

ROOT = Path(__file__).resolve().parents[2]
EX_CONFIG = 78  # exit status of a process whose settings can't be used: starting again won't help
PREFIX = "ATELIER_"
OTHERS = frozenset(
    {
        "ATELIER_API_KEY",  # of the client and the command
        "ATELIER_BENCH_RESULTS",
        "ATELIER_CACHE",  # of training's data
        "ATELIER_PARENT_PIPE",  # set by the supervisor for its children
        "ATELIER_URL",  # of the client and the command
    }
)
"""Variables that are read elsewhere: they are no settings of the service, and not unknown."""


class Misconfigured(ValueError):
    """The environment asks for what can't be; the message names the setting."""


def read_settings(**options: Any) -> "Settings":
    """The settings of the environment, changed by options. Raises Misconfigured."""
    check_names(os.environ)
    try:
        return Settings(**options)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]).upper()
        message = first["msg"].removeprefix("Value error, ")
        raise Misconfigured(f"{PREFIX}{name}: {message}") from None


def credentials_refused(settings: "Settings") -> Misconfigured:
    """What is wrong where Redis raises AuthenticationError; it repeats no password."""
    if not urlsplit(settings.redis_url).password:
        return Misconfigured("ATELIER_REDIS_URL: Redis wants a password, and the URL has none")
    return Misconfigured("ATELIER_REDIS_URL: Redis refuses the user name or the password")


def check_names(environment: Iterable[str]) -> None:
    """Raises Misconfigured for a variable that looks like a setting and is none."""
    known = OTHERS | {PREFIX + name.upper() for name in Settings.model_fields}
    for name in sorted(environment):
        if name.upper().startswith(PREFIX) and name.upper() not in known:
            nearest = get_close_matches(name.upper(), sorted(known), 1, 0.0)
            raise Misconfigured(f"{name} is no setting; the nearest is {nearest[0]}")


if TYPE_CHECKING:
    DefaultModels = BaseSettings
else:
    DefaultModels = create_model(
        "DefaultModels",
        __base__=BaseSettings,
        **{
            row.setting: (
                str,
                Field(default=row.default_model, description=f"`model` of {row.path}."),
            )
            for row in MODALITIES.values()
        },
    )


class Settings(DefaultModels):
    """Frozen: made once by a process and handed down. Times in seconds, sizes in bytes."""

    model_config = SettingsConfigDict(env_prefix="ATELIER_", frozen=True, extra="ignore")

    # where things are
    state: Path = Field(
        default=Path("state"), description="Folder of the embedded store and artifacts."
    )
    redis_url: str = Field(
        default="",
        description="redis://, rediss:// or unix:// URL; empty: the embedded server.",
    )
    store: str = Field(
        default="", description="file:///folder or s3://bucket/prefix; empty: in `state`."
    )
    checkpoints: Path = Field(
        default=ROOT / "checkpoints", description="Folder of checkpoints to serve."
    )
    keys_file: Path | None = Field(
        default=None, description="API keys, a name, a SHA-256 and scopes a line."
    )

    packaged_models: bool = Field(
        default=True,
        description="Whether `atelier up` imports models that installed packages carry.",
    )

    # the API
    host: str = Field(
        default="127.0.0.1", description="Address to bind; another than loopback needs keys."
    )
    port: int = Field(default=8000, ge=0, le=65535, description="Port to bind; 0 takes a free one.")
    allowed_hosts: Hosts = Field(
        default=(),
        description="Names, with commas, that a service without keys answers to besides localhost.",
    )
    allowed_origins: Origins = Field(
        default=(),
        description="Origins, with commas, whose pages may use the API in a browser (CORS), as "
        "`https://art.example.org`.",
    )
    trusted_proxies: Networks = Field(
        default=(),
        description="Addresses or networks, with commas, of proxies whose `X-Forwarded-Proto`, "
        "`-Host` and `-Prefix` are believed.",
    )
    max_connections: int = Field(
        default=1000, ge=1, description="Open connections of one API process."
    )
    header_timeout: float = Field(
        default=10, gt=0, description="Time in which a request's headers must come."
    )
    body_timeout: float = Field(
        default=30,
        gt=0,
        description="Time in which a request's body must come; a second more for every 10 kB of "
        "it.",
    )
    max_body: int = Field(default=1_000_000, ge=1, description="Largest JSON body.")
    max_upload: int = Field(default=50_000_000, ge=1, description="Largest uploaded file.")
    max_uploads: int = Field(
        default=500_000_000,
        ge=1,
        validate_default=True,  # against max_upload
        description="Bytes of all uploads in progress together.",
    )
    queue_limit: int = Field(default=1000, ge=1, description="Jobs that may wait for one model.")
    queue_memory: int = Field(
        default=2**30,
        ge=2**24,
        description="Bytes that the embedded server may use; near them, no job is accepted.",
    )
    owner_queue_limit: int = Field(
        default=0,
        ge=0,
        description="Jobs of one key that may wait for one model; 0: half of all.",
    )
    max_items: int = Field(default=64, ge=1, le=1024, description="Largest n of one request.")

    aliases: Aliases = Field(
        default={}, description="Other names of models, with commas, as `dall-e-3=t2i-emoji`."
    )
    sdapi: bool = Field(
        default=False, description="Whether to serve AUTOMATIC1111's API under /sdapi/v1."
    )
    sizes: Literal["exact", "nearest"] = Field(
        default="exact",
        description="nearest: on OpenAI's routes, a `size` that the model can't make is resized.",
    )

    # jobs and results
    result_ttl: float = Field(default=86_400, gt=0, description="How long artifacts are kept.")
    record_ttl: float = Field(
        default=7 * 86_400, ge=0, description="How long records outlive them."
    )
    job_deadline: float = Field(
        default=3600, gt=0, description="From acceptance to the end of a job."
    )
    orphan_ttl: float = Field(
        default=3600, gt=0, description="Unreferenced bytes are deleted after this."
    )
    store_timeout: float = Field(
        default=20, gt=0, description="How long one call of the store may take."
    )

    # workers
    workers: int = Field(
        default=1, ge=1, le=64, description="Worker processes that `atelier up` starts."
    )
    device: str = Field(default="auto", description="auto, cpu, cuda or cuda:N.")
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto", description="auto: bfloat16 on CUDA, float32 on CPU."
    )
    language_dtype: Literal["auto", "float32", "bfloat16", "int8"] = Field(
        default="auto",
        description="Of language models' weights. auto: as narrow as costs nothing.",
    )
    threads: int = Field(
        default=0,
        ge=0,
        description="Threads of a worker's nets; 0: the cores it may use, by workers.",
    )
    capacity: int = Field(
        default=32,
        ge=1,
        description="Rows that a worker runs at once: a picture is one, a walk one a frame.",
    )
    model_memory: int = Field(default=4 * 2**30, ge=1, description="Bytes of models kept loaded.")
    run_memory: int = Field(
        default=2 * 2**30, ge=1, description="Bytes that items in flight may take."
    )
    max_affinity_wait: float = Field(
        default=2, ge=0, description="Head start of models already loaded."
    )
    drain_grace: float = Field(
        default=20, ge=0, description="On SIGTERM, time to finish what runs."
    )
    hang_timeout: float = Field(
        default=120,
        gt=0,
        description="A worker ends itself when a phase of a job lasts longer than this, and a step "
        "longer than ten times its measured cost.",
    )
    preview_interval: float = Field(
        default=0.5, gt=0, description="Least time between two previews."
    )

    # how fast death is noticed
    lease: float = Field(default=10, gt=0, description="A worker silent for this long is dead.")
    heartbeat: float = Field(
        default=2,
        gt=0,
        validate_default=True,
        description="Time between a worker's signs of life; shorter than the lease.",
    )
    sweep_interval: float = Field(
        default=3, gt=0, description="Time between looks for the dead and old."
    )

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severe lines that are logged."
    )

    @field_validator("redis_url", "store")
    @classmethod
    def _has_its_form(cls, value: str, info: ValidationInfo) -> str:
        check = check_redis_url if info.field_name == "redis_url" else read_store_address
        if value:
            check(value)
        return value

    @field_validator("heartbeat")
    @classmethod
    def _heartbeat_keeps_the_lease(cls, value: float, info: ValidationInfo) -> float:
        lease = info.data.get("lease")  # missing where it is wrong itself
        if lease is not None and value >= lease:
            raise ValueError(f"{value:g} s must be shorter than ATELIER_LEASE, {lease:g} s")
        return value

    @field_validator("max_uploads")
    @classmethod
    def _one_upload_fits(cls, value: int, info: ValidationInfo) -> int:
        largest = info.data.get("max_upload")  # missing where it is wrong itself
        if largest is not None and value < largest:
            raise ValueError(f"{value} must be at least ATELIER_MAX_UPLOAD, {largest}")
        return value

    def default_model(self, modality: str) -> str:
        """The `model` of a route where a request names none."""
        row = MODALITIES[modality]
        return str(getattr(self, row.setting, row.default_model))

    @property
    def own_queue_limit(self) -> int:
        """Jobs of one owner that may wait for one model; without keys there is one owner."""
        share = max(1, self.queue_limit // 2) if self.keys_file else self.queue_limit
        return min(self.owner_queue_limit or share, self.queue_limit)

    @property
    def longest_note(self) -> float:
        """The most that passes between two notes of the service's clock, while all is well: so
        little that a lease outlasts it and a heartbeat more."""
        return max(self.heartbeat, (self.lease - self.heartbeat) / 2)

    @cached_property
    def checkpoint_folders(self) -> tuple[Path, Path]:
        """Where models are looked for: the folder given, and that of those taken over from
        packages."""
        return self.checkpoints, self.state / "checkpoints"

    @property
    def redis_address(self) -> str:
        """The server to use: the one given, or the embedded one's socket in `state`."""
        return self.redis_url or path_url("unix", socket_in(self.state))

    @cached_property
    def store_address(self) -> str:
        """The artifact store to use: the one given, or a folder in `state`."""
        return self.store or path_url("file", self.state.resolve() / "artifacts")
