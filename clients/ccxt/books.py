"""An account's orders and trades, as one side tells them; and what two sides do not agree on."""

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal

from properties import Json, exact

STATES = {"closed": "filled", "canceled": "cancelled", "expired": "expired", "rejected": "rejected"}
"""ccxt's words, and the gateway's for the same; an open order has two there, by what is filled."""
ENDED_BY_TERMS = {"13", "14", "31"}
"""OKX says "canceled" also where an order's time in force has ended it, with why as `cancelSource`:
fill-or-kill, immediate-or-cancel, post-only (www.okx.com/docs-v5, "GET / Order details")."""


@dataclass(frozen=True)
class Order:
    """One order, in the gateway's words."""

    client_id: str
    """What it was sent as."""
    id: str
    """The venue's; empty where it has none."""
    side: str
    price: Decimal
    quantity: Decimal
    filled: Decimal
    state: str
    open: bool

    @classmethod
    def of(cls, seen: Json) -> "Order":
        """What ccxt gives."""
        is_open, filled = seen["status"] == "open", exact(seen["filled"])
        state = ("partial" if filled else "acknowledged") if is_open else STATES[seen["status"]]
        if seen.get("info", {}).get("cancelSource") in ENDED_BY_TERMS:
            state = "expired"
        return cls(
            client_id=seen["clientOrderId"], id=seen["id"], side=seen["side"],
            price=exact(seen["price"]), quantity=exact(seen["amount"]), filled=filled, state=state,
            open=is_open,
        )


@dataclass(frozen=True)
class Trade:
    """One fill of an order."""

    id: str
    order: str
    """The venue's id of it."""
    side: str
    price: Decimal
    quantity: Decimal

    @classmethod
    def of(cls, seen: Json) -> "Trade":
        """What ccxt gives."""
        return cls(
            id=seen["id"], order=seen["order"], side=seen["side"], price=exact(seen["price"]),
            quantity=exact(seen["amount"]),
        )


@dataclass
class Books:
    """All orders and all trades."""

    orders: list[Order] = field(default_factory=list)
    trades: list[Trade] = field(default_factory=list)

    def open(self) -> list[Order]:
        """Those that are not over."""
        return [order for order in self.orders if order.open]

    def placed(self) -> list[Order]:
        """Those that a venue took: what it refused has no id there."""
        return [order for order in self.orders if order.id]

    def refused(self) -> list[Order]:
        """The others."""
        return [order for order in self.orders if not order.id]


def differences(told: Books, seen: Books) -> list[str]:
    """What the gateway tells and ccxt does not see, and the other way round; each in words."""
    times = Counter(order.client_id for order in seen.orders)
    doubled = [f"{name} is {n} orders to ccxt" for name, n in times.items() if n > 1]
    found = doubled + orders_differ(told.placed(), seen.orders)
    return found + trades_differ(told.trades, seen.trades)


def orders_differ(told: list[Order], seen: list[Order]) -> list[str]:
    """The same orders, each the same in all that it is."""
    ours, theirs = by_ids(told), by_ids(seen)
    found = []
    for key in sorted(ours.keys() | theirs.keys()):
        if key not in ours:
            found.append(f"ccxt sees it, the gateway does not tell of it: {theirs[key]}")
        elif key not in theirs:
            found.append(f"the gateway tells of it, ccxt does not see it: {ours[key]}")
        elif unlike := fields(ours[key], theirs[key]):
            found.append(f"order {' '.join(key)}: {unlike}")
    return found


def by_ids(orders: list[Order]) -> dict[tuple[str, str], Order]:
    """Orders by what they were sent as and what the venue calls them."""
    return {(order.client_id, order.id): order for order in orders}


def trades_differ(told: list[Trade], seen: list[Trade]) -> list[str]:
    """The same trades, each as often."""
    missing, more = Counter(told) - Counter(seen), Counter(seen) - Counter(told)
    found = [f"the gateway tells of it, ccxt does not see it: {one}" for one in missing.elements()]
    return found + [f"ccxt sees it, the gateway does not tell of it: {one}" for one in more.elements()]


def fields(ours: Order, theirs: Order) -> str:
    """In which fields two orders are not the same; nothing where they are."""
    unlike = {
        name: (value, getattr(theirs, name)) for name, value in vars(ours).items()
        if value != getattr(theirs, name)
    }
    return ", ".join(f"{name} is {a}, and {b} to ccxt" for name, (a, b) in unlike.items())
