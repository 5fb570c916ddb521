"""How is an ESPHome left, and who says that it is gone?"""

from contextlib import suppress
from contextvars import ContextVar
import logging
from typing import Any, override

from serialx import BaseSerialTransport

_is_here: ContextVar[bool] = ContextVar("_is_here", default=False)
_TRANSPORTS: dict[str, type[BaseSerialTransport]] = {}


def _is_of_others(record: logging.LogRecord) -> bool:
    """Return whether a record is none of a connection that is made here.

    aioesphomeapi warns of each attempt that fails, every two seconds while a device is off. The
    reader says the same once.
    """
    return record.levelno < logging.WARNING or not _is_here.get()


# It is there where the ESPHome integration is.
with suppress(ImportError):
    from aioesphomeapi.client import APIClient
    from serialx.platforms.serial_esphome import ESPHomeSerialTransport

    logging.getLogger("aioesphomeapi.connection").addFilter(_is_of_others)

    class _Transport(ESPHomeSerialTransport):
        """A serial proxy, which is left without waiting for its farewell.

        serialx waits ten seconds for one from a device that is gone, and opens nothing meanwhile.
        """

        @override
        async def _connect(self, **settings: Any) -> None:
            _is_here.set(True)
            await super()._connect(**settings)

        @override
        async def _async_close(self, api: APIClient, exc: OSError | None) -> None:
            api.force_disconnect()
            self._call_protocol_connection_lost(exc)

    _TRANSPORTS["esphome"] = _Transport


def transport_of(url: str) -> type[BaseSerialTransport] | None:
    """Return with what serialx is to open a port, or None for what it takes by itself."""
    return _TRANSPORTS.get(url.partition(":")[0].lower())
