"""The check is checked: each property holds of something sound and sees each breach of it.

Needs nothing but Python: `python3 -m unittest discover clients/ccxt`.
"""

import asyncio
import copy
import os
import tempfile
import time
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import Any

import properties as p
from following import Following
from simulator import Account, Address, Simulator, SimulatorError

MARKET = {"symbol": "BTC/USDT", "precision": {"price": 0.1, "amount": 0.001}}
NOW = int(time.time()) * 1000
MINUTE = NOW - NOW % p.MINUTE_MS

BOOK = {"bids": [[30000.1, 1.5], [30000.0, 0.001]], "asks": [[30000.2, 2.0], [30000.4, 1.0]]}
TRADE = {
    "symbol": "BTC/USDT", "id": "7", "side": "buy", "price": 30000.1, "amount": 0.002,
    "timestamp": NOW,
}
TICKER = {
    "symbol": "BTC/USDT", "last": 30000.1, "high": 30010.0, "low": 29990.0, "bid": 30000.0,
    "ask": 30000.2, "timestamp": NOW,
}
CANDLES = [
    [MINUTE - p.MINUTE_MS, 10.0, 12.0, 9.0, 11.0, 3.5],
    [MINUTE, 11.0, 11.5, 11.0, 11.5, 0.0],
]


class Properties(unittest.TestCase):
    def breaches(self, holds: Callable[[Any], Any], sound: Any, breaches: list[Any]) -> None:
        """`breaches` are a path into `sound` and what stands there instead."""
        holds(sound)
        for *path, last, value in breaches:
            broken = copy.deepcopy(sound)
            place = broken
            for step in path:
                place = place[step]
            place[last] = value
            with self.subTest(path=[*path, last], value=value), self.assertRaises(p.Broken):
                holds(broken)

    def test_book(self) -> None:
        self.breaches(lambda book: p.book(book, MARKET), BOOK, [
            ("bids", []), ("asks", []),
            ("bids", 1, 0, 30000.1), ("bids", 1, 0, 30000.15), ("bids", 0, 0, 30000.2),
            ("asks", 1, 0, 30000.2), ("asks", 1, 0, 30000.1),
            ("asks", 0, 1, 0.0), ("asks", 0, 1, -1.0), ("bids", 0, 1, 1.5001),
        ])

    def test_trade(self) -> None:
        self.breaches(lambda trade: p.trade(trade, MARKET), TRADE, [
            ("symbol", "ETH/USDT"), ("id", None), ("side", "b"), ("price", 0.0),
            ("price", 30000.15), ("amount", -0.002), ("amount", 0.0021), ("timestamp", None),
            ("timestamp", NOW // 1000),
        ])

    def test_trades_in_order(self) -> None:
        later = TRADE | {"id": "8", "timestamp": NOW + 1}
        self.breaches(p.ordered, [TRADE, later], [(1, "id", "7"), (1, "timestamp", NOW - 1)])

    def test_same_trade(self) -> None:
        p.same_trade(TRADE, TRADE | {"timestamp": NOW + 1})
        for key, value in (("side", "sell"), ("price", 1.0), ("timestamp", NOW + 2), ("id", "8")):
            with self.subTest(key=key), self.assertRaises(p.Broken):
                p.same_trade(TRADE, TRADE | {key: value})

    def test_by_rest(self) -> None:
        known = {"7": TRADE, "8": TRADE | {"id": "8", "amount": 0.001}}
        self.assertEqual(p.by_rest(TRADE, known), TRADE)
        both = known["8"] | {"info": {"count": "2"}}
        self.assertEqual(p.by_rest(both, known), known["8"] | {"amount": 0.003})
        with self.assertRaises(p.Broken):
            p.by_rest(both | {"info": {"count": "3"}}, known)

    def test_ticker(self) -> None:
        p.ticker(TICKER | {"bid": None, "ask": None, "timestamp": None}, MARKET)
        self.breaches(lambda ticker: p.ticker(ticker, MARKET), TICKER, [
            ("symbol", "ETH/USDT"), ("last", None), ("last", 30000.15), ("high", 30000.0),
            ("low", 30000.2), ("bid", 30000.2), ("timestamp", NOW - 100_000),
        ])

    def test_since(self) -> None:
        self.breaches(lambda times: p.since(times, times, 5), [5, 5, 7], [
            (0, 4), (0, 6), (2, 4),
        ])
        with self.assertRaises(p.Broken):
            p.since([], [], 5)

    def test_candles(self) -> None:
        market = {"precision": {"price": 0.5}}
        self.breaches(lambda rows: p.candles(rows, market), CANDLES, [
            (1, 0, MINUTE + 1), (1, 0, MINUTE - p.MINUTE_MS), (0, 0, MINUTE + p.MINUTE_MS),
            (0, 1, 13.0), (0, 3, 11.5), (0, 4, 10.25), (0, 5, -1.0),
        ])
        with self.assertRaises(p.Broken):
            p.candles([], market)
        p.candles([[MINUTE - 5 * p.MINUTE_MS, 10.0, 12.0, 9.0, 11.0, 3.5]], market, current=False)
        with self.assertRaises(p.Broken):
            p.candles([[MINUTE - 5 * p.MINUTE_MS, 10.0, 12.0, 9.0, 11.0, 3.5]], market)


class Simulators(unittest.TestCase):
    def started(self, script: str) -> Address:
        """What a "simulator" gives whose whole program is `script`."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "meltica"
            path.write_text(f"#!/bin/sh\n{script}\n")
            path.chmod(0o755)
            with Simulator(path, "okx", "BTC-USDT", 1, 100) as at:
                return at

    def test_address(self) -> None:
        line = '{"venues":[{"venue":"okx","ws_url":"ws://a","rest_url":"http://a"%s}]}'
        self.assertEqual(self.started(f"echo '{line % ''}'"), Address("ws://a", "http://a", None))
        keys = ',"account":{"api_key":"k","secret":"s","passphrase":"p"}'
        account = Account("k", "s", "p")
        at = self.started(f"echo '{line % keys}'")
        self.assertEqual(at, Address("ws://a", "http://a", account))

    def test_no_address(self) -> None:
        for script, says in (
            ("echo 'no such venue' >&2; exit 2", "no such venue"),
            ("echo nonsense", "nonsense"),
            ("""echo '{"venues":[{"venue":"kraken"}]}'""", "okx"),
        ):
            with self.subTest(script=script), self.assertRaisesRegex(SimulatorError, says):
                self.started(script)

    def test_ended_when_left(self) -> None:
        line = '{"venues":[{"venue":"okx","ws_url":"ws://$$","rest_url":"http://a"}]}'
        at = self.started(f'cat <<END\n{line}\nEND\nexec sleep 60')
        with self.assertRaises(ProcessLookupError):
            os.kill(int(at.ws.removeprefix("ws://")), 0)


class Followings(unittest.IsolatedAsyncioTestCase):
    async def test_gathers_until_it_holds(self) -> None:
        batches = iter([[{"n": 1}], [{"n": 2}, {"n": 3}]])

        async def watch() -> list[p.Json]:
            return next(batches, None) or await asyncio.Event().wait()

        following = Following()
        task = asyncio.create_task(following.follow(watch))
        self.assertEqual(await following.one("the third", lambda one: one["n"] == 3), {"n": 3})
        self.assertFalse(await following.wait(lambda one: one["n"] == 4, 0.01))
        task.cancel()

    async def test_a_failure_is_told(self) -> None:
        async def watch() -> list[p.Json]:
            raise ValueError("the stream broke")

        following = Following()
        await following.follow(watch)
        with self.assertRaisesRegex(ValueError, "the stream broke"):
            await following.one("anything", lambda one: True)


if __name__ == "__main__":
    unittest.main()
