"""What a `watch_*` method gives, gathered beside whatever else is done."""

import asyncio
from collections.abc import Awaitable, Callable

from properties import Broken, Json

EVENT_S = 10


class Following:
    """What a `watch_*` method gave so far."""

    def __init__(self) -> None:
        self.seen: list[Json] = []
        self._more = asyncio.Condition()
        self._failed: BaseException | None = None

    async def follow(self, watch: Callable[[], Awaitable[list[Json]]]) -> None:
        """Calls `watch` again and again; its failure is told to whoever waits."""
        while True:
            try:
                # Copies: ccxt goes on changing what it gave.
                batch = [dict(one) for one in await watch()]
            except Exception as error:
                batch, self._failed = [], error
            async with self._more:
                self.seen.extend(batch)
                self._more.notify_all()
            if self._failed:
                return

    async def until(self, what: str, holds: Callable[[], bool], seconds: float = EVENT_S) -> None:
        """Waits until something holds of what was seen."""

        def settled() -> bool:
            return self._failed is not None or holds()

        async with self._more:
            try:
                await asyncio.wait_for(self._more.wait_for(settled), seconds)
            except TimeoutError:
                raise Broken(f"{what} did not come by stream within {seconds} s") from None
        if self._failed:
            raise self._failed

    async def one(self, what: str, wanted: Callable[[Json], bool]) -> Json:
        """Waits for one event."""
        await self.until(what, lambda: any(map(wanted, self.seen)))
        return next(one for one in self.seen if wanted(one))

    async def wait(self, wanted: Callable[[Json], bool], seconds: float) -> bool:
        """Whether an event came in time."""
        try:
            await self.until("an event", lambda: any(map(wanted, self.seen)), seconds)
        except Broken:
            return False
        return True

