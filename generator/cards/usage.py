"""How a model is used: a few lines that run, by the library that loads it, or by Cutaway itself."""

from __future__ import annotations

from pathlib import Path

from generator.cards.tree import Listing, Section
from generator.exhibit import Exhibit, ModelSpec
from generator.inputs.source import parse_source
from generator.run import PAIRS, PICTURES, Run, why_not
from generator.techniques.predictions import PREDICTIONS

_TEXT = "The weather in London is"
_NEXT = """from transformers import AutoModel{kind}, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained({name})
model = AutoModel{kind}.from_pretrained({name})
inputs = tokenizer("{text}", return_tensors="pt")
print(tokenizer.decode(model.generate(**inputs, max_new_tokens=20)[0]))"""
_MASKED = """from transformers import AutoModelForMaskedLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained({name})
model = AutoModelForMaskedLM.from_pretrained({name})
inputs = tokenizer(f"{text} {{tokenizer.mask_token}}.", return_tensors="pt")
masked = inputs.input_ids[0] == tokenizer.mask_token_id
print(tokenizer.decode(model(**inputs).logits[0, masked].argmax(-1)))"""
_VECTORS = """from transformers import AutoModel, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained({name})
model = AutoModel.from_pretrained({name})
inputs = tokenizer("{text} fine.", return_tensors="pt")
print(model(**inputs).last_hidden_state)  # a vector for each token"""
_TIMM = """import timm
import torch
from PIL import Image

model = timm.create_model({name}, pretrained=True).eval()
prepare = timm.data.create_transform(**timm.data.resolve_model_data_config(model))
picture = prepare(Image.open("picture.jpg").convert("RGB"))
with torch.no_grad():
    print(model(picture[None]).softmax(-1).topk(5))"""
_CUTAWAY = """import cutaway

run = cutaway.open({name})
print(run.table("{table}").csv)"""


def how_to_use(run: Run, exhibit: Exhibit) -> Section:
    """The section with the lines; empty for a module in memory, which nobody else can load."""
    lines = _lines(run, exhibit.model(run.model.id), exhibit.base)
    return Section("how-to-use", "How to use", (Listing(lines, "python"),) if lines else ())


def _lines(run: Run, spec: ModelSpec, base: Path) -> str:
    if run.model.provenance.source.startswith("torch.nn.Module"):
        return ""
    source = parse_source(spec.source, base)
    theirs = run.model.provenance.architecture.startswith("transformers:")
    as_it_is = spec.weights == "pretrained" and not spec.altered.any
    if as_it_is and not source.file and not source.entry:
        if source.kind == "timm":
            return _TIMM.format(name=_quoted(source.name))
        if theirs and source.kind in {"hf", "path"} and run.reads != PICTURES:
            name = source.name if source.kind == "hf" else spec.source
            return _of_transformers(run, name, source.revision)
    table = (
        "answers"
        if run.reads == PAIRS
        else "layers"
        if why_not(PREDICTIONS, run)
        else "predictions"
    )
    return _CUTAWAY.format(name=_asked(spec), table=table)


def _of_transformers(run: Run, name: str, revision: str | None) -> str:
    stated = _quoted(name) + (f", revision={_quoted(revision)}" if revision else "")
    kind = "ForSeq2SeqLM" if run.reads == PAIRS else "ForCausalLM"
    answers = "" if run.reads == PAIRS else run.language.head_kind
    made = {"masked token": _MASKED, "representation": _VECTORS}.get(answers, _NEXT)
    return made.format(name=stated, text=_TEXT, kind=kind)


def _asked(spec: ModelSpec) -> str:
    """The arguments of `cutaway.open`; what is altered, an exhibit alone can say."""
    if spec.altered.any:
        return f'{_quoted(spec.id)}, exhibit="exhibit.yml"'
    more = {
        "architecture": spec.architecture or "",
        "weights": "" if spec.weights == "pretrained" else spec.weights,
        "part": spec.part or "",
    }
    said = [f"{key}={_quoted(value)}" for key, value in more.items() if value]
    return ", ".join([_quoted(spec.source), *said])


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
