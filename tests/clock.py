"""Virtual time: minutes of a meter's life in milliseconds of a test's."""

import asyncio
from collections.abc import Callable, Coroutine
import selectors
from typing import Any, override

_START = 1000.0
# So many rounds of the loop without a moment passing are no work but a loop that never ends.
_ROUNDS = 10_000


class _Waiting(selectors.SelectSelector):
    """Lets the clock jump to the next timer where a real loop would wait for it."""

    def __init__(self, end: float) -> None:
        super().__init__()
        self.now = _START
        self._end = end
        self.rounds = 0
        self.idle: list[asyncio.Future[None]] = []

    @override
    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        self.rounds += 1
        if self.rounds > _ROUNDS:
            raise AssertionError("this never ends")
        if ready or timeout == 0:
            return ready
        self.rounds = 0
        if self.idle:
            for future in self.idle:
                if not future.done():
                    future.set_result(None)
            self.idle.clear()
            return []
        if timeout is None:
            raise AssertionError("nothing is left that could happen")
        self.now += timeout
        if self.now > self._end:
            raise AssertionError("this takes too long")
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time passes only when all has been done that there is to do."""

    def __init__(self, days: float = 7) -> None:
        """Prepare a loop; who waits for longer than the days waits for what never comes."""
        self._waiting = _Waiting(_START + days * 86400)
        super().__init__(self._waiting)

    @override
    def time(self) -> float:
        return self._waiting.now

    def idle(self) -> asyncio.Future[None]:
        """Return what is done when nothing more happens without time passing."""
        future = self.create_future()
        self._waiting.idle.append(future)
        return future


class HomeLoop(VirtualLoop):
    """Virtual time, also for what Home Assistant does in threads: it is done at once."""

    @override
    def run_in_executor(  # type: ignore[override]
        self, executor: object, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future


def run[T](test: Coroutine[Any, Any, T]) -> T:
    """Run a test on virtual time, and fail if it leaves a task or a timer behind."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        result = runner.run(test)
        loop = runner.get_loop()
        left = asyncio.all_tasks(loop)
        # Cancelled timers stay in the heap until their time comes; that is how asyncio does it.
        timers = [timer for timer in loop._scheduled if not timer.cancelled()]  # type: ignore[attr-defined]
        assert not left, f"tasks are left: {left}"
        assert not timers, f"timers are left: {timers}"
        return result


def now() -> float:
    """Return the seconds that have passed since the test began."""
    return asyncio.get_running_loop().time() - _START


async def settled() -> None:
    """Let everything happen that happens now."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    await loop.idle()


async def passed(seconds: float) -> None:
    """Let so many seconds pass, with all that happens in them."""
    await asyncio.sleep(seconds)
    await settled()
