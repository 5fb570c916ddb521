"""Who must know?"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from .models import (
    Contents,
    Counters,
    Disconnected,
    Event,
    Reading,
    ReadingKey,
    Telegram,
)
from .unforeseen import Unforeseen

type Unsubscribe = Callable[[], None]

TOGETHER: Final = 0.1
"""Of the time for which a reading may wait: what is due so soon is told with what is due now."""

# What was told last to a listener that raised: no telegram has it.
_UNTOLD: Final = Reading(None, "told to nobody")


@dataclass(eq=False, slots=True)
class _Listener:
    """Who waits for a reading, and what it was told last."""

    key: ReadingKey
    callback: Callable[[Reading | None], None]
    step: Decimal | None
    due: float = 0.0
    told: Reading | None = None
    active: bool = True


class DSMR:
    """Drains the queue of a P1 port, keeps the latest telegram and tells the listeners.

    A changed reading reaches its listener at most `time_between_update` seconds after the one that
    it was told last. One that moved by the listener's step does not wait, nor does anything in the
    first telegram after the connection was made.

    Attributes:
        telegram: the latest telegram, or None while none comes.
        time_between_update: the most seconds that a changed reading waits.
    """

    def __init__(self, queue: deque[Event], time_between_update: float, counters: Counters) -> None:
        """Prepare to drain a queue; `drain` does it.

        Args:
            queue: the events of the P1 port.
            time_between_update: the most seconds that a changed reading waits.
            counters: where it is counted how often a listener has raised.
        """
        self.telegram: Telegram | None = None
        self._queue = queue
        self.time_between_update = time_between_update
        # A callback may begin or stop to listen: no tuple in it is ever changed.
        self._listeners: dict[ReadingKey, tuple[_Listener, ...]] = {}
        # Those whose reading has changed since they were told; a set that keeps their order.
        self._waiting: dict[_Listener, None] = {}
        self._contents_listeners: list[Callable[[Contents], None]] = []
        self._untold_contents: list[Callable[[Contents], None]] = []
        self._loss_listeners: list[Callable[[None], None]] = []
        self._unforeseen = Unforeseen(counters)
        self._is_untold = False
        self._timer: asyncio.TimerHandle | None = None

    def listen(
        self, key: ReadingKey, callback: Callable[[Reading | None], None], step: float | None
    ) -> Unsubscribe:
        """Call back with each new reading, and with None where a telegram has none.

        The callback also comes when `telegram` turns None or stops being None.

        Args:
            key: the reading that is wanted.
            callback: what to call, in the event loop.
            step: a change of at least this much does not wait (0: none does); None: all wait.

        Returns:
            What to call to stop listening.
        """
        # As it is written: 0.05 is not quite 0.05 as a float.
        exact_step = None if step is None else Decimal(str(step))
        listener = _Listener(key, callback, exact_step)
        self._listeners[key] = (*self._listeners.get(key, ()), listener)
        if self.telegram is not None:
            self._tell(listener, self.telegram.readings.get(key), _now())

        def stop() -> None:
            listener.active = False
            self._waiting.pop(listener, None)
            self._unforeseen.forget(callback)
            self._listeners[key] = tuple(x for x in self._listeners[key] if x is not listener)

        return stop

    def listen_contents(self, callback: Callable[[Contents], None]) -> Unsubscribe:
        """Call back with what the meter sends, now if a telegram has come, and on each change."""
        self._contents_listeners.append(callback)
        if self.telegram is not None:
            callback(self.telegram.contents)
        return lambda: self._contents_listeners.remove(callback)

    def listen_loss(self, callback: Callable[[None], None]) -> Unsubscribe:
        """Call back each time that the port is closed, or could not be opened."""
        self._loss_listeners.append(callback)
        return lambda: self._loss_listeners.remove(callback)

    def drain(self) -> None:
        """Take off the queue what is on it, and tell it."""
        while self._queue:
            event = self._queue.popleft()
            if isinstance(event, Disconnected):
                self._disconnected()
            else:
                self._received(event)

    def end(self) -> None:
        """Tell nothing more of what waits."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _received(self, telegram: Telegram) -> None:
        previous, self.telegram = self.telegram, telegram
        # Without those who begin to listen in this telegram: they are told it then.
        everyone = self._all() if previous is None else []
        if previous is None or previous.contents is not telegram.contents:
            self._untold_contents = self._contents_listeners[:]
        if self._untold_contents:
            # Who raised is told again with the next telegram.
            self._untold_contents = [
                callback
                for callback in self._untold_contents
                if callback in self._contents_listeners
                and not self.call(callback, telegram.contents)
            ]
        readings = telegram.readings
        if previous is None:
            now = _now()
            for listener in everyone:
                self._tell(listener, readings.get(listener.key), now)
            return
        # Telegrams between the two may have been dropped, and a listener may have raised.
        follows = telegram.earlier is previous.readings and not self._is_untold
        self._is_untold = False
        self._compare(readings, telegram.changed if follows else [*self._listeners])

    def _compare(self, readings: Mapping[ReadingKey, Reading], keys: Iterable[ReadingKey]) -> None:
        """Tell those of whose reading another one was told, now or when they are due."""
        now, waiting = _now(), self._waiting
        for key in keys:
            reading = readings.get(key)
            for listener in self._listeners.get(key, ()):
                if reading == listener.told:
                    waiting.pop(listener, None)
                elif listener.due <= now or _moved(listener, reading):
                    self._tell(listener, reading, now)
                elif listener not in waiting:
                    waiting[listener] = None
                    self._schedule(listener.due)

    def _disconnected(self) -> None:
        self.end()
        self._waiting.clear()
        before, self.telegram = self.telegram, None
        for callback in self._loss_listeners[:]:
            self.call(callback, None)
        if before is not None:
            now = _now()
            for listener in self._all():
                self._tell(listener, None, now)

    def _schedule(self, due: float) -> None:
        """See to it that who waits is told when that is due."""
        if self._timer is not None:
            if self._timer.when() <= due:
                return
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(due, self._tell_due, due)

    def _tell_due(self, now: float) -> None:
        self._timer = None
        readings = self.telegram.readings if self.telegram else {}
        # One after the other they cost much less than each by itself.
        soon = now + self.time_between_update * TOGETHER
        for listener in list(self._waiting):
            if listener.due <= soon:
                self._tell(listener, readings.get(listener.key), _now())
        if self._waiting:
            self._schedule(min(listener.due for listener in self._waiting))

    def _all(self) -> list[_Listener]:
        return [listener for listeners in self._listeners.values() for listener in listeners]

    def _tell(self, listener: _Listener, reading: Reading | None, now: float) -> None:
        self._waiting.pop(listener, None)
        if not listener.active:
            return
        listener.due = now + self.time_between_update
        listener.told = reading
        told = self.call(listener.callback, reading)
        if not told and listener.active and self.telegram is not None:
            # It is told again with the next telegram, also where nothing changed in that.
            listener.told = _UNTOLD
            self._is_untold = True

    def call[T](self, callback: Callable[[T], None], value: T) -> bool:
        """Call back, and return whether that went well."""
        try:
            callback(value)
        except Exception as error:
            # One listener's error must not cost the others their value.
            self._unforeseen.note(callback, f"in {_name_of(callback)}", error)
            return False
        return True


def _name_of(callback: Callable[..., None]) -> str:
    """Return what to call a callback: its repr has an entity's state, and that may raise too."""
    name = getattr(callback, "__qualname__", type(callback).__name__)
    entity_id = getattr(getattr(callback, "__self__", None), "entity_id", None)
    return f"{name} of {entity_id}" if entity_id else name


def _now() -> float:
    return asyncio.get_running_loop().time()


def _moved(listener: _Listener, reading: Reading | None) -> bool:
    """Return whether a reading differs so much from what was told that it must not wait."""
    told, step = listener.told, listener.step
    if reading is None or told is None:
        return True
    now, before = reading.value, told.value
    if step is None:
        return now is None or before is None
    if isinstance(now, Decimal) and isinstance(before, Decimal):
        return abs(now - before) >= step
    return True
