"""What is at the other end of this port? One telegram says it."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import tzinfo
from decimal import Decimal
import itertools
import string
from typing import Any, Final

from homeassistant.const import CONF_PORT, CONF_PROTOCOL
from homeassistant.exceptions import HomeAssistantError
from homeassistant.util.hass_dict import HassKey

from .const import (
    CONF_AUTHENTICATION_KEY,
    CONF_DSMR_VERSION,
    CONF_ENCRYPTION_KEY,
    CONF_SERIAL_ID,
    CONF_SERIAL_ID_GAS,
    DOMAIN,
    DSMR_PROTOCOL,
    RFXTRX_DSMR_PROTOCOL,
)
from .detection import rule_of
from .maker import described
from .models import (
    ELECTRICITY,
    Cause,
    Connection,
    Counters,
    Disconnected,
    Event,
    MBusType,
    Reading,
    ReadingKey,
    Telegram,
)
from .obis import ENERGY_EXPORTED, ENERGY_IMPORTED, MBUS_READING, POWER_EXPORTED, POWER_IMPORTED
from .reader import QUEUE_SIZE, Reader
from .telegram import Decoder
from .versions import OTHERS, VERSIONS, SerialSettings, Version

# Which line has the identifier of the electricity meter: as in the built-in `dsmr`, so that both
# make the same unique ids of it.
_IDENTIFIER: Final = "96.1.1"
_IDENTIFIERS: Final = {
    "5L": "42.0.0",
    "5EONHU": "42.0.0",
    "MSn": "42.0.0",
    "Q3D": "0.0.0",
    "ISKRA_IE": "96.1.0",
}
_WITHOUT_IDENTIFIER: Final = frozenset({"5S", "SAGEMCOM_T210_D_R"})
LOOK: Final = 1.0
"""Seconds between two looks at whether it is the key that is missing or wrong."""
LOSSES: Final = 3
"""How often the other side may hang up: some let the one go who called before."""
_NOTHING: Final = "-"
# The dialog reads Markdown, and whoever makes the telegrams writes no links or pictures into it.
_AS_WRITTEN: Final = str.maketrans({mark: f"\\{mark}" for mark in string.punctuation})
_BEHIND: Final = {
    "gas": (MBusType.GAS,),
    "water": (MBusType.WATER, MBusType.WARM_WATER),
    "heat": (MBusType.HEAT, MBusType.HEAT_FLOW, MBusType.HEAT_COOLING),
}


class ProbeError(Exception):
    """No telegram came.

    Attributes:
        cause: why.
        looks_like: the version of the telegrams that came instead.
        holder: what else here has the port, or "".
    """

    def __init__(self, cause: Cause, looks_like: Version | None, holder: str) -> None:
        """Say why no telegram came."""
        super().__init__(cause)
        self.cause = cause
        self.looks_like = looks_like
        self.holder = holder


@dataclass(frozen=True, slots=True)
class Found:
    """What a telegram says of the meters at a port.

    Attributes:
        version: the kind of meter.
        telegram: the telegram.
        frame: its bytes, decrypted.
        serial: how the serial line was set, where it is one.
    """

    version: Version
    telegram: Telegram
    frame: bytes
    serial: SerialSettings

    @classmethod
    def by(cls, reader: Reader, telegram: Telegram) -> Found:
        """Return what a reader's last telegram says."""
        _, frame = reader.stream.heard[-1]
        return cls(reader.version, telegram, frame, reader.serial)

    @property
    def other(self) -> Version | None:
        """The kind of meter that it is, where that is not the one for which it was taken."""
        rule = rule_of(self.frame, encrypted=self.version.encrypted)
        has_all = self.identifier or self.version.key in _WITHOUT_IDENTIFIER
        version = VERSIONS[rule.version]
        # Many a telegram can be read as one of several kinds, and a person may know better.
        is_right = version is self.version or (has_all and not rule.is_certain)
        return None if is_right else version

    @property
    def identifier(self) -> str | None:
        """The identifier of the electricity meter as it sends it, or None where it sends none."""
        reading = self._electricity(_IDENTIFIERS.get(self.version.key, _IDENTIFIER))
        return str(reading.value) if reading and reading.value else None

    @property
    def gas_identifier(self) -> str | None:
        """The identifier of the first gas meter, or None where there is none."""
        meters = self.telegram.contents.meters
        gas = [meter.identifier for meter in meters if meter.type is MBusType.GAS]
        return next(filter(None, gas), None)

    @property
    def title(self) -> str:
        """What the meter is called where it is listed among other integrations."""
        maker = described(self.identifier or "", self.telegram.header).get("manufacturer")
        return f"{maker} · {self.version.label}" if maker else self.version.label

    def entry_data(self, connection: Connection) -> dict[str, Any]:
        """Return what an entry says: the built-in `dsmr` knows it, or leaves it alone.

        Args:
            connection: where the port is.
        """
        said = {
            CONF_PORT: connection.url,
            CONF_DSMR_VERSION: self.version.key,
            CONF_PROTOCOL: RFXTRX_DSMR_PROTOCOL if connection.rfxtrx else DSMR_PROTOCOL,
            CONF_SERIAL_ID: self.identifier,
            CONF_SERIAL_ID_GAS: self.gas_identifier,
        }
        if connection.keys:
            said[CONF_ENCRYPTION_KEY] = connection.keys.encryption.hex()
            if connection.keys.authentication:
                said[CONF_AUTHENTICATION_KEY] = connection.keys.authentication.hex()
        return said

    def described(self) -> dict[str, str]:
        """Return what a person may recognise the meter by, a word for each placeholder.

        What the meter calls itself is Markdown that looks as it wrote it.
        """
        meter = described(self.identifier or "", self.telegram.header)
        name = " ".join(filter(None, (meter.get("manufacturer"), meter.get("model"))))
        words = {
            "meter": name.translate(_AS_WRITTEN),
            "serial": (meter.get("serial_number") or "").translate(_AS_WRITTEN),
            "version": self.version.label,
            "imported": _shown(self._electricity(POWER_IMPORTED)),
            "exported": _shown(self._electricity(POWER_EXPORTED)),
            "consumed": _shown(self._electricity(ENERGY_IMPORTED)),
            "produced": _shown(self._electricity(ENERGY_EXPORTED)),
        }
        for energy, types in _BEHIND.items():
            readings = [
                _shown(self.telegram.readings.get(ReadingKey(meter.identity, MBUS_READING)))
                for meter in self.telegram.contents.meters
                if meter.type in types
            ]
            words[energy] = ", ".join(filter(None, readings))
        return {placeholder: word or _NOTHING for placeholder, word in words.items()}

    def _electricity(self, obis: str) -> Reading | None:
        return self.telegram.readings.get(ReadingKey(ELECTRICITY, obis))


def _shown(reading: Reading | None) -> str:
    if reading is None or not isinstance(reading.value, Decimal):
        return ""
    return f"{reading.value} {reading.unit or ''}".strip()


PROBED: Final[HassKey[dict[str, Found]]] = HassKey(f"{DOMAIN}_probed")
"""By the URL of a port of which an entry is about to be set up: what was found there."""


async def probe(
    connection: Connection,
    version: Version | None,
    zone: tzinfo,
    held_by: Callable[[Collection[str]], Awaitable[str]],
) -> Found:
    """Wait for a telegram and return what it says; the port is closed then.

    Args:
        connection: where the port is.
        version: the kind of meter, or None to find it out.
        zone: the meter's time zone.
        held_by: as in `Reader`.

    Raises:
        ProbeError: the port could not be opened; encrypted telegrams came, and the key is missing
            or wrong; or none came in the time that the slowest meter of the version takes, where
            the version is to be found out, with none of the settings that a serial line may have.
            A server may take a minute for its first byte.
    """
    queue: deque[Event] = deque(maxlen=QUEUE_SIZE)
    loop = asyncio.get_running_loop()
    found: asyncio.Future[Found] = loop.create_future()
    losses = itertools.count(1)

    def drain() -> None:
        while queue and not found.done():
            match queue.popleft():
                case Telegram() as telegram:
                    found.set_result(Found.by(reader, telegram))
                case Disconnected() if reader.cause is not Cause.LOST or next(losses) == LOSSES:
                    found.set_exception(
                        ProbeError(_cause(reader), reader.stream.looks_like, reader.opener.holder)
                    )

    reader = Reader(
        connection,
        Decoder(version or OTHERS, zone, Counters()),
        queue,
        drain,
        not_ready=(HomeAssistantError,),
    )
    reader.opener.held_by = held_by
    # What says nothing may just have passed on a telegram.
    reader.pauses.resume()
    task = asyncio.create_task(reader.run(), name=f"dsmr probe {connection.name}")
    try:
        while not found.done():
            if cause := reader.stream.lacks_key:
                raise ProbeError(cause, None, "")
            await asyncio.wait({found}, timeout=LOOK)
        return found.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _cause(reader: Reader) -> Cause:
    """Return why the reader got no telegram."""
    counters = reader.counters
    if counters.decryption_failures and not counters.checksum_failures:
        # It has not seen enough of them to be sure; a person can look at the key right away.
        return Cause.WRONG_KEY
    return reader.cause or Cause.UNEXPECTED
