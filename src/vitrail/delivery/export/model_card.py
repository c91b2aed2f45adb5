"""README.md of a model folder: a model card in the form that the Hugging Face hub reads, metadata first.

Names of data, classes and backbones come from users and files. In the metadata huggingface_hub quotes them as YAML; in
the text every value that is not marked as Markdown is escaped as it is put in.
"""

import re
from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from vitrail.backbones.cards import NOT_STATED
from vitrail.backbones.display_names import display_names
from vitrail.core.printable import make_printable
from vitrail.core.resources import Resources
from vitrail.data.named.hub_sets import NAME, HubSource
from vitrail.delivery.answer import data_of
from vitrail.delivery.export.certificate import Certificate
from vitrail.delivery.export.certificate_page import hide_places, say_outcome
from vitrail.delivery.report import words
from vitrail.delivery.report.facts import collect_data_facts
from vitrail.evaluation import DecidingMetric
from vitrail.evaluation.winners_curse import say_winner
from vitrail.fetch.hub import REPOSITORY
from vitrail.runs import BackboneResult, Results, say_openings

TEMPLATE = "README.md.j2"
TASK = "image-classification"
LIBRARY = "vitrail"
# Licences that the hub knows, by the names that cards have; https://huggingface.co/docs/hub/repositories-licenses
HUB_LICENCES = {
    "Apache-2.0": "apache-2.0",
    "BSD-3-Clause": "bsd-3-clause",
    "CC-BY-4.0": "cc-by-4.0",
    "CC-BY-NC-4.0": "cc-by-nc-4.0",
    "CC-BY-NC-SA-4.0": "cc-by-nc-sa-4.0",
    "MIT": "mit",
}
SHOWN_CLASSES = 30
# What may begin markup anywhere, or at the beginning of a line.
ACTIVE = re.compile(r"[\\`*_{}\[\]<>&#|~$@]|(?<=:)//|^[-+=]")


def render_card(results: Results, facts: Mapping[str, Any], certificate: Certificate) -> str:
    """The card as text.

    Args:
        results: of the run.
        facts: what model.json says.
        certificate: of the model.
    """
    result = next(result for result in results.backbones if result.name == certificate.backbone)
    context = {
        "run": results,
        "result": result,
        "facts": facts,
        "weights": facts["weights"],
        "certificate": certificate,
        "name": display_names([result])[result.name],
        "outcome": say_outcome(certificate),
        "data": collect_data_facts(results),
        "shown": SHOWN_CLASSES,
        "openings": say_openings(results.split.test_openings, results.split.first_opened),
        "luck": _say_luck(results, result),
        "caveats": _list_caveats(results, result),
        "base": _find_base(facts),
    }
    body = _make_environment().get_template(TEMPLATE).render(context)
    return f"---\n{describe_metadata(results, result, facts)}\n---\n\n{body}\n"


def describe_metadata(results: Results, result: BackboneResult, facts: Mapping[str, Any]) -> str:
    """The metadata of the card as YAML."""
    from huggingface_hub import EvalResult, ModelCardData

    licence = facts["weights"]["licence"]
    known = bool(licence) and not licence.startswith(NOT_STATED)
    data_set = _find_data_set(results)
    metrics = (
        ("accuracy", "Accuracy", result.test.top1),
        ("balanced_accuracy", "Balanced accuracy", result.test.balanced_accuracy),
        ("f1", "Macro F1", result.test.macro_f1),
    )
    data = ModelCardData(
        pipeline_tag=TASK,
        library_name=LIBRARY,
        license=HUB_LICENCES.get(licence, "other") if known else "unknown",
        license_name=_plain(licence) if known and licence not in HUB_LICENCES else None,
        base_model=_find_base(facts),
        datasets=data_set,
        tags=[LIBRARY, TASK, facts["format"]],
        model_name=_plain(f"{facts['backbone']} on {results.data.name}"),
        eval_results=[
            EvalResult(
                task_type=TASK,
                dataset_type=data_set or "other",
                dataset_name=_plain(results.data.name),
                dataset_split="test",
                metric_type=kind,
                metric_name=f"{label}, {100 * rate.level:g}% interval {rate.low:.3f} to {rate.high:.3f}",
                metric_value=round(rate.value, 4),
                metric_args={"low": rate.low, "high": rate.high, "level": rate.level, "images": rate.n},
            )
            for kind, label, rate in metrics
        ],
    )
    return data.to_yaml()


def escape_markdown(text: str) -> Markup:
    """The text on one line, with a backslash before each character that begins markup."""
    return Markup(ACTIVE.sub(r"\\\g<0>", _plain(text)))  # noqa: S704 - this is the escaping


def quote_name(text: str) -> Markup:
    """A name as code, in which no character begins markup."""
    line = _plain(text)
    fence = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return Markup(f"{fence}{pad}{line}{pad}{fence}")  # noqa: S704 - likewise


def _plain(text: str) -> str:
    return make_printable(" ".join(text.split()))


def _say_luck(results: Results, result: BackboneResult) -> tuple[str, ...]:
    """That the figures are those of the best of several backbones, if they are."""
    if results.winner is None or results.winner.name != result.name:
        return ()
    return say_winner(results.winner, DecidingMetric(name=results.options.decide_by))


def _list_caveats(results: Results, result: BackboneResult) -> list[str]:
    """What to know of the figures, but for what has a place of its own."""
    of_run = results.decision.caveats if result.name == results.decision.choose else ()
    elsewhere = (result.contamination.sentence, *_say_luck(results, result))
    caveats = dict.fromkeys((*of_run, *results.data.warnings))
    return [hide_places(caveat) for caveat in caveats if caveat not in elsewhere]


def _find_base(facts: Mapping[str, Any]) -> str | None:
    """The repository of the weights; None if they are not on the hub."""
    repository: str = facts["weights"]["repository"]
    return repository if "/" in repository and REPOSITORY.fullmatch(repository) else None


def _find_data_set(results: Results) -> str | None:
    """The repository of the images; None if they are not known to be on the hub."""
    data = data_of(results.command)
    match = NAME.fullmatch(data)
    named = match is not None and HubSource(data, Resources()).name == results.data.name
    return match["repository"] if match is not None and named else None


def _make_environment() -> Environment:
    environment = Environment(  # noqa: S701 - `finalize` escapes for Markdown
        loader=PackageLoader("vitrail.delivery.export"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: value if isinstance(value, Markup) else escape_markdown(str(value)),
    )
    environment.filters.update(words.FILTERS, name=quote_name)
    return environment
