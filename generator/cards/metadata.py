"""The metadata of a card, as huggingface_hub writes it: licence, task, tags, and a model-index."""

from typing import Any

from generator.card_schema import ResultSpec
from generator.cards.changed import base_of
from generator.cards.origin import NOT_STATED, card_url
from generator.cards.stated import slug
from generator.exhibit import Exhibit
from generator.run import PAIRS, PICTURES, Run
from generator.techniques.evaluation_record import Evaluation
from generator.techniques.evaluations import EVALUATION

# What the Hub knows by these names, in lower case; any other licence is "other" with its name beside it.
_KNOWN = """
afl-3.0 agpl-3.0 apache-2.0 apple-ascl artistic-2.0 bigcode-openrail-m bigscience-bloom-rail-1.0
bigscience-openrail-m bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear bsl-1.0 c-uda cc cc-by-2.0
cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0
cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cc-by-nd-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc0-1.0
cdla-permissive-1.0 cdla-permissive-2.0 cdla-sharing-1.0 creativeml-openrail-m ecl-2.0 epl-1.0 epl-2.0
etalab-2.0 eupl-1.1 eupl-1.2 gemma gfdl gpl gpl-2.0 gpl-3.0 isc lgpl lgpl-2.1 lgpl-3.0 llama2 llama3
llama3.1 llama3.2 lppl-1.3c mit mpl-2.0 ms-pl ncsa odbl odc-by ofl-1.1 openrail openrail++ osl-3.0 pddl
postgresql unknown unlicense wtfpl zlib
"""
LICENCES = frozenset(_KNOWN.split())
_TASKS = {
    "next token": "text-generation",
    "masked token": "fill-mask",
    "representation": "feature-extraction",
}


def metadata(exhibit: Exhibit, run: Run) -> dict[str, Any]:
    """The metadata as plain values, in the Hub's order of keys; what is not stated is left out."""
    from huggingface_hub import EvalResult, ModelCardData

    said = exhibit.model(run.model.id).card
    licence, name = hub_licence(run.model.provenance.licence)
    url = card_url(exhibit, run.model.id)
    measured = (_result(one, url) for one in run[EVALUATION] if one.own and not one.limit)
    results = [EvalResult(**one) for one in (*map(_stated, said.results), *measured)]
    data = ModelCardData(
        language=list(said.language) or None,
        license=licence,
        license_name=name,
        library_name=said.library or _library(run) or None,
        pipeline_tag=said.pipeline or _pipeline(run),
        tags=[*said.tags, "cutaway"],
        datasets=list(said.datasets) or None,
        base_model=said.base_model or base_of(exhibit, run.id) or None,
        metrics=list(dict.fromkeys(result.metric_type for result in results)) or None,
        model_name=run.model.title,
        eval_results=results or None,
    )
    plain: dict[str, Any] = data.to_dict()  # type: ignore[no-untyped-call]
    return plain


def _result(one: Evaluation, url: str) -> dict[str, Any]:
    """The arguments of an EvalResult; its source is the card's page, where there is one."""
    source = {"source_name": "Cutaway", "source_url": url} if url else {}
    return {
        "task_type": one.data.task,
        "dataset_type": one.data.id,
        "dataset_name": one.data.name,
        "dataset_revision": one.data.digest,
        "metric_type": one.metric,
        "metric_name": one.metric_name,
        "metric_value": float(f"{one.value:.6g}"),
        **source,
    }


def _stated(one: ResultSpec) -> dict[str, Any]:
    """The arguments of an EvalResult that the exhibit states."""
    source = {"source_name": one.source.title, "source_url": one.source.url} if one.source else {}
    return {
        "task_type": one.task,
        "dataset_type": one.dataset_id or slug(one.dataset),
        "dataset_name": one.dataset,
        "dataset_split": one.split or None,
        "metric_type": one.metric,
        "metric_name": one.name or None,
        "metric_value": one.value,
        **source,
    }


def hub_licence(stated: str) -> tuple[str | None, str | None]:
    """The Hub's name of a licence, and the name beside "other"; nothing where none is stated."""
    if stated in ("", NOT_STATED):
        return None, None
    lower = stated.lower().removesuffix("-only").removesuffix("-or-later")
    return (lower, None) if lower in LICENCES else ("other", stated)


def _library(run: Run) -> str:
    kind = run.model.provenance.architecture.partition(":")[0]
    return kind if kind in {"timm", "transformers"} else ""


def _pipeline(run: Run) -> str:
    if run.reads == PICTURES:
        return "image-classification"
    return "text2text-generation" if run.reads == PAIRS else _TASKS[run.language.head_kind]
