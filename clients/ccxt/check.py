#!/usr/bin/env python3
"""Checks that ccxt works against `meltica sim`, with overridden addresses and documented options.

Starts a simulator a venue on loopback, asks it all that ccxt can ask, and holds every answer to
properties that are true of a venue. One line a check; exit code 0 where all hold, else 1.
"""

import argparse
import asyncio
import sys
import time
from pathlib import Path
from typing import Any

import ccxt

from market_data import MarketData
from properties import Broken
from simulator import Address, Simulator, SimulatorError
from trading import Trading
from venues import VENUES, Venue, client

ROOT = Path(__file__).resolve().parents[2]
CHECK_S = 60
WANTED = {"watch_ohlcv": "watchOHLCV"}
"""Checks that ccxt has no method for on every venue."""


class Report:
    """Counts, and prints as it goes."""

    def __init__(self, only: list[str]):
        self.only, self.passed, self.failed = only, 0, 0

    def say(self, ok: bool, venue: Venue, name: str, what: str) -> None:
        self.passed, self.failed = self.passed + ok, self.failed + (not ok)
        print(f"{'ok  ' if ok else 'FAIL'}  {venue.name:14} {name:18} {what}", flush=True)

    async def check(self, venue: Venue, check: Any) -> None:
        name = check.__name__
        if name not in self.only:
            return
        start = time.monotonic()
        try:
            what = await asyncio.wait_for(check(), CHECK_S)
        except TimeoutError:
            self.say(False, venue, name, f"not done within {CHECK_S} s")
        except (Broken, ccxt.BaseError) as error:
            kind = "" if isinstance(error, Broken) else f"{type(error).__name__}: "
            self.say(False, venue, name, f"{kind}{error}")
        # What ccxt stumbles over in an answer is a fault of the answer: it counts as one.
        except Exception as error:
            self.say(False, venue, name, f"ccxt broke on it: {type(error).__name__}: {error}")
        else:
            self.say(True, venue, name, f"{what} ({time.monotonic() - start:.1f} s)")


async def check_venue(venue: Venue, at: Address, report: Report) -> None:
    exchange = client(venue, at)
    intruder = client(venue, at, secret="bm90LXRoZS1zZWNyZXQ=")
    try:
        try:
            await asyncio.wait_for(exchange.load_markets(), CHECK_S)
            exchange.market(venue.symbol)
        except (ccxt.BaseError, TimeoutError) as error:
            return report.say(False, venue, "load_markets", f"{type(error).__name__}: {error}")
        groups: list[Any] = [MarketData(venue, exchange)]
        if venue.trading and at.account is None:
            report.say(False, venue, "account", "the simulator names no account to trade with")
        elif venue.trading:
            groups.append(Trading(venue, exchange, intruder))
        for group in groups:
            for name in group.CHECKS:
                if exchange.has.get(WANTED.get(name, ""), True):
                    await report.check(venue, getattr(group, name))
    finally:
        await exchange.close()
        await intruder.close()


def arguments() -> argparse.Namespace:
    names, checks = [venue.name for venue in VENUES], MarketData.CHECKS + Trading.CHECKS
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"""venues: {', '.join(names)}
checks: {', '.join(checks)}

examples:
  check.py
  check.py --venue binance,okx --only order_book,watch_order_book
  check.py --meltica target/debug/meltica --seed 7""",
    )
    add = parser.add_argument
    add("--venue", metavar="NAMES", help="separated by commas (default: all)")
    add("--only", metavar="CHECKS", help="separated by commas (default: all)")
    add("--meltica", type=Path, default=ROOT / "target/release/meltica", metavar="FILE",
        help="the binary (default: target/release/meltica)")
    add("--seed", type=int, default=1, help="the simulated market's (default: 1)")
    add("--rate", type=int, default=100, help="venue messages a second (default: 100)")
    parsed = parser.parse_args()
    parsed.venue = chosen(parser, "--venue", parsed.venue, names)
    parsed.only = chosen(parser, "--only", parsed.only, checks)
    return parsed


def chosen(
    parser: argparse.ArgumentParser, option: str, given: str | None, known: list[str]
) -> list[str]:
    names = given.split(",") if given else known
    unknown = [name for name in names if name not in known]
    if unknown:
        parser.error(f"{option}: no {', '.join(unknown)}; there are {', '.join(known)}")
    return names


def main() -> int:
    args = arguments()
    report = Report(args.only)
    print(f"ccxt {ccxt.__version__} against {args.meltica}, seed {args.seed}", flush=True)
    for venue in (venue for venue in VENUES if venue.name in args.venue):
        simulator = Simulator(args.meltica, venue.name, venue.instrument, args.seed, args.rate)
        try:
            with simulator as at:
                asyncio.run(check_venue(venue, at, report))
        except SimulatorError as error:
            report.say(False, venue, "simulator", str(error))
    print(f"{report.passed} passed, {report.failed} failed")
    return 1 if report.failed or not report.passed else 0


if __name__ == "__main__":
    sys.exit(main())
