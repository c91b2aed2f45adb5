"""What a container of a model folder installs."""

from importlib.metadata import requires
from importlib.resources import files
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[3]
SERVE = files("vitrail.delivery.export") / "folder" / "requirements-serve.txt"


def read_pins(text: str) -> dict[str, str]:
    """The version of each package of a list, by its normalised name."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, _, version in (line.partition("==") for line in lines)}


def test_the_service_has_the_versions_that_are_tested():
    pins = read_pins(SERVE.read_text(encoding="utf-8"))
    tested = read_pins((ROOT / "constraints.txt").read_text(encoding="utf-8"))
    assert pins == {name: tested[name] for name in pins}


def test_the_service_has_everything_that_its_packages_need_and_no_torch():
    pins = read_pins(SERVE.read_text(encoding="utf-8"))
    needed = {
        canonicalize_name(requirement.name)
        for name in pins
        for requirement in map(Requirement, requires(name) or ())
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""})
    }
    assert needed - pins.keys() == {"numpy"}, "numpy, Pillow and the runtime are in the folder's requirements.txt"
    assert not {"torch", "scikit-learn", "huggingface-hub"} & pins.keys()
