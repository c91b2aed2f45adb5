"""axe-core in a real browser: what a page does wrong for readers with screen readers, keyboards or weak eyes."""

import importlib.util
import json
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.chromium import run_chromium

# The page forbids scripts, so axe runs in a copy without that policy. All folds are open, or axe would skip them.
POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
FOLD = re.compile(r"<details(?! open)(?=[ >])")
RUN = """<script>{axe}</script><script>
axe.run(document, {{resultTypes: ["violations"]}}).then(found => {{
  const output = document.createElement("pre");
  output.id = "axe-found";
  output.textContent = JSON.stringify(found.violations.map(rule => [
    rule.impact, rule.id, rule.nodes.map(node => node.target.join(" ") + " " + node.failureSummary)]));
  document.body.replaceChildren(output);
}});
</script>"""


@dataclass(frozen=True)
class Violation:
    """A rule of axe that a page breaks, how grave that is, and where."""

    impact: str
    rule: str
    places: tuple[str, ...]


def find_violations(page: str, folder: Path, *, width: int, dark: bool) -> list[Violation]:
    """Every rule of axe-core that a page breaks at a width in pixels, in the light or the dark scheme."""
    copy = FOLD.sub("<details open", POLICY.sub("", page)).replace("</body>", RUN.format(axe=read_axe()) + "</body>")
    (folder / "page.html").write_text(copy, encoding="utf-8")
    dom = run_chromium(
        folder,
        f"--blink-settings=preferredColorScheme={0 if dark else 1}",
        f"--window-size={width},900",
        "--virtual-time-budget=60000",
        "--dump-dom",
        f"file://{folder}/page.html",
    )
    found = re.search(r'<pre id="axe-found">(.*?)</pre>', dom, re.DOTALL)
    assert found, "axe did not end"
    text = found[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    return [Violation(impact=impact, rule=rule, places=tuple(places)) for impact, rule, places in json.loads(text)]


def read_axe() -> str:
    """The script of axe-core. Without it the test is skipped."""
    package = importlib.util.find_spec("axe_playwright_python")
    if package is None or package.origin is None:
        pytest.skip("needs axe-core: pip install --no-deps axe-playwright-python")
    return (Path(package.origin).parent / "axe.min.js").read_text(encoding="utf-8")
