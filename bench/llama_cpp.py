"""llama.cpp's speed on a GGUF file, and on the same weights in 8 bits, by the package xllamacpp."""

import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

import gguf


def llama_cpp_speeds(file: Path, prompt: str, count: int, rounds: int) -> dict[str, float]:
    """Tokens a second of one text by one thread, as llama.cpp itself counts them."""
    with tempfile.TemporaryDirectory() as folder:
        wide = Path(folder) / "q8_0.gguf"
        widen(file, wide)
        return {
            "q8_0": speed(wide, prompt, count, rounds),
            "as_it_came": speed(file, prompt, count, rounds),
        }


def speed(file: Path, prompt: str, count: int, rounds: int) -> float:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(file)
    params.n_ctx, params.n_parallel, params.n_gpu_layers = 512, 1, 0
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.verbosity = -1
    server: Any = xllamacpp.Server(params)
    asked = {"prompt": prompt, "max_tokens": count, "temperature": 0, "ignore_eos": True}
    found = []
    for _ in range(rounds + 1):
        told = server.handle_completions(asked)
        answer = told if isinstance(told, dict) else json.loads(told)
        found.append(float(answer["timings"]["predicted_per_second"]))
    return statistics.median(found[1:])


def widen(file: Path, to: Path) -> None:
    """The same model with its matrices in Q8_0."""
    reader = gguf.GGUFReader(file)
    kind = gguf.GGMLQuantizationType.Q8_0
    architecture = str(reader.fields["general.architecture"].contents())
    out = gguf.GGUFWriter(to, architecture)
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name == "general.architecture":
            continue
        inner = field.types[1] if len(field.types) > 1 else None
        out.add_key_value(name, field.contents(), field.types[0], sub_type=inner)
    for tensor in reader.tensors:
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        if values.ndim > 1:
            out.add_tensor(tensor.name, gguf.quants.quantize(values, kind), raw_dtype=kind)
        else:
            out.add_tensor(tensor.name, values)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()
