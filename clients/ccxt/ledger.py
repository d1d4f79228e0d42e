"""What a gateway says it placed: its orders and their fills, read from its ledger's tables.

The tables are explained where they are made: `crates/store/src/ledger/sqlite/schema_1.sql`. A fact's
`body` is `crates/store/src/ledger/encode.rs` as JSON.
"""

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from books import Books, Order, Trade
from properties import Json

Market = tuple[str, str]
"""Provider and instrument."""

FACTS = """SELECT position, kind, consumer, client_order_id, body FROM facts
           WHERE client_order_id IS NOT NULL ORDER BY position"""
CURRENT = "SELECT consumer, client_order_id, state, quantity, filled, open FROM orders"
NO_ID = "client:"
"""What the gateway puts before our id where a venue refused an order and gave it none."""
READ_S = 10


@dataclass
class Told(Books):
    """What a ledger tells of a market."""

    last: int = 0
    """The position of the newest fact about it."""


class Ledger:
    """A ledger's file, which its gateway may be writing."""

    def __init__(self, file: Path):
        self._file = file

    def read(self) -> dict[Market, Told]:
        """All that it tells, as of one moment; nothing before the gateway has made its tables."""
        if not self._file.exists():
            return {}
        # For reading alone: nothing here can change what it is to be compared with.
        source = f"{self._file.resolve().as_uri()}?mode=ro"
        with closing(sqlite3.connect(source, uri=True, timeout=READ_S)) as ledger:
            ledger.execute("BEGIN")
            tables = {name for name, in ledger.execute("SELECT name FROM sqlite_schema")}
            if not {"facts", "orders"} <= tables:
                return {}
            rows = ledger.execute(CURRENT).fetchall()
            facts = ledger.execute(FACTS).fetchall()
        return tell(facts, {(consumer, name): state for consumer, name, *state in rows})


def tell(facts: list[tuple], current: dict[tuple, list]) -> dict[Market, Told]:
    """The facts of each market, put together."""
    markets: dict[Market, Told] = {}
    intents: dict[tuple, Json] = {}
    ids: dict[tuple, dict[str, None]] = {}
    for position, kind, consumer, name, body in facts:
        what, key = json.loads(body)[kind], (consumer, name)
        terms = intents.setdefault(key, what)["terms"]
        told = markets.setdefault((terms["provider"], terms["instrument"]), Told())
        told.last = position
        of = ids.setdefault(key, {})
        if kind == "report" and not what["venue_order_id"].startswith(NO_ID):
            of[what["venue_order_id"]] = None
            told.trades += trade(what)
    for key, intent in intents.items():
        told = markets[intent["terms"]["provider"], intent["terms"]["instrument"]]
        # One intent under two ids is two orders: what must never be, and is to be seen here.
        told.orders += [order(intent, venue_id, *current[key]) for venue_id in ids[key] or [""]]
    return markets


def order(
    intent: Json, venue_id: str, state: str | None, quantity: str | None, filled: str | None,
    is_open: int,
) -> Order:
    """An order as it stands; before the first report it has no state yet."""
    terms = intent["terms"]
    return Order(
        client_id=intent["venue_client_id"], id=venue_id, side=terms["side"],
        price=Decimal(terms["price"]), quantity=Decimal(quantity or terms["quantity"]),
        filled=Decimal(filled or 0), state=state or "sent", open=bool(is_open),
    )


def trade(report: Json) -> list[Trade]:
    """The fill that a report tells of, where it is one."""
    fill = report["fill"]
    return [] if fill is None else [Trade(
        id=fill["trade_id"], order=report["venue_order_id"], side=report["side"],
        price=Decimal(fill["price"]), quantity=Decimal(fill["quantity"]),
    )]
