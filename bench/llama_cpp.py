"""llama.cpp's speed on a GGUF file, and on the same weights in 8 bits, by the package xllamacpp."""

import json
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from time import process_time
from typing import Any

import gguf

from bench.harness import Unfinished


@contextmanager
def both_precisions(file: Path) -> Iterator[dict[str, Path]]:
    """A GGUF file as it is, and the same weights in 8 bits."""
    with tempfile.TemporaryDirectory() as folder:
        q8_0 = Path(folder) / "q8_0.gguf"
        convert_to_q8_0(file, q8_0)
        yield {"q8_0": q8_0, "original": file}


class LlamaCppServer:
    """llama.cpp's server in this process, by one thread."""

    def __init__(self, file: Path, texts: int, context: int) -> None:
        """For so many texts side by side, of `context` tokens each."""
        import xllamacpp

        params = xllamacpp.CommonParams()
        params.model.path = str(file)
        params.n_ctx, params.n_parallel, params.n_gpu_layers = texts * context, texts, 0
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
        params.verbosity = -1
        self._server: Any = xllamacpp.Server(params)

    def speed(self, prompts: Sequence[str], count: int) -> float:
        """Tokens a second of processor time, of all these texts at once."""
        start = process_time()
        with ThreadPoolExecutor(len(prompts)) as threads:
            answers = list(threads.map(lambda prompt: self._complete(prompt, count), prompts))
        seconds = process_time() - start
        written = sum(int(answer["timings"]["predicted_n"]) for answer in answers)
        if written != count * len(prompts):
            raise Unfinished(f"llama.cpp wrote {written} tokens")
        return written / seconds

    def _complete(self, prompt: str, count: int) -> Any:
        request = {"prompt": prompt, "max_tokens": count, "temperature": 0, "ignore_eos": True}
        return _answer(self._server.handle_completions({**request, "cache_prompt": False}))

    def seconds_to_answer(self, messages: Sequence[Any], count: int) -> float:
        """Seconds to the first token of the last answer, just after the one before it."""
        self._chat(messages[:-2], count, cache=True)
        start = process_time()
        timings = self._chat(messages, 1, cache=True)["timings"]
        seconds = process_time() - start
        if not timings["cache_n"]:
            raise Unfinished("llama.cpp has reused nothing")
        return seconds

    def seconds_read_afresh(self, messages: Sequence[Any]) -> float:
        """The same where nothing is reused."""
        start = process_time()
        timings = self._chat(messages, 1, cache=False)["timings"]
        seconds = process_time() - start
        if timings["cache_n"]:
            raise Unfinished("llama.cpp has reused its cache")
        return seconds

    def _chat(self, messages: Sequence[Any], count: int, cache: bool) -> Any:
        request = {"messages": messages, "max_tokens": count, "temperature": 0}
        return _answer(self._server.handle_chat_completions({**request, "cache_prompt": cache}))


def _answer(reply: Any) -> Any:
    return reply if isinstance(reply, dict) else json.loads(reply)


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
