"""What the package webuiapi does with a service. `webui_api.py HOST PORT`."""

import base64
import io
import json
import sys
from typing import Any

import webuiapi
from PIL import Image


def main(host: str, port: str) -> dict[str, Any]:
    api = webuiapi.WebUIApi(host=host, port=int(port), sampler="Euler", steps=6)
    painted = api.txt2img(
        prompt="a red apple", negative_prompt="dog", seed=7, width=512, height=512
    )
    mask = Image.new("L", painted.image.size, 0)
    mask.paste(255, (0, 0, 256, 512))
    repainted = api.img2img(
        images=[painted.image], mask_image=mask, prompt="a dog", seed=7, denoising_strength=1.0
    )
    api.set_options({"sd_model_checkpoint": api.get_sd_models()[0]["title"]})
    return {
        "picture": encoded(painted.image),
        "seed": painted.info["seed"],
        "repainted": encoded(repainted.image),
        "models": api.util_get_model_names(),
        "samplers": api.util_get_sampler_names(),
        "schedulers": api.util_get_scheduler_names(),
        "options": api.get_options()["sd_model_checkpoint"],
        "progress": api.get_progress()["state"]["job_count"],
        "upscalers": [x["name"] for x in api.get_upscalers()],
        "loras": api.get_loras(),
        "interrupt": api.interrupt(),
        "information": api.png_info(painted.image).info,
    }


def encoded(picture: Image.Image) -> str:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


print(json.dumps(main(*sys.argv[1:])))
