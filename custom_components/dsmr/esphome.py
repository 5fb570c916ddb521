"""How is an ESPHome opened and left, and who says that it is gone?"""

import asyncio
from contextlib import suppress
from contextvars import ContextVar
import logging
from operator import attrgetter
import re
from typing import Any, override

from serialx import BaseSerialTransport

from .addresses import keep_asking, scheme_of

_is_here: ContextVar[bool] = ContextVar("_is_here", default=False)
_TRANSPORTS: dict[str, type[BaseSerialTransport]] = {}
_NOT_READY: dict[str, tuple[type[Exception], ...]] = {}
# Nothing public has it.
_SOCKET = attrgetter("_serial._api._connection._socket")
_KEY = re.compile(r"(?<=[?&])(key|noise_psk)=[^&#]*")


def _is_of_others(record: logging.LogRecord) -> bool:
    """Return whether a record is none of a connection that is made here.

    aioesphomeapi warns of each attempt that fails, every two seconds while a device is off. The
    reader says the same once.
    """
    return record.levelno < logging.WARNING or not _is_here.get()


# It is there where the ESPHome integration is.
with suppress(ImportError):
    from aioesphomeapi.client import APIClient
    from serialx.platforms.serial_esphome import ESPHomeSerialTransport, InvalidSettingsError

    logging.getLogger("aioesphomeapi.connection").addFilter(_is_of_others)

    class _Transport(ESPHomeSerialTransport):
        """A serial proxy, which is left without waiting for its farewell.

        serialx waits ten seconds for one from a device that is gone, and opens nothing meanwhile.
        """

        @override
        async def _connect(self, **settings: Any) -> None:
            _is_here.set(True)
            # A + that is written as such means a blank, and half of all keys have one.
            settings["path"] = _KEY.sub(lambda key: key[0].replace("+", "%2B"), settings["path"])
            loop = asyncio.get_running_loop()
            async with asyncio.timeout(None) as limit:
                due = settings["connect_timeout"]
                look = loop.call_later(due, self._look_for_the_host, limit)
                try:
                    await super()._connect(**settings)
                finally:
                    look.cancel()
            # Without it, a device that was without power is only noticed later.
            with suppress(AttributeError):
                keep_asking(_SOCKET(self))

        def _look_for_the_host(self, limit: asyncio.Timeout) -> None:
            """Give up on a host that has not answered: aioesphomeapi waits a minute for one.

            Where nothing says that it can't be reached, the system tries more and more rarely.
            """
            api = self._serial._api if self._serial else None  # noqa: SLF001 (nothing else has it)
            if api is None or api.connected_address is None:
                limit.reschedule(asyncio.get_running_loop().time())

        @override
        async def _async_close(self, api: APIClient, exc: OSError | None) -> None:
            api.force_disconnect()
            self._call_protocol_connection_lost(exc)

    _TRANSPORTS["esphome"] = _Transport
    # Home Assistant's ESPHome raises it where the entry in the URL is not loaded.
    _NOT_READY["esphome-hass"] = (InvalidSettingsError,)


def transport_of(url: str) -> type[BaseSerialTransport] | None:
    """Return with what serialx is to open a port, or None for what it takes by itself."""
    return _TRANSPORTS.get(scheme_of(url))


def not_ready_of(url: str) -> tuple[type[Exception], ...]:
    """Return what is raised as long as something else has to come before a port can be opened."""
    return _NOT_READY.get(scheme_of(url), ())
