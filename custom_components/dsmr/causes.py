"""Why does a port not open, and what is that in words?"""

import errno
from socket import gaierror
from typing import Final

from serialx.common import UnknownUriScheme

from .models import Cause

_CAUSES: Final = {
    errno.ENOENT: Cause.NO_SUCH_PORT,
    errno.ENODEV: Cause.NO_SUCH_PORT,
    errno.ENXIO: Cause.NO_SUCH_PORT,
    errno.EACCES: Cause.NO_PERMISSION,
    errno.EPERM: Cause.NO_PERMISSION,
    errno.EBUSY: Cause.BUSY,
    errno.ECONNREFUSED: Cause.REFUSED,
    errno.EHOSTUNREACH: Cause.UNREACHABLE,
    errno.EHOSTDOWN: Cause.UNREACHABLE,
    errno.ENETUNREACH: Cause.UNREACHABLE,
    errno.ENETDOWN: Cause.UNREACHABLE,
    errno.ETIMEDOUT: Cause.UNREACHABLE,
    errno.ECONNRESET: Cause.LOST,
    errno.ECONNABORTED: Cause.LOST,
    errno.EPIPE: Cause.LOST,
}
_LITTLE: Final = {Cause.REFUSED: 1, Cause.UNREACHABLE: 2, Cause.FAILED: 2}
WORDS: Final = {
    Cause.UNKNOWN_SCHEME: "there is no such kind of port",
    Cause.NO_SUCH_PORT: "there is no such port",
    Cause.NO_PERMISSION: "the port may not be opened",
    Cause.BUSY: "another program has the port",
    Cause.HELD: "it is set up twice",
    Cause.REFUSED: "the host refuses the connection",
    Cause.UNREACHABLE: "the host can't be reached",
    Cause.NOT_READY: "what opens the port is not there yet",
    Cause.FAILED: "the port can't be opened",
    Cause.LOST: "the connection was lost",
    Cause.SILENT: "nothing comes at all",
    Cause.NO_TELEGRAM: "bytes come, but no telegram",
    Cause.CHECKSUM: "the telegrams are damaged",
    Cause.WRONG_VERSION: "the telegrams are of another version",
    Cause.NO_KEY: "the telegrams are encrypted, and there is no key",
    Cause.WRONG_KEY: "the key does not fit",
    Cause.UNEXPECTED: "that should not happen",
}


def how_little(error: BaseException) -> int:
    """Return how little an error at one address of a host says, among those at the others.

    From most to least: of one where a server answers, of one where none is, and of one that is mute
    or can't be called.
    """
    # A library's own error is about what was answered.
    return _LITTLE.get(cause_of(error, is_open=False), 0) if isinstance(error, OSError) else 0


def cause_of(error: Exception, *, is_open: bool) -> Cause:
    """Return what an error means that the system or serialx raised.

    Args:
        error: what was raised.
        is_open: whether the port was open already.
    """
    if isinstance(error, UnknownUriScheme):
        return Cause.UNKNOWN_SCHEME
    if isinstance(error, gaierror):
        return Cause.UNREACHABLE
    # A library may have wrapped what the system said.
    said: BaseException | None = error
    while said is not None and not getattr(said, "errno", None):
        said = said.__cause__
    cause = _CAUSES.get(getattr(said, "errno", 0))
    if cause is not None:
        return cause
    if is_open:
        return Cause.LOST
    # Not every way to a network port tells the number of its error.
    network = isinstance(error, (TimeoutError, ConnectionError))
    return Cause.UNREACHABLE if network else Cause.FAILED
