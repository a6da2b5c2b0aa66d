"""Folders and GGUF files to checkpoints that write what transformers writes from them."""

import json
import shutil
from pathlib import Path
from typing import Any, cast

import gguf
import numpy as np
import pytest
import torch
from tokenizers import models, pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast

from models.checkpoint.header import CheckpointError
from models.checkpoint.weights import load
from models.convert.importers import import_language
from models.engine.batching import Placement
from models.engine.flow import run_alone
from models.engine.noise import seeded
from models.language.language import Language
from models.params.text import LanguageParams
from tests.models.convert.test_gguf_tokenizer import mixed_texts
from tests.models.tiny_language import LLAMA, MARKS, MERGED, TEMPLATE, saved_folder, tokenizer

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved_folder(tmp_path_factory.mktemp("downloads") / "Tiny-Llama")


def written(path: Path, text: str) -> str:
    family = Language(load(path), Placement(CPU))
    params = LanguageParams(kind="completion", text=text, max_tokens=20, temperature=0.0)
    (artifact,) = run_alone(family.generate(params, seeded(1)))
    return str(cast(Any, artifact).text)


def generated(folder: Path, text: str, **named: str) -> str:
    maker: Any = AutoModelForCausalLM  # it has no types
    net = maker.from_pretrained(folder, dtype=torch.float32, **named)
    peer = PreTrainedTokenizerFast(tokenizer_object=tokenizer())
    ids = torch.tensor([peer.encode(text)])
    out = net.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=20,
        do_sample=False,
        pad_token_id=2,
        eos_token_id=[0, 1, 2],
    )
    return peer.decode(out[0, ids.shape[1] :], skip_special_tokens=True)


def test_a_folder_becomes_a_checkpoint_that_writes_as_it_does(folder: Path, tmp_path: Path) -> None:
    path = import_language(folder, None, tmp_path, "tiny", {"title": "Tiny", "licence": "MIT"})
    header = load(path).header
    assert (header.family, header.title, header.licence) == ("language", "Tiny", "MIT")
    assert header.net["context"] == 1024
    assert header.limits["max_tokens"] == (1, 1023)
    assert cast(Any, header.net)["words"]["ends"] == [0, 1, 2]
    assert written(path, "the ant ran") == generated(folder, "the ant ran")
    with pytest.raises(CheckpointError, match="there already"):
        import_language(folder, None, tmp_path, "tiny", {})


def test_a_context_of_ones_own(folder: Path, tmp_path: Path) -> None:
    path = import_language(folder, 64, tmp_path, "short", {})
    assert load(path).header.limits["max_tokens"] == (1, 63)
    with pytest.raises(CheckpointError, match="between 2 and 1024, not 1025"):
        import_language(folder, 1025, tmp_path, "long", {})


def test_what_is_no_language_model_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match="empty can't be read: it is no language model"):
        import_language(tmp_path / "empty", None, tmp_path, "x", {})
    other = tmp_path / "x.gguf"
    other.write_bytes(b"GGML" * 100)
    with pytest.raises(CheckpointError, match="neither a folder nor a GGUF file"):
        import_language(other, None, tmp_path, "x", {})
    assert not list(tmp_path.glob("*.safetensors"))


def test_of_several_chat_templates_the_usual_one_is_taken(tmp_path: Path) -> None:
    folder = saved_folder(tmp_path / "several")
    peer = PreTrainedTokenizerFast.from_pretrained(folder)
    peer.chat_template = {"default": TEMPLATE, "tool_use": "{{ tools }}"}
    peer.save_pretrained(folder)
    assert isinstance(PreTrainedTokenizerFast.from_pretrained(folder).chat_template, dict)
    checkpoint = load(import_language(folder, None, tmp_path, "several", {}))
    assert cast(Any, checkpoint.header.net)["words"]["chat_template"] == TEMPLATE
    peer.chat_template = {"rag": TEMPLATE, "tool_use": "{{ tools }}"}
    shutil.rmtree(folder / "additional_chat_templates")
    (folder / "chat_template.jinja").unlink()
    peer.save_pretrained(folder)
    with pytest.raises(CheckpointError, match=r"templates \(rag, tool_use\), and none called"):
        import_language(folder, None, tmp_path, "neither", {})


def test_a_folders_own_tokenizer_is_taken(tmp_path: Path) -> None:
    """transformers makes one of this class anew, and forgets that digits stand alone."""
    folder = saved_folder(tmp_path / "digits")
    source = tokenizer()
    source.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), source.pre_tokenizer]
    )
    vocab = {**source.get_vocab(), "12": 267}
    source.model = models.BPE(vocab=vocab, merges=[("t", "h"), ("1", "2")])
    (folder / "tokenizer.json").write_text(source.to_str())
    config = json.loads((folder / "tokenizer_config.json").read_text())
    config["tokenizer_class"] = "GPT2Tokenizer"
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    assert read(folder, "12") != source.encode("12").ids  # as transformers has it
    path = import_language(folder, None, tmp_path, "digits", {})
    text_tokens = Language(load(path), Placement(CPU)).runtime.tokenizer
    source.encode_special_tokens = True
    for text in mixed_texts():
        assert text_tokens.of_text(text) == source.encode(text).ids


def read(folder: Path, text: str) -> list[int]:
    peer: Any = AutoTokenizer.from_pretrained(folder)
    return list(peer(text)["input_ids"])


def ends_of(path: Path) -> list[int]:
    return list(cast(Any, load(path).header.net)["words"]["ends"])


def test_the_token_that_ends_a_turn_ends_a_text(tmp_path: Path) -> None:
    """It is not the end mark of this folder: its template alone writes it."""
    folder = saved_folder(tmp_path / "turns")
    peer = PreTrainedTokenizerFast.from_pretrained(folder)
    peer.add_tokens(["<turn>"], special_tokens=True)
    peer.chat_template = TEMPLATE.replace("<|im_end|>", "<turn>")
    peer.save_pretrained(folder)
    path = import_language(folder, None, tmp_path, "turns", {})
    turn = peer.convert_tokens_to_ids("<turn>")
    assert turn in Language(load(path), Placement(CPU)).runtime.tokenizer.ends
    peer.add_tokens(["<|eot_id|>"], special_tokens=True)
    peer.save_pretrained(folder)
    named = peer.convert_tokens_to_ids("<|eot_id|>")
    assert named in ends_of(import_language(folder, None, tmp_path, "named", {}))


def test_a_chat_template_that_never_ends_is_not_imported(tmp_path: Path) -> None:
    folder = saved_folder(tmp_path / "loop")
    peer = PreTrainedTokenizerFast.from_pretrained(folder)
    loop = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"
    peer.chat_template = loop + TEMPLATE
    peer.save_pretrained(folder)
    with pytest.raises(CheckpointError, match="chat template can't be used: it takes too long"):
        import_language(folder, None, tmp_path, "loop", {})
    assert not list(tmp_path.glob("*.safetensors"))


@pytest.fixture(scope="module")
def one_file(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same model as llama.cpp has it: names, and queries and keys whose halves are woven."""
    return gguf_file(folder, tmp_path_factory.mktemp("gguf") / "tiny.Q8_0.gguf")


def gguf_file(folder: Path, path: Path, pre: str | None = "smollm", **more: int) -> Path:
    out = gguf.GGUFWriter(path, "llama")
    config = cast(Any, LLAMA)
    out.add_name("tiny")
    out.add_context_length(config["max_position_embeddings"])
    out.add_embedding_length(config["hidden_size"])
    out.add_block_count(config["num_hidden_layers"])
    out.add_feed_forward_length(config["intermediate_size"])
    out.add_head_count(config["num_attention_heads"])
    out.add_head_count_kv(config["num_key_value_heads"])
    out.add_rope_dimension_count(config["head_dim"])
    out.add_key_length(config["head_dim"])
    out.add_value_length(config["head_dim"])
    out.add_layer_norm_rms_eps(1e-6)
    out.add_rope_freq_base(10000.0)
    out.add_vocab_size(config["vocab_size"])
    vocab = sorted(tokenizer().get_vocab().items(), key=lambda pair: pair[1])
    tokens = [word for word, _ in vocab]
    tokens += [f"<unused{i}>" for i in range(config["vocab_size"] - len(tokens))]
    out.add_tokenizer_model("gpt2")
    if pre is not None:
        out.add_tokenizer_pre(pre)
    for name, value in more.items():
        out.add_uint32(name.replace("__", "."), value)
    out.add_token_list(tokens)
    out.add_token_types([3 if word in MARKS else 1 for word in tokens])
    pairs = ["t h", "h e", "i n", "a n", "e r", "t he", "Ġ t", "Ġ a"]
    assert len(pairs) == len(MERGED)
    out.add_token_merges(pairs)
    out.add_bos_token_id(1)
    out.add_eos_token_id(2)
    out.add_unk_token_id(0)
    out.add_pad_token_id(2)
    out.add_chat_template(TEMPLATE)
    maker: Any = AutoModelForCausalLM
    weights = maker.from_pretrained(folder, dtype=torch.float32).state_dict()
    for name, tensor in weights.items():
        if name != "lm_head.weight":
            add_tensor(out, name, tensor.numpy())
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()
    return path


def add_tensor(out: gguf.GGUFWriter, name: str, values: "np.ndarray[Any, Any]") -> None:
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, 2)
    called = names.get_name(name, try_suffixes=(".weight",))
    for projection, heads in (("q_proj", "num_attention_heads"), ("k_proj", "num_key_value_heads")):
        if projection in name:
            count = cast(int, LLAMA[heads])
            woven = values.reshape(count, 2, -1, values.shape[1]).swapaxes(1, 2)
            values = np.ascontiguousarray(woven.reshape(values.shape))
    assert called
    if values.ndim == 1:
        out.add_tensor(called, values)
    else:
        kind = gguf.GGMLQuantizationType.Q8_0
        out.add_tensor(called, gguf.quants.quantize(values, kind), raw_dtype=kind)


def test_a_gguf_file_becomes_a_checkpoint_that_writes_as_it_does(
    folder: Path, one_file: Path, tmp_path: Path
) -> None:
    path = import_language(one_file, None, tmp_path, "tiny", {})
    checkpoint = load(path)
    kinds = {t.dtype for name, t in checkpoint.tensors.items() if name != "words.tokenizer"}
    assert kinds == {torch.bfloat16}
    assert cast(Any, checkpoint.header.net)["words"]["chat_template"] == TEMPLATE
    plain: Any = AutoModelForCausalLM
    for name, tensor in plain.from_pretrained(folder, dtype=torch.float32).state_dict().items():
        if name != "lm_head.weight":
            assert torch.allclose(checkpoint.tensors[name].float(), tensor, atol=0.02), name
    assert written(path, "the ant ran")


def test_odd_gguf_files_are_read(folder: Path, tmp_path: Path) -> None:
    """One that says nothing of splitting, and ends a turn by a token of its own."""
    odd = gguf_file(
        folder, tmp_path / "odd.gguf", None, tokenizer__ggml__eot_token_id=9, split__count=0
    )
    path = import_language(odd, None, tmp_path, "odd", {})
    assert 9 in ends_of(path)
    assert "does not say how texts are split" in load(path).header.limitations


@pytest.mark.parametrize(
    ("pre", "more", "reason"),
    [
        ("nosuch", {}, "not known here: 'nosuch'"),
        ("smollm", {"split__count": 3}, "one of 3 files of a model"),
    ],
)
def test_odd_gguf_files_that_cant_be_read_are_refused(
    folder: Path, tmp_path: Path, pre: str, more: dict[str, int], reason: str
) -> None:
    with pytest.raises(CheckpointError, match=reason):
        import_language(
            gguf_file(folder, tmp_path / "odd.gguf", pre, **more), None, tmp_path, "x", {}
        )


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9, 0.999])
def test_a_gguf_file_that_is_cut_short_is_refused(
    one_file: Path, tmp_path: Path, kept: float
) -> None:
    whole = one_file.read_bytes()
    short = tmp_path / "short.gguf"
    short.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(CheckpointError, match=r"short.gguf can't be read: .* cut short"):
        import_language(short, None, tmp_path, "x", {})
    assert not list(tmp_path.glob("*.safetensors"))
