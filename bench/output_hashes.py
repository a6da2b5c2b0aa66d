"""The SHA-256 of what every model of a running service makes for fixed requests.

    python -m bench.output_hashes http://127.0.0.1:8000 before.json
    python -m bench.output_hashes http://127.0.0.1:8000 after.json --compare before.json

The file also holds the service's OpenAPI document. The script uses only HTTP, so that it can
compare two versions whose code has nothing in common. Requests come from the models' own schemas:
one of defaults, one for each field with an example, one for each output format, and those that
need a posted picture or score. `--smoke` sends only the first request, to the first model.
"""

import hashlib
import io
import json
import struct
import sys
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
from PIL import Image, ImageDraw
from tqdm import tqdm

SEED = 7
SMALL = {"steps": 6, "seconds": 1.5, "max_tokens": 24}
"""Fields that set how long a job takes, where a model has them."""
PLAIN = {"n", "seed", "metadata", "model", "output_format", "steps", "max_tokens"}
FILES = ("init_image", "mask", "score", "primer")
NEEDS = {
    "strength": ("init_image",),
    "mask": ("init_image",),
    "clip_guidance_every": ("clip_guidance_scale", "prompt"),
    "clip_guidance_scale": ("prompt",),
    "guidance_scale": ("class_label",),
    "title": ("theme",),
}


def picture() -> bytes:
    image = Image.new("RGB", (64, 64), "white")
    ImageDraw.Draw(image).ellipse((12, 12, 52, 52), fill=(220, 40, 40))
    return png(image)


def mask() -> bytes:
    image = Image.new("L", (64, 64), 0)
    ImageDraw.Draw(image).rectangle((0, 0, 31, 63), fill=255)
    return png(image)


def png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def score() -> bytes:
    """A MIDI file: a scale of eight quarters."""
    events = b"".join(
        bytes((0, 0x90, pitch, 90, 96, 0x80, pitch, 0))
        for pitch in (60, 62, 64, 65, 67, 69, 71, 72)
    )
    track = events + b"\x00\xff\x2f\x00"
    head = b"MThd" + struct.pack(">IHHH", 6, 0, 1, 96)
    return head + b"MTrk" + struct.pack(">I", len(track)) + track


def requests_of(schema: dict[str, Any], files: dict[str, str]) -> Iterator[dict[str, Any]]:
    """The requests for a model with this schema of its params."""
    fields = schema["properties"]
    base: dict[str, Any] = {name: value for name, value in SMALL.items() if name in fields}
    base |= {name: fields[name]["examples"][0] for name in schema.get("required", ())}
    if "kind" in fields:
        base["prompt"] = fields["prompt"]["examples"][0]
    base |= {"seed": SEED}
    yield base
    for name in set(fields) - PLAIN - set(base) - set(FILES):
        for example in fields[name].get("examples", ())[:1]:
            yield base | required_fields(name, fields, files) | {name: example}
    for name in FILES:
        if name in fields:
            yield base | required_fields(name, fields, files) | {name: files[name]}
    for choice in choices(fields.get("output_format", {})):
        yield base | {"output_format": choice}
    if "sampler" in fields:
        yield from (base | {"sampler": choice} for choice in choices(fields["sampler"]))


def required_fields(name: str, fields: dict[str, Any], files: dict[str, str]) -> dict[str, Any]:
    """The other fields without which a request with this field is refused."""
    others = [other for other in NEEDS.get(name, ()) if other in files or other in fields]
    return {o: files[o] if o in files else fields[o]["examples"][0] for o in others}


def choices(schema: dict[str, Any]) -> list[Any]:
    forms = [schema, *schema.get("anyOf", ())]
    return [choice for form in forms for choice in form.get("enum", ()) if choice is not None]


def record(client: httpx.Client, smoke: bool) -> dict[str, Any]:
    """The hashes of each request's outputs, or the error's code; and the OpenAPI document."""
    posted = {"init_image": picture(), "mask": mask(), "score": score(), "primer": score()}
    files = {
        name: client.post("/artifacts", files={"file": data}).raise_for_status().json()["sha256"]
        for name, data in posted.items()
    }
    outputs: dict[str, Any] = {}
    models = client.get("/models").raise_for_status().json()["data"]
    for model in models[:1] if smoke else models:
        schema = client.get(f"/models/{model['id']}").raise_for_status().json()["params"]
        requests = list(requests_of(schema, files))
        for body in tqdm(requests[:1] if smoke else requests, desc=model["id"], file=sys.stderr):
            key = json.dumps({"model": model["id"], **body}, sort_keys=True)
            outputs[key] = outcome(client, model, body)
    document = client.get("/openapi.json").raise_for_status().json()
    return {"outputs": outputs, "document": document}


def outcome(client: httpx.Client, model: dict[str, Any], body: dict[str, Any]) -> Any:
    reply = client.post(
        f"/generate/{model['modality']}",
        json={"model": model["id"], **body},
        headers={"Prefer": "wait=300"},
    )
    job = reply.json()
    if reply.is_error:
        return {"error": job["error"]["code"], "param": job["error"].get("param")}
    while job["status"] in ("queued", "in_progress"):
        job = client.get(f"/jobs/{job['id']}?wait=60").raise_for_status().json()
    contents = [client.get(x["url"]).raise_for_status().content for x in job["outputs"]]
    return {
        "status": job["status"],
        "files": [hashlib.sha256(data).hexdigest() for data in contents],
        "pixels": [pixels(data) for data in contents],
    }


def pixels(data: bytes) -> str | None:
    """The SHA-256 of a picture's pixels without its metadata; None if it isn't a picture."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            return hashlib.sha256(image.convert("RGBA").tobytes()).hexdigest()
    except OSError:
        return None


def main(argv: Sequence[str] | None = None) -> int:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("file", type=Path)
    parser.add_argument("--compare", type=Path)
    parser.add_argument("--smoke", action="store_true")
    options = parser.parse_args(argv)
    with httpx.Client(base_url=options.url, timeout=600) as client:
        recorded = record(client, options.smoke)
    options.file.write_text(json.dumps(recorded, indent=1, sort_keys=True))
    outputs = recorded["outputs"]
    print(len(outputs), "requests")
    if options.compare is None:
        return 0
    before = json.loads(options.compare.read_text())["outputs"]
    other = [key for key in before if outputs.get(key) != before[key]]
    print(len(before) - len(other), "as before,", len(other), "other")
    print(*other, sep="\n")
    return 1 if other else 0


if __name__ == "__main__":
    sys.exit(main())
