"""Checks of public market data, by REST and by `watch_*`. Each gives a line of what it saw."""

import asyncio
import time
from collections import deque
from typing import Any

import ccxt

import properties as p
from properties import Json, Level, exact, expect
from venues import Venue

BOOK_STATES = 20
REST_TRIES = 20
TOP = 5
SINCE_MIN = 1450
"""So many minutes ago candles are asked for: a little more than the simulators' day, so that ccxt asks
OKX for history, which is a request of its own."""
SINCE_ROWS = 20


class MarketData:
    """The checks of one venue; the client has its markets loaded."""

    CHECKS = [
        "markets", "time", "order_book", "trades", "ticker",
        "ohlcv", "since", "watch_order_book", "watch_trades", "watch_ticker", "watch_ohlcv",
    ]
    """In this order."""

    def __init__(self, venue: Venue, exchange: Any):
        self.venue, self.exchange, self.symbol = venue, exchange, venue.symbol
        self.resyncs = 0

    @property
    def market(self) -> Json:
        return self.exchange.market(self.symbol)

    async def markets(self) -> str:
        """The instrument is there, active, of the right kind, with tick and lot."""
        market = self.market
        expect(market["active"] is True, f"{self.symbol} is not active")
        kind = "swap" if ":" in self.symbol else "spot"
        expect(market["type"] == kind, f"{self.symbol} is {market['type']}, not {kind}")
        tick, lot = market["precision"]["price"], market["precision"]["amount"]
        expect(bool(tick) and exact(tick) > 0, f"tick is {tick}")
        expect(bool(lot) and exact(lot) > 0, f"lot is {lot}")
        return f"{len(self.exchange.markets)} markets; {market['id']}: tick {tick}, lot {lot}"

    async def time(self) -> str:
        """The venue's clock is this machine's."""
        now = await self.exchange.fetch_time()
        p.recent("the venue's time", now, 5)
        return str(now)

    async def order_book(self) -> str:
        """Sorted, uncrossed, on the grid; not deeper than asked for."""
        seen = await self.exchange.fetch_order_book(self.symbol)
        bids, asks = p.book(seen, self.market)
        if self.venue.name != "coinbase":  # whose level 2 is always the whole book
            few = await self.exchange.fetch_order_book(self.symbol, TOP)
            shown = len(few["bids"]), len(few["asks"])
            expect(max(shown) <= TOP, f"asked for {TOP} levels, got {shown}")
            p.book(few, self.market)
        return f"{len(bids)} bids, {len(asks)} asks, {bids[0][0]} / {asks[0][0]}"

    async def trades(self) -> str:
        """Real trades, in order, near the book."""
        seen = await self.exchange.fetch_trades(self.symbol, limit=50)
        expect(0 < len(seen) <= 50, f"asked for 50 trades, got {len(seen)}")
        for one in seen:
            p.trade(one, self.market)
        p.ordered(seen)
        book = await self.exchange.fetch_order_book(self.symbol)
        best, last = exact(book["bids"][0][0]), exact(seen[-1]["price"])
        expect(abs(last / best - 1) < exact("0.05"), f"last trade at {last}, best bid {best}")
        return f"{len(seen)} trades, last at {last}"

    async def ticker(self) -> str:
        """Last within the day's range, bid below ask."""
        seen = await self.exchange.fetch_ticker(self.symbol)
        p.ticker(seen, self.market)
        return f"last {seen['last']}"

    async def ohlcv(self) -> str:
        """Candles of a minute up to now."""
        rows = await self.exchange.fetch_ohlcv(self.symbol, "1m")
        p.candles(rows, self.market)
        return f"{len(rows)} candles"

    async def since(self) -> str:
        """Trades and candles of before, from a moment on."""
        seen = await self.exchange.fetch_trades(self.symbol, params=self.venue.trades)
        since = seen[len(seen) // 2]["timestamp"]
        later = await self.exchange.fetch_trades(self.symbol, since, params=self.venue.trades)
        p.since(later, [one["timestamp"] for one in later], since)
        first = int(time.time()) * 1000 - SINCE_MIN * p.MINUTE_MS
        rows = await self.exchange.fetch_ohlcv(self.symbol, "1m", first, SINCE_ROWS)
        p.since(rows, [row[0] for row in rows], first)
        p.candles(rows, self.market, current=False)
        return f"{len(later)} of {len(seen)} trades, {len(rows)} candles"

    async def watch_order_book(self) -> str:
        """Every state is a book, states differ, and a book by REST is one of them."""
        states: list[tuple[list[Level], list[Level]]] = []
        numbers: list[int] = []
        while len(states) < BOOK_STATES:
            seen = await self._next_book()
            states.append(p.book(seen, self.market))
            if seen.get("nonce") is not None:
                numbers.append(seen["nonce"])
        # A new start after a gap may repeat numbers.
        if self.resyncs == 0:
            expect(numbers == sorted(numbers), "a book's number went back")
        different = {(tuple(bids), tuple(asks)) for bids, asks in states}
        expect(len(different) > 1, f"{BOOK_STATES} updates brought the same book")
        tries = await self._agrees_with_rest()
        resyncs = f", {self.resyncs} resyncs" if self.resyncs else ""
        return f"{len(different)} different books{resyncs}; REST agreed at try {tries}"

    async def _next_book(self) -> Json:
        while True:
            try:
                return await self.exchange.watch_order_book(self.symbol)
            except ccxt.ChecksumError:
                self.resyncs += 1
                allowed = self.venue.resyncs
                expect(self.resyncs <= allowed, f"{self.resyncs} gaps in the book's numbers")

    async def _agrees_with_rest(self) -> int:
        """How many REST books it took until one was among the states that the stream gave."""
        seen: deque[tuple[list[Level], list[Level]]] = deque(maxlen=1000)

        def best(book: Json) -> tuple[list[Level], list[Level]]:
            return p.levels(book["bids"], TOP), p.levels(book["asks"], TOP)

        async def follow() -> None:
            while True:
                seen.append(best(await self._next_book()))

        follower = asyncio.create_task(follow())
        try:
            for tries in range(1, REST_TRIES + 1):
                rest = best(await self.exchange.fetch_order_book(self.symbol))
                # The stream may be behind by an update or two, and updates come in batches.
                for _ in range(10):
                    await asyncio.sleep(0.05)
                    if rest in seen:
                        return tries
                if follower.done():
                    follower.result()
        finally:
            follower.cancel()
        raise p.Broken(f"none of {REST_TRIES} books by REST was a state of the stream")

    async def watch_trades(self) -> str:
        """Trades in order, each what it is by REST."""
        seen: dict[str, Json] = {}
        while len(seen) < 5:
            batch = await self.exchange.watch_trades(self.symbol)
            for one in batch:
                p.trade(one, self.market)
                seen[one["id"]] = one
        streamed = list(seen.values())
        p.ordered(streamed)
        params = self.venue.trades
        by_rest = await self.exchange.fetch_trades(self.symbol, limit=500, params=params)
        known = {one["id"]: one for one in by_rest}
        for one in streamed:
            p.same_trade(one, p.by_rest(one, known))
        return f"{len(streamed)} trades, all known by REST"

    async def watch_ticker(self) -> str:
        """Tickers that change."""
        lasts: set[tuple[Any, ...]] = set()
        count = 0
        while len(lasts) < 2:
            seen = await self.exchange.watch_ticker(self.symbol)
            p.ticker(seen, self.market)
            lasts.add((seen["last"], seen["bid"], seen["ask"], seen["baseVolume"]))
            count += 1
        return f"{count} tickers until one differed"

    async def watch_ohlcv(self) -> str:
        """The current candle grows and opens where REST says."""
        volumes: set[Any] = set()
        current: list[Any] = []
        while len(volumes) < 2:
            rows = await self.exchange.watch_ohlcv(self.symbol, "1m")
            p.candles(rows, self.market)
            current = rows[-1]
            volumes.add((current[0], current[5]))
        by_rest = {row[0]: row for row in await self.exchange.fetch_ohlcv(self.symbol, "1m")}
        expect(current[0] in by_rest, f"the candle of {current[0]} is not known by REST")
        opens = current[1], by_rest[current[0]][1]
        expect(opens[0] == opens[1], f"the candle opens at {opens[0]} and {opens[1]}")
        return f"open {opens[0]}, {len(volumes)} states"
