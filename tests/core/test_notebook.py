import os
import subprocess
import sys

import pytest

from vitrail.core.notebook import follow, in_notebook
from vitrail.core.progress import Progress, Silent, running

DRAW = (
    "from vitrail.core.notebook import follow\n"
    "from vitrail.core.progress import running\n"
    "with follow({progress}) as shown, running(shown, 'Painting', total=2, unit='walls'):\n"
    "    shown.note('blue')\n"
    "    shown.advance('Painting', 2)\n"
)


@pytest.mark.skipif(os.name != "posix", reason="opens a pseudo-terminal")
@pytest.mark.parametrize("progress", [True, False])
def test_bars_appear_in_a_terminal_unless_they_are_not_wanted(progress: bool):
    import pty

    reader, terminal = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "80"}
    code = DRAW.format(progress=progress)
    ended = subprocess.run([sys.executable, "-c", code], stderr=terminal, stdout=subprocess.PIPE, env=environment)
    os.close(terminal)
    drawn = b""
    try:
        while block := os.read(reader, 4096):
            drawn += block
    except OSError:  # how Linux says that nothing more comes
        pass
    finally:
        os.close(reader)
    assert (ended.returncode, ended.stdout) == (0, b"")
    assert (b"Painting" in drawn, b"blue" in drawn) == (progress, progress)


def test_nothing_is_drawn_into_a_file(capfd: pytest.CaptureFixture[str]):
    assert not in_notebook()
    with follow(True) as shown, running(shown, "Painting", total=2, unit="walls"):
        shown.advance("Painting")
    assert capfd.readouterr() == ("", "")


def test_a_given_progress_receives_the_updates():
    own: Progress = Silent()
    with follow(own) as shown:
        assert shown is own
