"""Many meters in one Home Assistant, each with a telegram a second."""

from itertools import islice
from typing import Any, Final

from .feeder import feeder, telegrams
from .subject import running

METERS: Final = (1, 5, 10, 25, 50)


async def measure(meters: tuple[int, ...], seconds: int) -> list[dict[str, Any]]:
    """Return for each number of meters what they take of a processor, of memory and of the loop.

    Args:
        meters: the numbers, ascending.
        seconds: for how long each is measured.
    """
    found: list[dict[str, Any]] = []
    streams = [telegrams(meter=1 + number) for number in range(meters[-1])]
    async with feeder() as gateway, running("ours") as home:
        empty = await home.ask("memory")
        there = 0
        for number in meters:
            await home.ask("add", port=gateway.port, meters=number - there, first=there, options={})
            there = number
            await gateway.connected(number)
            turns = zip(*streams[:number], strict=True)
            warm = [telegram for turn in islice(turns, 10) for telegram in turn]
            await gateway.send(warm, 10 * number)
            began = home.processor_time()
            sent = [telegram for turn in islice(turns, seconds) for telegram in turn]
            await gateway.send(sent, number)
            processor = (home.processor_time() - began) / seconds
            memory = await home.ask("memory") - empty
            await home.ask("time_callbacks")
            timed = [telegram for turn in islice(turns, seconds) for telegram in turn]
            await gateway.send(timed, number)
            longest = await home.ask("longest_callbacks")
            found.append(
                {"meters": number, "processor": processor, "memory": memory, "longest": longest}
            )
    return found
