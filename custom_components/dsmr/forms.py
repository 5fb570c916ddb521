"""What does a person fill in?"""

from typing import Final

from homeassistant.const import CONF_PORT
from homeassistant.helpers.selector import (
    BooleanSelector,
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
    SerialPortSelector,
    TextSelector,
    TextSelectorConfig,
    TextSelectorType,
)
import probatio

from .const import (
    AUTO,
    CONF_DSMR_VERSION,
    CONF_ENCRYPTION_KEY,
    CONF_SWAP_TARIFFS,
    CONF_TIME_BETWEEN_UPDATE,
    DEFAULT_TIME_BETWEEN_UPDATE,
    LONGEST_TIME_BETWEEN_UPDATE,
)
from .versions import VERSIONS

KEY_FORM: Final = probatio.Schema(
    {
        probatio.Required(probatio.Secret(CONF_ENCRYPTION_KEY)): TextSelector(
            TextSelectorConfig(type=TextSelectorType.PASSWORD)
        )
    }
)
OPTIONS_FORM: Final = probatio.Schema(
    {
        probatio.Required(
            CONF_TIME_BETWEEN_UPDATE, default=DEFAULT_TIME_BETWEEN_UPDATE
        ): NumberSelector(
            NumberSelectorConfig(
                min=0,
                max=LONGEST_TIME_BETWEEN_UPDATE,
                step="any",
                unit_of_measurement="s",
                mode=NumberSelectorMode.BOX,
            )
        ),
        probatio.Required(CONF_SWAP_TARIFFS, default=False): BooleanSelector(),
    }
)


def port_form(*, typed: bool = False) -> probatio.Schema:
    """Return the form that asks for a port and the kind of meter there.

    Args:
        typed: whether the port is to be typed; else it is chosen from the list of adapters.
    """
    versions = [SelectOptionDict(value=AUTO, label=AUTO)]
    versions += [SelectOptionDict(value=v.key, label=v.label) for v in VERSIONS.values()]
    return probatio.Schema(
        {
            probatio.Required(CONF_PORT): (TextSelector() if typed else SerialPortSelector()),
            probatio.Required(CONF_DSMR_VERSION, default=AUTO): SelectSelector(
                SelectSelectorConfig(
                    options=versions,
                    mode=SelectSelectorMode.DROPDOWN,
                    translation_key=CONF_DSMR_VERSION,
                )
            ),
        }
    )
