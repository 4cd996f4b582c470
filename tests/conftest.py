"""What holds for all tests."""

import signal

import pytest

# A shell gives what it runs in the background an ignored SIGINT, and every process of that would inherit it: the tests
# that end a program with Ctrl-C would wait for ever. With a handler here, children start with the default.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def anyio_backend() -> str:
    """Async tests run on asyncio alone."""
    return "asyncio"
