"""The value groups C.D.E of OBIS references that are more than a row of a table."""

from typing import Final

MBUS_TYPE: Final = "24.1.0"
MBUS_IDENTIFIERS: Final = ("96.1.0", "96.1.1")
MBUS_READING: Final = "24.2.1"
# The same reading by another OBIS reference: in Belgium (not temperature corrected), before DSMR 4.
MBUS_READINGS: Final = (MBUS_READING, "24.2.3", "24.3.0")

TELEGRAM_TIME: Final = "1.0.0"
POWER_IMPORTED: Final = "1.7.0"
POWER_EXPORTED: Final = "2.7.0"
ENERGY_IMPORTED: Final = "1.8.0"
ENERGY_EXPORTED: Final = "2.8.0"
DEMAND: Final = "1.4.0"
PEAK_OF_MONTH: Final = "1.6.0"
PEAKS: Final = "98.1.0"

# What begins the references of text messages and of their codes.
MESSAGES: Final = "96.13."

# On an M-Bus channel this is the position of a relay of the electricity meter, whatever meter may
# be on the channel. `1:96.3.10` is relay 1.
RELAY: Final = "96.3.10"

# Imported minus exported power, in all and by phase (IEC 62056-6-1: C = 16, 36, 56, 76). No P1
# meter sends them.
NET_POWER: Final = "16.7.0"
NET_POWER_PHASES: Final = ("36.7.0", "56.7.0", "76.7.0")

# Values for which there is no OBIS reference, or one that means something else in Belgium.
MONTH_END: Final = "month end"
FLOW: Final = "flow"
FORECAST: Final = "forecast"
AVERAGE_PEAK: Final = "average peak"
