#!/usr/bin/env python3
"""Checks that ccxt sees on `meltica sim` exactly the orders that a gateway says it placed.

Starts a simulator a venue, and one gateway that trades at all of them. While it trades, the open orders
of its ledger are compared with ccxt's; when all is over, every order and every trade: the same
ids, sides, prices, quantities, fills and states, nothing more and nothing less. One line a
comparison; exit code 0 where all hold, else 1 with what differs.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ccxt

from books import Books, Order, Trade, differences, orders_differ
from gateway import LEDGER, Gateway, GatewayError
from ledger import Ledger, Market, Told
from properties import Broken, Json, expect
from simulator import Account, Address, Simulator, SimulatorError
from venues import VENUES, Venue, client

ROOT = Path(__file__).resolve().parents[2]
TRADES_S = 120
"""The gateway has traded enough within so long."""
RESTS_S = 60
"""What is open is taken back within so long."""
AGREE_S = 30
"""A market's open orders are the same on both sides within so long."""
LOOK_S = 0.02
ASK_S = 20
PAGE = {"binance": 500, "okx": 100}
"""An exchange gives so many at once. A market has fewer, so that a page is all of it."""
LISTS = ["fetch_open_orders", "fetch_closed_orders", "fetch_canceled_orders"]
BY_CLIENT_ID = "clientOrderId"
TOLD = 10
"""So many differences are printed of a comparison."""


@dataclass
class Desk:
    """One market of the gateway, and the client that looks at it."""

    venue: Venue
    exchange: Any

    @property
    def market(self) -> Market:
        return self.venue.name, self.venue.instrument

    def told(self, ledger: Ledger) -> Told:
        """What the ledger tells of it."""
        return ledger.read().get(self.market, Told())

    async def open(self) -> list[Order]:
        """The open orders that ccxt sees."""
        return list(map(Order.of, await self.ask("fetch_open_orders")))

    async def books(self) -> Books:
        """All that ccxt sees: what its lists have, and each order by itself as the lists have it."""
        # Where a venue lists all orders at once, ccxt makes the other lists of it.
        names = LISTS + ["fetch_orders"] * bool(self.exchange.has["fetchOrders"])
        listed: dict[str, Order] = {}
        for name in names:
            for order in map(Order.of, await self.ask(name)):
                known = listed.setdefault(order.id, order)
                expect(known == order, f"two lists of ccxt's have {known} and {order}")
        for order in listed.values():
            by_id = await self.one(order.id)
            by_client_id = await self.one(None, {BY_CLIENT_ID: order.client_id})
            for name, alone in (("id", by_id), ("client id", by_client_id)):
                expect(alone == order, f"{order} of the lists is {alone} by its {name}")
        trades = await self.ask("fetch_my_trades")
        return Books(list(listed.values()), list(map(Trade.of, trades)))

    async def one(self, order_id: str | None, params: Json | None = None) -> Order:
        """One order by itself."""
        ask = self.exchange.fetch_order(order_id, self.venue.symbol, params or {})
        return Order.of(await asyncio.wait_for(ask, ASK_S))

    async def unknown(self, client_id: str) -> None:
        """Raises where the venue knows an order under that id."""
        try:
            seen = await self.one(None, {BY_CLIENT_ID: client_id})
        except ccxt.OrderNotFound:
            return
        raise Broken(f"{client_id} was refused, the gateway says, and ccxt sees {seen}")

    async def ask(self, name: str) -> list[Json]:
        """One list of ccxt's, whole."""
        answer = await asyncio.wait_for(getattr(self.exchange, name)(self.venue.symbol), ASK_S)
        full = len(answer) >= PAGE[self.venue.exchange]
        expect(not full, f"{name} has {len(answer)}: there may be more on a next page")
        return answer


async def until(
    what: str, seconds: float, gateway: Gateway, holds: Callable[[], bool]
) -> None:
    """Waits until something holds, as long as the gateway lives."""
    end = time.monotonic() + seconds
    while not holds():
        gateway.check()
        expect(time.monotonic() < end, f"{what}: not within {seconds} s; {gateway.said()}")
        await asyncio.sleep(LOOK_S)


async def compare_open(desk: Desk, ledger: Ledger, gateway: Gateway) -> str:
    """Ledger and ccxt have the same open orders while the gateway is made to do nothing. What was on
    its way at that moment is no difference: it is looked at again."""
    found, end = ["no order was open at any look"], time.monotonic() + AGREE_S
    while time.monotonic() < end:
        gateway.check()
        with gateway.paused():
            told, seen = desk.told(ledger), await desk.open()
        if told.open() or seen:
            found = orders_differ(told.open(), seen)
            if not found:
                return f"{len(seen)} open"
        await asyncio.sleep(LOOK_S)
    raise Broken(words(found))


async def compare_all(desk: Desk, ledger: Ledger) -> str:
    """Ledger and ccxt have the same orders and trades, and what was refused the venue knows nothing of."""
    told, seen = desk.told(ledger), await desk.books()
    found = differences(told, seen)
    expect(not found, words(found))
    expect(bool(told.trades), "no order was filled: nothing is shown")
    for order in told.refused():
        await desk.unknown(order.client_id)
    refused = f", {len(told.refused())} refused" if told.refused() else ""
    return f"{len(seen.orders)} orders, {len(seen.trades)} trades{refused}"


def words(found: list[str]) -> str:
    """What differs, a line each."""
    more = [f"and {len(found) - TOLD} more"] if len(found) > TOLD else []
    return "\n      ".join([f"{len(found)} differences", *found[:TOLD], *more])


@dataclass
class Check:
    """One gateway at all venues, and what its comparisons came to."""

    args: argparse.Namespace
    desks: list[Desk]
    ledger: Ledger
    failed: int = 0

    async def compare(self, what: Any, *rest: Any) -> None:
        """One comparison, of every market."""
        for desk in self.desks:
            ok = False
            try:
                said = await what(desk, self.ledger, *rest)
                ok = True
            except Broken as error:
                said = str(error)
            except (ccxt.BaseError, TimeoutError) as error:
                said = f"{type(error).__name__}: {error}"
            self.failed += not ok
            row = f"{desk.venue.name:14} {desk.venue.instrument:14} {what.__name__:13}"
            print(f"{'ok  ' if ok else 'FAIL'}  {row} {said}", flush=True)

    def traded(self) -> bool:
        """Each market has had its orders."""
        told, enough = self.ledger.read(), self.args.orders
        return all(len(told.get(desk.market, Told()).orders) >= enough for desk in self.desks)

    def over(self) -> bool:
        """No order is open any more."""
        return not any(told.open() for told in self.ledger.read().values())


async def run(args: argparse.Namespace, folder: Path, at: dict[str, Address]) -> int:
    """The gateway's two lives: one that trades, one that takes back what is open."""
    async with AsyncExitStack() as stack:
        desks = []
        for venue in TRADING:
            exchange = client(venue, at[venue.name])
            stack.push_async_callback(exchange.close)
            await asyncio.wait_for(exchange.load_markets(), ASK_S)
            desks.append(Desk(venue, exchange))
        check = Check(args, desks, Ledger(folder / LEDGER))
        with life(args, folder, at, 1) as gateway:
            await until("the first order", TRADES_S, gateway, lambda: bool(check.ledger.read()))
            await check.compare(compare_open, gateway)
            await until(f"{args.orders} orders a market", TRADES_S, gateway, check.traded)
        with life(args, folder, at, 2) as gateway:
            await until("the end of all", RESTS_S, gateway, check.over)
        await check.compare(compare_all)
    return check.failed


def life(args: argparse.Namespace, folder: Path, at: dict[str, Address], number: int) -> Gateway:
    providers = [
        f"{name}={address.rest.removeprefix('http://')}={','.join(instruments(name))}"
        for name, address in at.items()
    ]
    # All simulators know the same account.
    account = next(iter(at.values())).account or Account("", "", "")
    return Gateway(args.gateway, folder, number, number > 1, providers, account)


TRADING = [venue for venue in VENUES if venue.trading]


def instruments(name: str) -> list[str]:
    return [venue.instrument for venue in TRADING if venue.name == name]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="""examples:
  cargo build --release
  cargo build -p meltica --features crash-points --example crash
  orders.py --orders 20""",
    )
    add = parser.add_argument
    add("--meltica", type=Path, default=ROOT / "target/release/meltica", metavar="FILE",
        help="the simulators (default: target/release/meltica)")
    add("--gateway", type=Path, default=ROOT / "target/debug/examples/crash", metavar="FILE",
        help="the gateway that trades (default: target/debug/examples/crash)")
    add("--orders", type=int, default=15, metavar="N",
        help=f"at least so many a market, far fewer than {min(PAGE.values())} (default: 15)")
    add("--seed", type=int, default=1, help="the simulated markets' (default: 1)")
    add("--rate", type=int, default=100, help="messages of a venue a second (default: 100)")
    return parser.parse_args()


def main() -> int:
    args = arguments()
    print(f"ccxt {ccxt.__version__} against {args.gateway} at {args.meltica}", flush=True)
    try:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            names = dict.fromkeys(venue.name for venue in TRADING)
            at = {}
            for name in names:
                symbols = ",".join(instruments(name))
                simulator = Simulator(args.meltica, name, symbols, args.seed, args.rate)
                at[name] = stack.enter_context(simulator)
            failed = asyncio.run(run(args, folder, at))
    except (Broken, SimulatorError, GatewayError, ccxt.BaseError, TimeoutError) as error:
        print(f"FAIL  {type(error).__name__}: {error}")
        return 1
    print(f"{failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
