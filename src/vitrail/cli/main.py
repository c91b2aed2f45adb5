"""The command `vitrail`, and the one place where an error becomes a sentence and an exit code."""

import errno
import sys
import traceback
from typing import Annotated

import typer
from typer.exceptions import TyperException

from vitrail.cli.audit import audit
from vitrail.cli.backbones import backbones
from vitrail.cli.bench import bench
from vitrail.cli.cache import app as cache
from vitrail.cli.compare import compare
from vitrail.cli.datasets import app as datasets
from vitrail.cli.export import export
from vitrail.cli.help import ShortGroupHelp, ShortHelp
from vitrail.cli.predict import predict
from vitrail.cli.pretrain import pretrain
from vitrail.cli.push import push
from vitrail.cli.reproduce import reproduce
from vitrail.cli.serve import serve
from vitrail.cli.streams import echo, flush_output, open_streams
from vitrail.cli.verify import verify
from vitrail.core.errors import VitrailError
from vitrail.core.machine import let_waiting_threads_sleep

INTERRUPTED = 130
INTERRUPTION = "Interrupted. What was finished is kept: the same command goes on from there."
NO_MEMORY_PHRASES = (
    "start new thread",  # in a library: our own threads raise a MachineError
    "failed to map segment",
    "annot allocate memory",
    "can't alloc",
    "bad_alloc",
)
NO_MEMORY = (
    "There is not enough memory. Close other programs, raise the limit on this process (`ulimit -a` shows it), or give "
    "--threads 1. What was finished is kept: the same command goes on from there."
)

app = typer.Typer(
    name="vitrail",
    cls=ShortGroupHelp,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(cls=ShortHelp)(bench)
app.command(cls=ShortHelp)(predict)
app.command(cls=ShortHelp)(export)
app.command(cls=ShortHelp)(push)
app.command(cls=ShortHelp)(serve)
app.command(cls=ShortHelp)(compare)
app.command(cls=ShortHelp)(verify)
app.command(cls=ShortHelp)(audit)
app.command(cls=ShortHelp)(backbones)
app.command(cls=ShortHelp)(pretrain)
app.add_typer(datasets, name="datasets")
app.add_typer(cache, name="cache")
app.add_typer(reproduce, name="reproduce")


def _print_version(requested: bool) -> None:
    if requested:
        from importlib.metadata import version

        echo(f"vitrail {version('vitrail')}")
        raise typer.Exit


@app.callback()
def _program(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Which pretrained backbone should I build on, how good will it be, and can I trust that answer?"""


def main() -> None:
    """Run the command line and exit: 0 done, 1 the work failed, 2 wrong usage, 130 interrupted."""
    let_waiting_threads_sleep()
    open_streams()
    code = _run(sys.argv[1:])
    try:
        flush_output()
    except VitrailError as error:
        code = code or _say(str(error), error.exit_code, debug=False)
    sys.exit(code)


def _run(arguments: list[str]) -> int:
    debug = "--debug" in arguments
    try:
        code = app(args=arguments, standalone_mode=False)
    except VitrailError as error:
        return _say(str(error), error.exit_code, debug=debug)
    except (KeyboardInterrupt, typer.Abort):
        return _say(INTERRUPTION, INTERRUPTED, debug=debug)
    except BrokenPipeError:
        return 0  # whoever read the output has read enough
    except SystemExit as leaving:
        if isinstance(leaving.__context__, BrokenPipeError):  # how rich ends the program
            return 0
        raise
    except TyperException as error:
        return _say(error.format_message(), error.exit_code, debug=debug)
    except Exception as error:  # noqa: BLE001 - the edge of the program
        if _is_lack_of_memory(error):
            return _say(NO_MEMORY, 1, debug=debug)
        sentence = f"{type(error).__name__}: {error}. This is a fault of Vitrail; --debug shows where it happened."
        return _say(sentence, 1, debug=debug)
    if code == INTERRUPTED:  # typer has caught the interruption itself
        return _say(INTERRUPTION, INTERRUPTED, debug=False)
    return code if isinstance(code, int) else 0


def _is_lack_of_memory(error: Exception) -> bool:
    """Whether memory or address space ended: Python, the system, the loader of a library and torch each say it."""
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    words = str(error)
    return isinstance(error, MemoryError) or any(phrase in words for phrase in NO_MEMORY_PHRASES)


def _say(message: str, code: int, *, debug: bool) -> int:
    from rich.markup import escape

    from vitrail.core.console import PrintableConsole
    from vitrail.core.printable import make_printable

    console = PrintableConsole(stderr=True, highlight=False, soft_wrap=True)
    if debug:
        console.print(traceback.format_exc(), markup=False)
    sentence = escape(make_printable(message))
    console.print(f"[bold red]Error:[/] {sentence}" if code != INTERRUPTED else sentence)
    return code
