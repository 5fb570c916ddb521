"""Lets the recorder compile its statistics when asked, and not at the next five minutes only.

An integration of the end-to-end test's Home Assistant. The recorder does what it always does, from
what the sensors have shown; Home Assistant's own tests ask it the same way.
"""

from homeassistant.components.recorder.tasks import StatisticsTask
from homeassistant.core import HomeAssistant, ServiceCall
from homeassistant.helpers.recorder import get_instance
from homeassistant.helpers.typing import ConfigType
from homeassistant.util import dt as dt_util


async def async_setup(hass: HomeAssistant, config: ConfigType) -> bool:
    """Register the action `statistics_now.compile`."""

    async def compile_statistics(call: ServiceCall) -> None:
        now = dt_util.utcnow()
        start = now.replace(minute=now.minute // 5 * 5, second=0, microsecond=0)
        recorder = get_instance(hass)
        recorder.queue_task(StatisticsTask(start, fire_events=False))
        await recorder.async_block_till_done()

    hass.services.async_register("statistics_now", "compile", compile_statistics)
    return True
