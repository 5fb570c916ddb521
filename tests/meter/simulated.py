"""A simulated meter: a model's telegram with the values of a living household."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import product
from math import hypot
from pathlib import Path
import re

from .day import AMSTERDAM, Household, low_tariff
from .wire import encrypted, telegram

_TELEGRAMS = Path(__file__).parent.parent / "telegrams"
_START = datetime(2026, 11, 12, 7, tzinfo=AMSTERDAM)
_QUARTER_HOUR = 900

type _Source = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Model:
    """A meter model.

    Attributes:
        version: the integration's `dsmr_version`.
        interval: seconds between telegrams.
        mbus_interval: seconds between readings of the gas, water or heat meter.
        low_tariff: the number of the low tariff.
    """

    version: str
    interval: int = 10
    mbus_interval: int = 3600
    low_tariff: int = 1


MODELS = {
    "iskra-me382": Model("2.2"),
    "iskra-mt382": Model("2.2"),
    "kamstrup-382": Model("2.2"),
    "landisgyr-e350": Model("4"),
    "landisgyr-zcf110": Model("4"),
    "landisgyr-zmf110": Model("4"),
    "kaifa-e0026-v42": Model("4"),
    "iskra-am550": Model("5", 1, 300),
    "kaifa-e0026-v50": Model("5", 1, 300),
    "landisgyr-e360": Model("5", 1, 300),
    "sagemcom-xs210": Model("5", 1, 300),
    "lithuania-eso": Model("5"),
    "warmtelink-kamstrup": Model("5", 10, 10),
    "fluvius-t211": Model("5B", 1, 300, low_tariff=2),
    "fluvius-water-gas": Model("5B", 1, 300, low_tariff=2),
    "smarty-t210d": Model("5L", 10, 900),
    "aidon-6534": Model("5S"),
    "sagemcom-hungary": Model("5EONHU", low_tariff=2),
    "sagemcom-t210d-r": Model("SAGEMCOM_T210_D_R", low_tariff=2),
    "easymeter-q3d": Model("Q3D"),
    "iskra-ie5": Model("ISKRA_IE", 1, low_tariff=2),
}

_VOLUMES = {3: "gas", 4: "heat", 6: "water", 7: "water", 12: "heat"}  # by M-Bus device type

# By OBIS group value C, in total; per phase it is 20, 40 or 60 more.
_POWER: dict[int, Callable[[int, int], float]] = {
    1: lambda watts, _: max(watts, 0),
    2: lambda watts, _: max(-watts, 0),
    3: lambda _, var: max(var, 0),
    4: lambda _, var: max(-var, 0),
    5: lambda watts, var: max(var, 0) if watts >= 0 else 0,
    6: lambda watts, var: max(var, 0) if watts < 0 else 0,
    7: lambda watts, var: max(-var, 0) if watts < 0 else 0,
    8: lambda watts, var: max(-var, 0) if watts >= 0 else 0,
    9: lambda watts, var: hypot(watts, var) if watts >= 0 else 0,
    10: lambda watts, var: hypot(watts, var) if watts < 0 else 0,
}

# DSMR 2.2 has the reading of a gas meter on a line of its own, after its unit.
_LINE = re.compile(
    r"^\d-(?P<channel>\d):(?P<obis>\d+\.\d+\.\d+)(?:\*255)?"
    r"(?:\((?P<time>\d{12}[SW]?)\))?"
    r"(?:\(\d\d\)\(60\)\(1\)\(\d-\d:24\.2\.1\)\((?P<unit_apart>\w*)\)\r\n)?"
    r"(?:\((?P<number>\d+(?:\.(?P<decimals>\d+))?)(?:\*(?P<unit>\w+))?\))?(?=\r\n)",
    re.MULTILINE,
)


class SimulatedMeter:
    """A meter of one model, on a simulated clock.

    Attributes:
        version: the integration's `dsmr_version`.
        interval: seconds between telegrams.
    """

    def __init__(
        self,
        model: str = "iskra-am550",
        *,
        seed: int = 1,
        start: datetime | None = None,
        key: bytes | None = None,
        authentication_key: bytes = b"",
    ) -> None:
        """Read the model's telegram.

        Args:
            model: a key of MODELS.
            seed: which household; the same seed and start give the same telegrams.
            start: the time one interval before the first telegram, in Europe/Amsterdam unless it
                has a time zone; None is a fixed morning.
            key: the 16 bytes with which it encrypts its telegrams, or None where it does not.
            authentication_key: the 16 bytes that go into the tag of an encrypted telegram, or none.

        Raises:
            KeyError: there is no such model.
        """
        self._model = MODELS[model]
        self._key, self._authentication_key = key, authentication_key
        self._frames = 0
        self.version, self.interval = self._model.version, self._model.interval
        # Bytes, because reading text would change the line ends.
        template = (_TELEGRAMS / f"{model}.txt").read_bytes().decode("ascii")
        body, _, crc = template.rpartition("!")
        self._checksum = crc != "\r\n"

        # A phase is measured if it has a power (21, 41, 61) or a current (31, 51, 71).
        phases = {int(tens) // 2 for tens in re.findall(r":([2-7])1\.7\.0", body)}
        if "52.7.0(000.0*V)" in body:  # a 3x230 V grid
            phases.remove(2)
        start = start or _START
        self._household = Household(
            seed,
            start if start.tzinfo else start.replace(tzinfo=AMSTERDAM),
            phases=phases,
            solar=":2.8." in body,
        )
        self._devices = dict(re.findall(r"0-(\d):24\.1\.0\((\d+)\)", body))
        self._volumes = self._household.volumes.copy()
        self._mbus_time = self._whole(self._model.mbus_interval)
        self._quarter_hour, self._imported = self._whole(_QUARTER_HOUR), 0
        month = self._household.now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        self._peak, self._peak_time = 0.0, month.timestamp()

        self._values: list[Callable[[], str | float]] = []
        self._format = _LINE.sub(self._conversions, body).removesuffix("\r\n")

    def next_telegram(self) -> bytes:
        """Advance the clock by the interval and return what the meter sends then."""
        self._household.advance(self.interval)
        mbus_time = self._whole(self._model.mbus_interval)
        if mbus_time != self._mbus_time:
            self._mbus_time, self._volumes = mbus_time, self._household.volumes.copy()
        quarter_hour = self._whole(_QUARTER_HOUR)
        if quarter_hour != self._quarter_hour:
            self._end_quarter_hour(quarter_hour)
        text = self._format % tuple([value() for value in self._values])
        plain = telegram(text.split("\r\n"), checksum=self._checksum)
        if self._key is None:
            return plain
        self._frames += 1
        return encrypted(plain, self._key, self._authentication_key, counter=self._frames)

    def _whole(self, seconds: int) -> int:
        """Return when (s since 1970) the clock last showed a multiple of `seconds`."""
        return int(self._household.now.timestamp()) // seconds * seconds

    def _demand(self) -> float:
        """Return what the running quarter hour has imported, in W over all its 15 minutes."""
        energy = self._household.energy
        return (energy[1, True] + energy[1, False] - self._imported) / _QUARTER_HOUR

    def _end_quarter_hour(self, time: int) -> None:
        demand = self._demand()
        self._quarter_hour, self._imported = time, self._imported + round(demand * _QUARTER_HOUR)
        if f"{datetime.fromtimestamp(time, AMSTERDAM):%d %H:%M}" == "01 00:00":
            self._peak, self._peak_time = 0.0, time
        elif demand > self._peak:
            self._peak, self._peak_time = demand, time

    def _conversions(self, line: re.Match[str]) -> str:
        """Return the line with a conversion for each living value, and note where it comes from."""
        text = line[0]
        unit = line["unit"] or line["unit_apart"] or ""
        scale = 1000 if unit.startswith("k") else 1
        time = self._time(line["obis"], unit)
        number = self._number(
            line["channel"], line["obis"], unit, float(line["number"] or 0) * scale
        )
        if number:
            start, end = (position - line.start() for position in line.span("number"))
            width, decimals = len(line["number"]), len(line["decimals"] or "")
            text = f"{text[:start]}%0{width}.{decimals}f{text[end:]}"
        if time:
            start, end = (position - line.start() for position in line.span("time"))
            text = f"{text[:start]}%s{text[end:]}"
            season = end - start > len("YYMMDDhhmmss")
            self._values.append(lambda: _timestamp(time(), season=season))
        if number:
            self._values.append(lambda: number() / scale)
        return text

    def _time(self, obis: str, unit: str) -> _Source | None:
        """Return where the time (s since 1970) of a line comes from."""
        if obis in ("1.0.0", "1.1.0"):
            return partial(self._whole, 1)
        if obis == "1.6.0":
            return lambda: self._peak_time
        # Of an M-Bus device that was never read (no unit), DSMR 2.2 still tells the time.
        if obis == "24.3.0" or (obis in ("24.2.1", "24.2.3") and unit):
            return lambda: self._mbus_time
        return None

    def _number(self, channel: str, obis: str, unit: str, start: float) -> _Source | None:
        """Return where the number of a line comes from: W, var, VA, Wh, varh, V, A or m³."""
        home, low = self._household, self._model.low_tariff
        quantity, kind, tariff = map(int, obis.split("."))
        match quantity, kind, tariff:
            case (1, 4, 0):
                return self._demand
            case (1, 6, 0):
                self._peak = start
                return lambda: self._peak
            case (24, 2 | 3, _) if unit:
                volume = _VOLUMES[int(self._devices[channel])]
                return lambda: start + self._volumes[volume]
            case (96, 14, 0):
                return lambda: low if low_tariff(home.now) else 3 - low
            case (_, 8, 0 | 1 | 2):
                quantities = (1, 2) if quantity == 15 else (quantity,)
                counters = list(product(quantities, (tariff == low,) if tariff else (True, False)))
                return lambda: start + sum([home.energy[counter] for counter in counters]) / 3600
        return _power(home, *divmod(quantity, 20)) if kind == 7 else None


def _power(home: Household, phase: int, quantity: int) -> _Source | None:
    """Return where a phase's (0: the total's) power, current or voltage comes from."""
    if quantity in _POWER and phase <= 3:
        power = _POWER[quantity]
        return lambda: power(home.watts[phase], home.var[phase])
    if quantity in (11, 12) and 1 <= phase <= 3:
        return lambda: (home.amps if quantity == 11 else home.volts)[phase]
    return None


def _timestamp(time: float, *, season: bool) -> str:
    """Return a time as YYMMDDhhmmss, and S or W (summer or winter time) if the meter says so."""
    moment = datetime.fromtimestamp(time, AMSTERDAM)
    return f"{moment:%y%m%d%H%M%S}" + (("S" if moment.dst() else "W") if season else "")
