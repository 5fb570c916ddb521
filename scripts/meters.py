"""Writes docs/meters.md: which version of meter has which sensors. Called by `scripts/meters`."""

from collections.abc import Iterator
from pathlib import Path

from custom_components.dsmr.derivation import derivable
from custom_components.dsmr.descriptions import SENSORS, DSMRSensorDescription
from custom_components.dsmr.obis import FLOW, MBUS_READING, MBUS_READINGS
from custom_components.dsmr.versions import VERSIONS, Version

PAGE = Path("docs/meters.md")
HEAD = """# Meters and their values

Written by `scripts/meters` from the table of versions and the table of sensors.

A ● is a value that dsmr_parser's specification of the version has, or that follows from others. In
`configuration.yaml` sensors for these stand at set-up; those that the meter does not send go after
a minute of telegrams. A value without a ● appears where a meter of that version sends it all the
same. Values of meters behind the electricity meter appear with the meter.
"""


def has(version: Version, description: DSMRSensorDescription) -> bool:
    """Return whether a version's specification has what a sensor shows."""
    if description.obis in (MBUS_READING, FLOW):
        return any(reading in version.mbus for reading in MBUS_READINGS)
    if description.mbus:
        return description.obis in version.mbus
    lines = set(version.electricity)
    return description.obis in lines | derivable(lines)


def table() -> Iterator[str]:
    """Yield the lines of the table: sensors by versions."""
    yield f"| Sensor | OBIS reference | Unit | {' | '.join(VERSIONS)} |"
    yield f"|---|---|---|{'---|' * len(VERSIONS)}"
    for description in SENSORS:
        name = description.yaml_name.format(tariff_1="low", tariff_2="normal")
        obis = f"`{description.obis}`" if description.obis[0].isdigit() else "derived"
        unit = description.native_unit_of_measurement or ""
        marks = ["●" if has(version, description) else "" for version in VERSIONS.values()]
        yield f"| {name} | {obis} | {unit} | {' | '.join(marks)} |"


def versions() -> Iterator[str]:
    """Yield the lines of the table of versions."""
    yield "| `dsmr_version` | Meter | Serial line | Telegram | Checksum |"
    yield "|---|---|---|---|---|"
    for version in VERSIONS.values():
        serial = version.serial
        line = f"{serial.baudrate} {serial.byte_size}{serial.parity.value}1"
        checksum = "CRC16" if version.checksum else "none"
        yield f"| `{version.key}` | {version.label} | {line} | {version.interval} s | {checksum} |"


def page() -> str:
    """Return the whole page."""
    return "\n".join([HEAD, "## Versions", "", *versions(), "", "## Values", "", *table(), ""])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
