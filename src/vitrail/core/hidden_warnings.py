"""Hides the warnings of one library inside a block, in a program of several threads."""

import re
import threading
import warnings
from contextlib import suppress


class HiddenWarnings:
    """A block in which warnings of some modules are not shown; any number of threads may be inside.

    `warnings.catch_warnings` puts the whole list of filters back when it ends, which undoes what another thread did
    meanwhile. Here one filter is there as long as any thread is inside.
    """

    def __init__(self, modules: str) -> None:
        """Hide nothing yet; `modules` is a regular expression for the start of the names of modules."""
        # The comment inside makes the pattern ours, so that taking it away never takes away a filter of somebody else.
        self._pattern = f"{modules}(?#hidden for a while)"
        self._lock = threading.Lock()
        self._users = 0

    def __enter__(self) -> None:
        with self._lock:
            if self._users == 0:
                warnings.filterwarnings("ignore", module=self._pattern)
            self._users += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._users -= 1
            # Where another thread's catch_warnings has taken the filter away already, there is nothing to do.
            if self._users == 0 and isinstance(warnings.filters, list):
                with suppress(ValueError):
                    warnings.filters.remove(("ignore", None, Warning, re.compile(self._pattern), 0))
