"""Checks of trading: orders, fills, balances, by REST, by `watch_*` and by WebSocket requests."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import ccxt

import properties as p
from following import Following
from properties import Broken, Json, exact, expect
from venues import Venue

BELOW = Decimal("0.97")
"""A buy this far below the best bid rests, and is within the venues' price bands."""
ABOVE = Decimal("1.01")
"""A buy this far above the best ask takes."""


LEVERAGE_MAX = 125
"""No venue lends more."""


class Trading:
    """The checks of one venue, with the simulator's account."""

    CHECKS = [
        "balance", "place_and_cancel", "market_order", "post_only", "refusals",
        "watch_trading", "ws_orders",
    ]
    """In this order."""

    def __init__(self, venue: Venue, exchange: Any, intruder: Any):
        self.venue, self.exchange, self.symbol = venue, exchange, venue.symbol
        self.intruder = intruder
        """The same client with a wrong secret."""

    @property
    def market(self) -> Json:
        return self.exchange.market(self.symbol)

    async def _resting(self) -> tuple[float, float]:
        """Amount and price of a buy that rests: well over the smallest order."""
        book = await self.exchange.fetch_order_book(self.symbol, 5)
        price = self._price(exact(book["bids"][0][0]) * BELOW)
        limits = self.market["limits"]
        cost = exact(limits["cost"]["min"] or 5) * 3
        amount = max(cost / exact(price), exact(limits["amount"]["min"] or 0) * 3)
        lot = exact(self.market["precision"]["amount"])
        return float((amount // lot + 1) * lot), price

    def _price(self, wanted: Decimal) -> float:
        return float(self.exchange.price_to_precision(self.symbol, float(wanted)))

    async def _place(self) -> tuple[str, float, float]:
        amount, price = await self._resting()
        order = await self.exchange.create_order(self.symbol, "limit", "buy", amount, price)
        return order["id"], amount, price

    async def _open_ids(self) -> list[str]:
        return [order["id"] for order in await self.exchange.fetch_open_orders(self.symbol)]

    async def _done(self, order_id: str) -> Json:
        """The order as soon as it is done: an accepted market order need not be filled at once."""
        for _ in range(50):
            order = await self.exchange.fetch_order(order_id, self.symbol)
            if order["status"] != "open":
                return order
            await asyncio.sleep(0.1)
        raise Broken(f"order {order_id} stays open")

    async def _total(self, code: str, part: str = "total") -> Decimal:
        balance = await self.exchange.fetch_balance()
        return exact(balance.get(code, {}).get(part) or 0)

    async def balance(self) -> str:
        """There is money, and its parts make the whole."""
        balance = await self.exchange.fetch_balance()
        quote = self.market["settle"] or self.market["quote"]
        expect(quote in balance["total"], f"no {quote} among {sorted(balance['total'])}")
        for code, total in balance["total"].items():
            free, used = balance["free"][code], balance["used"][code]
            expect(exact(free) >= 0, f"{code}: {free} free")
            if self.market["spot"]:
                whole = exact(free) + exact(used) == exact(total)
                expect(whole, f"{code}: {free} free and {used} used are not {total}")
        expect(balance["free"][quote] > 0, f"no {quote} to trade with")
        return f"{balance['free'][quote]} {quote} free"

    async def place_and_cancel(self) -> str:
        """An order is open, found, holds its money, and is gone when canceled."""
        quote = self.market["quote"]
        before = await self._total(quote, "free")
        order_id, amount, price = await self._place()
        order = await self.exchange.fetch_order(order_id, self.symbol)
        seen = {key: order[key] for key in ("status", "side", "type", "amount", "price", "filled")}
        right = {"side": "buy", "type": "limit", "amount": amount, "price": price, "filled": 0}
        expect(seen == right | {"status": "open"}, f"the order is {seen}")
        expect(order_id in await self._open_ids(), f"{order_id} is not among the open orders")
        if self.market["spot"]:
            held = before - await self._total(quote, "free")
            cost = exact(amount) * exact(price)
            expect(held >= cost, f"{held} {quote} is held for an order of {cost}")
        await self.exchange.cancel_order(order_id, self.symbol)
        order = await self.exchange.fetch_order(order_id, self.symbol)
        expect(order["status"] == "canceled", f"after the cancel the order is {order['status']}")
        expect(order_id not in await self._open_ids(), f"{order_id} is still among the open orders")
        after = await self._total(quote, "free")
        expect(after == before, f"{before} {quote} free before the order, {after} after its cancel")
        return f"{amount} at {price}"

    async def market_order(self) -> str:
        """A marketable order fills, its trades make it up, and the money moves by just that."""
        base = self.market["base"]
        before = await self._total(base)
        amount, _ = await self._resting()
        placed = await self.exchange.create_order(self.symbol, "market", "buy", amount)
        order = await self._done(placed["id"])
        seen = order["status"], order["amount"], order["filled"]
        expect(seen == ("closed", amount, amount), f"the order is {seen}, not filled to {amount}")
        every = await self.exchange.fetch_my_trades(self.symbol)
        mine = [one for one in every if one["order"] == order["id"]]
        for one in mine:
            p.trade(one, self.market)
            expect(one["side"] == "buy", f"trade {one['id']} is a {one['side']}")
            expect(one["takerOrMaker"] == "taker", f"trade {one['id']} is {one['takerOrMaker']}'s")
            expect(one["fee"]["cost"] is not None, f"trade {one['id']} has no fee")
        p.ordered(mine)
        total = sum(exact(one["amount"]) for one in mine)
        expect(total == exact(amount), f"{len(mine)} trades of {total} for an order of {amount}")
        if self.market["spot"]:
            fees = [one["fee"]["cost"] for one in mine if one["fee"]["currency"] == base]
            right = total - sum(map(exact, fees))
            gained = await self._total(base) - before
            expect(gained == right, f"{gained} {base} more; {right}, less the fee, would be right")
        return f"{amount} in {len(mine)} trades at {order['average']}"

    async def post_only(self) -> str:
        """A post-only order that would take does not trade."""
        book = await self.exchange.fetch_order_book(self.symbol, 5)
        amount, _ = await self._resting()
        price = self._price(exact(book["asks"][0][0]) * ABOVE)
        def place() -> Awaitable[Json]:
            create, params = self.exchange.create_order, {"postOnly": True}
            return create(self.symbol, "limit", "buy", amount, price, params)

        if "post_only" in self.venue.refusals:
            return await self._refused("post_only", place)
        order = await self._done((await place())["id"])
        seen = order["status"], order["filled"]
        expect(seen == ("canceled", 0), f"the order is {seen}")
        return "accepted, then canceled"

    async def refusals(self) -> str:
        """Wrong orders and a wrong signature get the venue's own answers."""
        symbol, (_, price) = self.symbol, await self._resting()
        order_id, *_ = await self._place()
        await self.exchange.cancel_order(order_id, symbol)
        free = await self._total(self.market["quote"], "free")
        # Twice what there is, or what leverage makes of it.
        worth = free * 2 * (1 if self.market["spot"] else LEVERAGE_MAX)
        unit = exact(price) * exact(self.market["contractSize"] or 1)
        too_much = float(self.exchange.amount_to_precision(symbol, float(worth / unit)))
        create = self.exchange.create_order
        seen = [
            await self._refused("cancel", lambda: self.exchange.cancel_order(order_id, symbol)),
            await self._refused("unknown", lambda: self.exchange.fetch_order("99999999", symbol)),
            await self._refused("balance", lambda: create(symbol, "limit", "buy", too_much, price)),
            await self._refused("signature", lambda: self.intruder.fetch_balance()),
        ]
        expect(await self._open_ids() == [], "a refused order is open")
        return ", ".join(seen)

    async def _refused(self, what: str, call: Callable[[], Awaitable[Any]]) -> str:
        """The venue's answer to what it refuses, by the name of the case."""
        answer = self.venue.refusals[what]
        try:
            await call()
        except ccxt.ExchangeError as error:
            found = re.search(rf"(?<!\w){re.escape(answer)}(?!\w)", str(error))
            expect(found is not None, f"{what}: {error}; {answer} would be right")
            return f"{what} is {type(error).__name__}"
        raise Broken(f"{what}: accepted; {answer} would be right")

    async def watch_trading(self) -> str:
        """What happens to orders, trades and balance comes by stream, each as it is by REST."""
        orders, fills, balances = Following(), Following(), Following()
        tasks = [
            asyncio.create_task(orders.follow(lambda: self.exchange.watch_orders(self.symbol))),
            asyncio.create_task(fills.follow(lambda: self.exchange.watch_my_trades(self.symbol))),
            asyncio.create_task(balances.follow(self._watch_balance)),
        ]
        try:
            await self._subscribed(orders)
            await self._cancel_is_told(orders)
            balances.seen.clear()
            await self._fill_is_told(orders, fills)
            await balances.until("the balance after the fill", lambda: bool(balances.seen))
            return f"{len(orders.seen)} events of orders, {len(fills.seen)} of trades"
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _subscribed(self, orders: Following) -> None:
        """ccxt does not say when a subscription is effective: the first event does."""
        for _ in range(10):
            order_id, *_ = await self._place()
            await self.exchange.cancel_order(order_id, self.symbol)
            if await orders.wait(lambda one, id=order_id: one["id"] == id, 1):
                return

    async def _cancel_is_told(self, orders: Following) -> None:
        order_id, *_ = await self._place()
        for status in ("open", "canceled"):
            await orders.one(f"the order, {status}", _state(order_id, status))
            if status == "open":
                await self.exchange.cancel_order(order_id, self.symbol)

    async def _fill_is_told(self, orders: Following, fills: Following) -> None:
        amount, _ = await self._resting()
        placed = await self.exchange.create_order(self.symbol, "market", "buy", amount)
        done = await orders.one("the order, filled", _state(placed["id"], "closed"))
        expect(done["filled"] == amount, f"filled {done['filled']} of {amount}")

        def whole() -> bool:
            # By id: OKX tells a trade on each of ccxt's two subscriptions to orders.
            mine = {one["id"]: one for one in fills.seen if one["order"] == placed["id"]}
            return sum(exact(one["amount"]) for one in mine.values()) == exact(amount)

        await fills.until(f"the order's trades of {amount}", whole)

    async def _watch_balance(self) -> list[Json]:
        return [dict(await self.exchange.watch_balance())]

    async def ws_orders(self) -> str:
        """Orders placed and canceled by WebSocket requests are what REST knows."""
        amount, price = await self._resting()
        placed = await self.exchange.create_order_ws(self.symbol, "limit", "buy", amount, price)
        order = await self.exchange.fetch_order(placed["id"], self.symbol)
        seen = order["status"], order["amount"], order["price"]
        expect(seen == ("open", amount, price), f"the order is {seen}")
        await self.exchange.cancel_order_ws(placed["id"], self.symbol)
        order = await self.exchange.fetch_order(placed["id"], self.symbol)
        expect(order["status"] == "canceled", f"after the cancel the order is {order['status']}")
        return f"{amount} at {price}"


def _state(order_id: str, status: str) -> Callable[[Json], bool]:
    return lambda one: (one["id"], one["status"]) == (order_id, status)
