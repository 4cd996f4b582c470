"""What holds for all tests, of the core and of the plugins."""

import gc
import signal
from collections.abc import Iterator

import pytest
from coverage import Coverage

from dicomgate.testing.fixtures import (  # noqa: F401 (each runs once for all that use it)
    certificates,
    evidence,
    running_orthanc,
    running_orthanc_tls,
    samba,
)

# A shell gives what it runs in the background an ignored SIGINT, and every process of that would inherit it: the tests
# that end a program with Ctrl-C would wait for ever. With a handler here, children start with the default.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="module")
def _look_only_at_what_is_new() -> None:
    """Take what earlier files left out of what the garbage collector looks at.

    Each gateway of a test asserts at its end that nothing of it is left. Nothing that was there before the file's first
    test can be of it; in a run of all tests those are hundreds of thousands of objects.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module")
def unmeasured() -> Iterator[None]:
    """Measure no coverage in a file whose lines other tests reach, too: Python takes half as long without."""
    measuring = Coverage.current()
    if measuring is not None:
        measuring.stop()
    yield
    if measuring is not None:
        measuring.start()


@pytest.fixture
def anyio_backend() -> str:
    """Async tests run on asyncio alone."""
    return "asyncio"
