"""How ccxt is pointed at a simulator: addresses and documented options, one row a venue.

`urls["api"]` is replaced as a whole, so that no address of a real venue is left in the client.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import ccxt.pro

from simulator import Address


@dataclass(frozen=True)
class Venue:
    """A venue as both sides name it."""

    name: str
    """What `meltica sim --venue` calls it."""
    exchange: str
    """ccxt's class."""
    instrument: str
    """Canonical; the one that is checked."""
    symbol: str
    """The same in ccxt's words."""
    urls: Callable[[Address], dict[str, Any]]
    options: dict[str, Any] = field(default_factory=dict)
    trades: dict[str, str] = field(default_factory=dict)
    """What makes `fetch_trades` give single trades, with the ids that the stream has."""
    trading: bool = False
    resyncs: int = 0
    """How often `watch_order_book` may ask to be called again (see the guide)."""
    refusals: dict[str, str] = field(default_factory=dict)
    """What the venue answers to what it refuses: the code, or the message where ccxt shows only
    that. ccxt's exception alone would not do: it knows most of Binance's codes by the real host's
    name only."""


def _spot(at: Address) -> dict[str, Any]:
    # ccxt takes an address with "/stream" in it for spot, as in the real host's name.
    return {
        "public": f"{at.rest}/api/v3",
        "private": f"{at.rest}/api/v3",
        "sapi": f"{at.rest}/sapi/v1",
        "ws": {"spot": f"{at.ws}/stream", "ws-api": {"spot": f"{at.ws}/ws-api/v3"}},
    }


def _linear(at: Address) -> dict[str, Any]:
    # ccxt puts /public, /market or /private before the final /ws itself.
    versions = {"": "v1", "V2": "v2", "V3": "v3"}
    rest = {
        f"fapi{access}{suffix}": f"{at.rest}/fapi/{version}"
        for access in ("Public", "Private") for suffix, version in versions.items()
    }
    return rest | {"ws": {"linear": f"{at.ws}/ws", "ws-api": {"linear": f"{at.ws}/ws-fapi/v1"}}}


def _inverse(at: Address) -> dict[str, Any]:
    rest = {f"dapi{access}": f"{at.rest}/dapi/v1" for access in ("Public", "Private")}
    return rest | {"ws": {"inverse": f"{at.ws}/ws", "ws-api": {"inverse": f"{at.ws}/ws-dapi/v1"}}}


def _okx(at: Address) -> dict[str, Any]:
    return {"rest": at.rest, "ws": f"{at.ws}/ws/v5"}


def _kraken(at: Address) -> dict[str, Any]:
    ws = {"publicV2": f"{at.ws}/v2", "privateV2": f"{at.ws}/v2"}
    return {"public": at.rest, "private": at.rest, "ws": ws}


def _coinbase(at: Address) -> dict[str, Any]:
    return {"public": at.rest, "private": at.rest, "ws": at.ws}


def _binance(line: str) -> dict[str, Any]:
    kind = {} if line == "spot" else {"defaultType": "swap", "defaultSubType": line}
    return kind | {
        "fetchMarkets": {"types": [line]},
        # Coins are asked of the spot line's /sapi, which the other lines do not have.
        "fetchCurrencies": line == "spot",
        # Else each private stream begins with positions and leverage brackets by REST.
        "watchPositions": {"fetchPositionsSnapshot": False},
    }


# developers.binance.com, "Error codes", of spot and of USDⓈ-M.
_BINANCE = {"cancel": "-2011", "unknown": "-2013", "signature": "-1022"}

_OKX: dict[str, Any] = {"fetchMarkets": {"types": ["spot", "swap"]}}
# www.okx.com/docs-v5, "Error code". A post-only order that would take is accepted, then canceled: no
# code for it.
_OKX_REFUSALS = {"cancel": "51400", "unknown": "51603", "signature": "50113", "balance": "51008"}

VENUES = [
    Venue(
        "binance", "binance", "BTC-USDT", "BTC/USDT", _spot, _binance("spot"),
        trades={"fetchTradesMethod": "publicGetTrades"}, trading=True,
        refusals=_BINANCE | {
            "post_only": "Order would immediately match and take.",
            "balance": "Account has insufficient balance for requested action.",
        },
    ),
    Venue(
        "binance-usdm", "binance", "BTC-USDT-PERP", "BTC/USDT:USDT", _linear, _binance("linear"),
        trades={"fetchTradesMethod": "fapiPublicGetTrades"}, trading=True,
        refusals=_BINANCE | {"post_only": "-5022", "balance": "-2019"},
    ),
    Venue(
        "binance-coinm", "binance", "BTC-USD-PERP", "BTC/USD:BTC", _inverse, _binance("inverse"),
        trades={"fetchTradesMethod": "dapiPublicGetTrades"}, resyncs=5,
    ),
    Venue(
        "okx", "okx", "BTC-USDT", "BTC/USDT", _okx, _OKX, trading=True, refusals=_OKX_REFUSALS,
    ),
    Venue(
        "okx", "okx", "BTC-USDT-PERP", "BTC/USDT:USDT", _okx, _OKX, trading=True,
        refusals=_OKX_REFUSALS,
    ),
    Venue("kraken", "kraken", "BTC-USD", "BTC/USD", _kraken),
    Venue("coinbase", "coinbaseexchange", "BTC-USD", "BTC/USD", _coinbase),
]


def client(venue: Venue, at: Address, secret: str | None = None) -> ccxt.pro.Exchange:
    """A ccxt client with the simulator's account; `secret` takes the place of the right one."""
    config: dict[str, Any] = {"options": venue.options}
    if at.account:
        config |= {
            "apiKey": at.account.api_key,
            "secret": secret or at.account.secret,
            "password": at.account.passphrase,
        }
    exchange = getattr(ccxt.pro, venue.exchange)(config)
    exchange.urls["api"] = venue.urls(at)
    return exchange
