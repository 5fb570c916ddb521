"""Who made this meter?"""

from collections.abc import Mapping
import re
from typing import Final, TypedDict

from .values import read_text

# The makers of meters by their letters (DLMS UA FLAG identifiers); a grid operator's are none.
MAKERS: Final[Mapping[str, str]] = {
    "ADN": "Aidon",
    "CTA": "ZIV",
    "ELS": "Elster",
    "EMH": "EMH metering",
    "ESY": "EasyMeter",
    "FLO": "Flonidan",
    "ISK": "Iskraemeco",
    "ITR": "Itron",
    "KAM": "Kamstrup",
    "KFM": "Kaifa",
    "KMP": "Kamstrup",
    "LGF": "Landis+Gyr",
    "LGZ": "Landis+Gyr",
    "LUG": "Landis+Gyr",
    "NES": "Networked Energy Services",
    "SAG": "Sagemcom",
    "XMX": "Landis+Gyr",
    "ZIV": "ZIV",
}
# `/XXX5` and what the maker writes; a backslash with a digit before it says how to talk to it.
_HEADER: Final = re.compile(r"([A-Za-z]{3})[0-9-]?(?:\\\d?)?(.*)")
# The maker's letters in an identifier: `1SAG…` (DIN 43863-5), or `SAG…`.
_IDENTIFIER: Final = re.compile(r"\d?([A-Z]{3})[0-9A-Z]*\d{4}")


class Description(TypedDict, total=False):
    """What is known of a meter."""

    manufacturer: str | None
    model: str | None
    serial_number: str | None


UNKNOWN: Final = Description(manufacturer=None, model=None, serial_number=None)
"""A meter of which nothing is known: it has not what the one before it in its place had."""


def described(identifier: str, header: str) -> Description:
    """Return what a meter's identifier and the header of its telegrams say of it.

    Args:
        identifier: as it is sent: hexadecimal digits of ASCII, or a number.
        header: the identification line without its `/`, or "" for a meter behind another.
    """
    found = Description()
    if serial := read_text(identifier):
        found["serial_number"] = serial
        if (match := _IDENTIFIER.match(serial)) and match[1] in MAKERS:
            found["manufacturer"] = MAKERS[match[1]]
    if match := _HEADER.match(header):
        if maker := MAKERS.get(match[1].upper()):
            found.setdefault("manufacturer", maker)
        model = match[2].strip()
        # Kamstrup writes the identifier there.
        if model and model != found.get("serial_number"):
            found["model"] = model
    return found
