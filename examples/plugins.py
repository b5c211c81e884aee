"""A plugin system in thirty lines, as many programs have one: examples/plugins.toml says what its hooks are.

hookmon run --config examples/plugins.toml python examples/plugins.py
"""

import time


class Events:
    """Listeners by event, in the order in which they came."""

    def __init__(self) -> None:
        self._listeners: dict[str, list] = {}

    def on(self, event, listener=None):
        """Call a listener at each event; without one, return a decorator."""
        if listener is None:
            return lambda function: self.on(event, function)
        self._listeners.setdefault(event, []).append(listener)
        return listener

    def off(self, event, listener):
        """Forget a listener."""
        self._listeners[event] = [other for other in self._listeners[event] if other is not listener]

    def emit(self, event, *args):
        """Return what the listeners answer."""
        return [listener(*args) for listener in self._listeners.get(event, [])]


events = Events()


@events.on("sold")
def write_receipt(article):
    """Quick."""
    return f"1 {article}"


class Warehouse:
    """Slow."""

    def __init__(self) -> None:
        self.left = 40

    def take_out(self, _article):
        """Look for it."""
        time.sleep(0.01)
        self.left -= 1
        return self.left


def greet(article):
    """Only until the first is sold."""
    events.off("sold", greet)
    return f"the first {article} of the day"


if __name__ == "__main__":
    events.on("sold", Warehouse().take_out)
    events.on("sold", greet)
    for _ in range(30):
        print(*events.emit("sold", "tea"), sep=", ")
