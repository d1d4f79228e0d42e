"""What holds of books, trades, candles and orders, whatever the venue."""

import time
from decimal import Decimal
from typing import Any

Json = dict[str, Any]
Level = tuple[Decimal, Decimal]
MINUTE_MS = 60_000


class Broken(Exception):
    """A property that does not hold: what was seen, and what would be right."""


def expect(holds: bool, message: str) -> None:
    """Raises with `message` where something does not hold."""
    if not holds:
        raise Broken(message)


def exact(number: Any) -> Decimal:
    """ccxt gives floats; their shortest decimal form is what the venue sent."""
    return Decimal(str(number))


def on_grid(what: str, number: Any, step: Any) -> None:
    """A multiple of the instrument's tick or lot."""
    expect(exact(number) % exact(step) == 0, f"{what} {number} is no multiple of {step}")


def recent(what: str, timestamp: int | None, seconds: float) -> None:
    """Milliseconds since the epoch, near this machine's clock."""
    expect(timestamp is not None, f"{what} has no time")
    off = abs(time.time() - timestamp / 1000)
    expect(off <= seconds, f"{what} is {off:.1f} s from this machine's clock, over {seconds} s")


def levels(side: list[list[Any]], depth: int | None = None) -> list[Level]:
    """A copy: ccxt changes its book in place."""
    return [(exact(level[0]), exact(level[1])) for level in side[:depth]]


def book(seen: Json, market: Json) -> tuple[list[Level], list[Level]]:
    """Sorted, uncrossed, on the instrument's grid, without empty levels. Gives bids and asks."""
    bids, asks = levels(seen["bids"]), levels(seen["asks"])
    expect(bool(bids) and bool(asks), f"a side is empty: {len(bids)} bids, {len(asks)} asks")
    for (better, _), (worse, _) in zip(bids, bids[1:]):
        expect(better > worse, f"bids are not sorted: {worse} behind {better}")
    for (better, _), (worse, _) in zip(asks, asks[1:]):
        expect(better < worse, f"asks are not sorted: {worse} behind {better}")
    expect(bids[0][0] < asks[0][0], f"crossed: bid {bids[0][0]}, ask {asks[0][0]}")
    for price, amount in bids + asks:
        on_grid("price", price, market["precision"]["price"])
        on_grid("amount", amount, market["precision"]["amount"])
        expect(amount > 0, f"an empty level at {price}")
    return bids, asks


def trade(seen: Json, market: Json) -> None:
    """One public or own trade."""
    expect(seen["symbol"] == market["symbol"], f"a trade of {seen['symbol']}")
    expect(bool(seen["id"]), f"a trade without id: {seen}")
    expect(seen["side"] in ("buy", "sell"), f"a trade's side is {seen['side']!r}")
    real = seen["price"] > 0 and seen["amount"] > 0
    expect(real, f"a trade of {seen['amount']} at {seen['price']}")
    on_grid("a trade's price", seen["price"], market["precision"]["price"])
    on_grid("a trade's amount", seen["amount"], market["precision"]["amount"])
    recent("a trade", seen["timestamp"], 24 * 3600)


def ordered(trades: list[Json]) -> None:
    """In order of time, no id twice."""
    times = [seen["timestamp"] for seen in trades]
    expect(times == sorted(times), "trades are not in order of time")
    ids = [seen["id"] for seen in trades]
    expect(len(set(ids)) == len(ids), "a trade's id comes twice")


def same_trade(one: Json, other: Json) -> None:
    """The same trade by stream and by REST."""
    for key in ("id", "price", "amount", "side"):
        expect(one[key] == other[key], f"trade {one['id']}: {key} {one[key]} and {other[key]}")
    # A venue may give microseconds on one way and milliseconds on the other.
    apart = abs(one["timestamp"] - other["timestamp"])
    expect(apart <= 1, f"trade {one['id']}: times {apart} ms apart")


def by_rest(one: Json, known: dict[str, Json]) -> Json:
    """A trade of a stream as REST has it, by ids. OKX streams an order's trades at one price as
    one, called by the last one's id, and says how many they are (`count`)."""
    last, count = one["id"], int(one.get("info", {}).get("count", 1))
    ids = [last] if count == 1 else [str(int(last) - back) for back in range(count)]
    unknown = [id_ for id_ in ids if id_ not in known]
    expect(not unknown, f"trades {unknown} of the stream are not known by REST")
    amount = sum(exact(known[id_]["amount"]) for id_ in ids)
    return known[last] | {"amount": float(amount)}


def ticker(seen: Json, market: Json) -> None:
    """A ticker; not every venue gives all of it."""
    expect(seen["symbol"] == market["symbol"], f"a ticker of {seen['symbol']}")
    expect(seen["last"] is not None and seen["last"] > 0, f"last is {seen['last']}")
    on_grid("last", seen["last"], market["precision"]["price"])
    if seen["high"] is not None and seen["low"] is not None:
        inside = seen["low"] <= seen["last"] <= seen["high"]
        expect(inside, f"last {seen['last']} is not in {seen['low']} to {seen['high']}")
    if seen["bid"] is not None and seen["ask"] is not None:
        expect(seen["bid"] < seen["ask"], f"bid {seen['bid']}, ask {seen['ask']}")
    if seen["timestamp"] is not None:
        recent("the ticker", seen["timestamp"], 60)


def since(seen: list[Any], times: list[int], begin: int) -> None:
    """Something, in order of time, none of it from before."""
    expect(bool(seen), f"nothing since {begin}")
    expect(times == sorted(times), "not in order of time")
    expect(times[0] >= begin, f"asked for what came since {begin}, got {times[0]}")


def candles(rows: list[list[Any]], market: Json, current: bool = True) -> None:
    """Candles of a minute, the last one current where the newest were asked for."""
    expect(bool(rows), "no candles")
    for start, open_, high, low, close, volume in rows:
        expect(start % MINUTE_MS == 0, f"a candle starts at {start}, not on a minute")
        sound = low <= min(open_, close) and max(open_, close) <= high and volume >= 0
        expect(sound, f"no candle: {open_}, {high}, {low}, {close}, volume {volume}")
        for price in (open_, high, low, close):
            on_grid("a candle's price", price, market["precision"]["price"])
    starts = [row[0] for row in rows]
    expect(starts == sorted(set(starts)), "candles are not in order, or one comes twice")
    if current:
        recent("the last candle", starts[-1], 150)
