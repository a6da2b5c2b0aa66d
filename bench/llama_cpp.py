"""llama.cpp's speed on a GGUF file, and on the same weights in 8 bits, by the package xllamacpp."""

import json
import tempfile
from pathlib import Path
from typing import Any

import gguf

from bench.harness import measure_in_turn


def llama_cpp_speeds(file: Path, prompt: str, count: int, rounds: int) -> dict[str, float]:
    """Tokens a second of one text by one thread, as llama.cpp itself counts them."""
    with tempfile.TemporaryDirectory() as folder:
        q8_0 = Path(folder) / "q8_0.gguf"
        convert_to_q8_0(file, q8_0)
        return {
            "q8_0": speed(q8_0, prompt, count, rounds),
            "original": speed(file, prompt, count, rounds),
        }


def speed(file: Path, prompt: str, count: int, rounds: int) -> float:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(file)
    params.n_ctx, params.n_parallel, params.n_gpu_layers = 512, 1, 0
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.verbosity = -1
    server: Any = xllamacpp.Server(params)
    request = {"prompt": prompt, "max_tokens": count, "temperature": 0, "ignore_eos": True}

    def tokens_a_second() -> float:
        reply = server.handle_completions(request)
        answer = reply if isinstance(reply, dict) else json.loads(reply)
        return float(answer["timings"]["predicted_per_second"])

    return measure_in_turn(rounds, speed=tokens_a_second).median("speed")


def convert_to_q8_0(file: Path, to: Path) -> None:
    """Writes the same model with its matrices in Q8_0."""
    reader = gguf.GGUFReader(file)
    kind = gguf.GGMLQuantizationType.Q8_0
    architecture = str(reader.fields["general.architecture"].contents())
    writer = gguf.GGUFWriter(to, architecture)
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name == "general.architecture":
            continue
        inner = field.types[1] if len(field.types) > 1 else None
        writer.add_key_value(name, field.contents(), field.types[0], sub_type=inner)
    for tensor in reader.tensors:
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        if values.ndim > 1:
            writer.add_tensor(tensor.name, gguf.quants.quantize(values, kind), raw_dtype=kind)
        else:
            writer.add_tensor(tensor.name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
