"""certificate.html: the certificate of a model folder for people, in the style of a run's report.

It shows what is in certificate.json, and for each image with another answer its path among the run's images. It embeds
no image, has no script and fetches nothing.
"""

import re
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from vitrail.delivery.export.certificate import Certificate
from vitrail.delivery.report.environment import make_environment
from vitrail.delivery.report.words import plural

TEMPLATE = "certificate.html.j2"
PLACE = re.compile(r"^([/\\~]|[A-Za-z]:)|://|(^|[/\\])\.\.([/\\]|$)")  # a path that leads out of the images' folder


def render_certificate(certificate: Certificate, paths: Mapping[str, str]) -> str:
    """The page as HTML; `paths` has the path of each test image in the run, by id."""
    flips = (*certificate.fidelity.flips, *certificate.shift.flips)
    context: dict[str, Any] = {
        "certificate": certificate,
        "outcome": say_outcome(certificate),
        "accepted": accepts_loss(certificate),
        "version": version("vitrail"),
        "path_of": {flip.id: hide_place(paths[flip.id]) for flip in flips},
    }
    return make_environment("vitrail.delivery.export").get_template(TEMPLATE).render(context)


def say_outcome(certificate: Certificate) -> str:
    """Whether the export passed, and how many test images got the answer of the run, in one sentence."""
    images, flips = certificate.fidelity.images, len(certificate.shift.flips)
    model = f"{certificate.backbone} as {certificate.format} in {certificate.precision}"
    faults = certificate.faults()
    if faults:
        return f"Not passed: {model}, since {'; '.join(faults)}."
    word = "Accepted with a loss that is not excluded" if accepts_loss(certificate) else "Passed"
    if not flips:
        return f"{word}: {model} gives {'all ' if images > 1 else ''}{plural(images, 'test image')} the run's answer."
    return f"{word}: {model} gives {images - flips:,} of {plural(images, 'test image')} the run's answer."


def accepts_loss(certificate: Certificate) -> bool:
    """Whether the export is there only because its maker accepted a loss."""
    loss = certificate.loss
    return loss is not None and loss.accepted and loss.outcome != "excluded"


def hide_place(path: str) -> str:
    """The path of an image as the folder may show it to others: of one that names a place of this machine, its end."""
    return re.split(r"[/\\]", path)[-1] if PLACE.search(path) else path


def hide_places(text: str) -> str:
    """The same for each path in a sentence."""
    return re.sub(r"\S+", lambda word: hide_place(word[0]), text)
