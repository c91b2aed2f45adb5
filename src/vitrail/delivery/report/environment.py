"""How every page is rendered: texts of users are escaped, and a name that a template lacks is an error."""

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from vitrail.delivery.report import words

PACKAGE = "vitrail.delivery.report"  # its style sheets and macros are every page's


def make_environment(*packages: str) -> Environment:
    """The templates of the packages, with those of the report."""
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package) for package in (*packages, PACKAGE)]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(words.FILTERS)
    return environment
