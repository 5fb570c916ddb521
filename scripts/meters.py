"""Writes docs/meters.md: which version of meter has which sensors. Called by `scripts/meters`."""

from collections.abc import Iterator
import json
from pathlib import Path

from custom_components.dsmr.derivation import derivable
from custom_components.dsmr.descriptions import SENSORS, DSMRSensorDescription
from custom_components.dsmr.entity import BELGIAN
from custom_components.dsmr.obis import FLOW, MBUS_READING, MBUS_READINGS
from custom_components.dsmr.versions import LOW_IS_2, VERSIONS, Version

PAGE = Path("docs/meters.md")
ENGLISH = Path(__file__).parent.parent / "custom_components/dsmr/translations/en.json"
NAMES = json.loads(ENGLISH.read_text(encoding="utf-8"))["entity"]["sensor"]
LOW_LAST = [f"`{version.key}`" for version in VERSIONS.values() if version.tariffs is LOW_IS_2]
HEAD = f"""# Meters and their values

Written by `scripts/meters` from the table of versions and the table of sensors.

A ● is a value that dsmr_parser's specification of the version has, or that follows from others. In
`configuration.yaml` sensors for these stand at set-up; those that the meter does not send go after
a minute of telegrams. A value without a ● appears where a meter of that version sends it all the
same. Values of meters behind the electricity meter appear with the meter.

The first two columns are the names of one sensor: in `configuration.yaml`, and in the interface,
where the meter is a device and its name stands before that of the sensor. Where a meter writes
another unit, as some do that count heat in m³, the sensor has that. In `configuration.yaml`,
*low* and *normal* change places for {", ".join(LOW_LAST)}:
there `1.8.1` and `2.8.1` count the normal tariff.
"""


def has(version: Version, description: DSMRSensorDescription) -> bool:
    """Return whether a version's specification has what a sensor shows."""
    if description.obis in (MBUS_READING, FLOW):
        return any(reading in version.mbus for reading in MBUS_READINGS)
    if description.mbus:
        return description.obis in version.mbus
    lines = set(version.electricity)
    return description.obis in lines | derivable(lines)


def in_yaml(description: DSMRSensorDescription) -> str:
    """Return the name of a sensor in configuration.yaml, of a meter whose first tariff is low."""
    return description.yaml_name.format(tariff_1="low", tariff_2="normal")


def in_interface(description: DSMRSensorDescription) -> str:
    """Return the English name of a sensor in the interface."""
    name: str = NAMES[description.translation_key]["name"]
    return name.format_map(description.translation_placeholders or {})


def table() -> Iterator[str]:
    """Yield the lines of the table: sensors by versions."""
    heading = ["In `configuration.yaml`", "In the interface", "OBIS reference", "Unit", *VERSIONS]
    yield f"| {' | '.join(heading)} |"
    yield f"|{'---|' * len(heading)}"
    for description in SENSORS:
        name = in_interface(description)
        if belgian := BELGIAN.get(description.key):
            name += f" (`5B`: {NAMES[belgian]['name']})"
        obis = f"`{description.obis}`" if description.obis[0].isdigit() else "derived"
        units = (description.suggested_unit_of_measurement, description.native_unit_of_measurement)
        unit = next(filter(None, units), "")
        marks = ["●" if has(version, description) else "" for version in VERSIONS.values()]
        yield f"| {in_yaml(description)} | {name} | {obis} | {unit} | {' | '.join(marks)} |"


def versions() -> Iterator[str]:
    """Yield the lines of the table of versions."""
    yield "| `dsmr_version` | Meter | Serial line | Telegram | Checksum |"
    yield "|---|---|---|---|---|"
    for version in VERSIONS.values():
        serial = version.serial
        line = f"{serial.baudrate} {serial.byte_size}{serial.parity.value}1"
        checksum = "CRC16" if version.checksum else "not needed"
        yield f"| `{version.key}` | {version.label} | {line} | {version.interval} s | {checksum} |"


def page() -> str:
    """Return the whole page."""
    return "\n".join([HEAD, "## Versions", "", *versions(), "", "## Values", "", *table(), ""])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
