"""The comparison of orders is checked: sound books agree, and each breach of that is seen.

Needs nothing but Python: `python3 -m unittest discover clients/ccxt`.
"""

import json
import sqlite3
import tempfile
import time
import unittest
from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from books import Books, Order, Trade, differences
from gateway import Gateway, GatewayError
from ledger import Ledger, Told
from properties import Json
from simulator import Account

SCHEMA = Path(__file__).resolve().parents[2] / "crates/store/src/ledger/sqlite/schema_1.sql"

RESTING = Order(
    client_id="mA", id="7", side="buy", price=Decimal("30000.1"), quantity=Decimal("0.002"),
    filled=Decimal("0.001"), state="partial", open=True,
)
REFUSED = replace(
    RESTING, client_id="mB", id="", filled=Decimal(0), state="rejected", open=False
)
FILL = Trade(id="70", order="7", side="buy", price=Decimal("30000.1"), quantity=Decimal("0.001"))

SEEN = {
    "id": "7", "clientOrderId": "mA", "side": "buy", "price": 30000.1, "amount": 0.002,
    "filled": 0.001, "status": "open",
}


class Comparison(unittest.TestCase):
    def test_the_same(self) -> None:
        told = Books([RESTING, REFUSED], [FILL])
        self.assertEqual(differences(told, Books([RESTING], [FILL])), [])
        self.assertEqual(told.open(), [RESTING])
        self.assertEqual(told.refused(), [REFUSED])

    def test_each_breach(self) -> None:
        told, other = Books([RESTING], [FILL]), Decimal("0.003")
        breaches = [
            ([], [FILL]), ([RESTING], []), ([RESTING], [FILL, FILL]),
            ([RESTING, replace(RESTING, client_id="mB", id="8")], [FILL]),
            ([RESTING, replace(RESTING, id="8")], [FILL]),
            *(([replace(RESTING, **change)], [FILL]) for change in (
                {"client_id": "mB"}, {"id": "8"}, {"side": "sell"}, {"price": other},
                {"quantity": other}, {"filled": other}, {"state": "acknowledged"}, {"open": False},
            )),
            *(([RESTING], [replace(FILL, **change)]) for change in (
                {"id": "71"}, {"order": "8"}, {"side": "sell"}, {"price": other},
                {"quantity": other},
            )),
        ]
        for orders, trades in breaches:
            seen = Books(orders, trades)
            with self.subTest(seen=seen):
                self.assertNotEqual(differences(told, seen), [])
                self.assertNotEqual(differences(seen, told), [])

    def test_sent_twice_though_both_know(self) -> None:
        twice = Books([RESTING, replace(RESTING, id="8")], [])
        self.assertEqual(differences(twice, twice), ["mA is 2 orders to ccxt"])

    def test_a_venue_that_took_what_it_refused(self) -> None:
        told = Books([RESTING, REFUSED], [FILL])
        seen = Books([RESTING, replace(REFUSED, id="8")], [FILL])
        self.assertEqual(len(differences(told, seen)), 1)

    def test_words_of_ccxt(self) -> None:
        self.assertEqual(Order.of(SEEN), RESTING)
        for status, filled, state, is_open in (
            ("open", 0.0, "acknowledged", True), ("closed", 0.002, "filled", False),
            ("canceled", 0.001, "cancelled", False), ("expired", 0.0, "expired", False),
            ("rejected", 0.0, "rejected", False),
        ):
            order = Order.of(SEEN | {"status": status, "filled": filled})
            self.assertEqual((order.state, order.open), (state, is_open))
        for source, state in (("1", "cancelled"), ("31", "expired")):
            order = SEEN | {"status": "canceled", "info": {"cancelSource": source}}
            self.assertEqual(Order.of(order).state, state)
        trade = {"id": "70", "order": "7", "side": "buy", "price": 30000.1, "amount": 0.001}
        self.assertEqual(Trade.of(trade), FILL)


class Ledgers(unittest.TestCase):
    """Read from a file that has the gateway's own tables."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.file = Path(folder.name) / "ledger.db"
        self.facts = 0

    def fact(self, kind: str, what: Json, name: str = "1-1") -> int:
        self.facts += 1
        body = json.dumps({kind: what})
        row = (self.facts, 1, self.facts, kind, "trader", name, None, body)
        self.change("INSERT INTO facts VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
        return self.facts

    def change(self, sql: str, row: tuple) -> None:
        with closing(sqlite3.connect(self.file)) as ledger:
            ledger.execute(sql, row)
            ledger.commit()

    def submit(self) -> None:
        with closing(sqlite3.connect(self.file)) as ledger:
            ledger.executescript(SCHEMA.read_text())
        terms = {
            "provider": "okx", "instrument": "BTC-USDT", "side": "buy", "price": "30000.10",
            "quantity": "0.0020",
        }
        intent = self.fact("submit", {"terms": terms, "venue_client_id": "mA"})
        row = ("trader", "1-1", intent)
        self.change("INSERT INTO orders (consumer, client_order_id, intent) VALUES (?, ?, ?)", row)

    def report(self, order_id: str, fill: Json | None, state: tuple) -> None:
        about = {"venue_order_id": order_id, "side": "buy", "fill": fill}
        self.fact("report", about)
        self.change("UPDATE orders SET state = ?, quantity = ?, filled = ?, open = ?", state)

    def told(self) -> Told:
        return Ledger(self.file).read()["okx", "BTC-USDT"]

    def test_nothing_yet(self) -> None:
        self.assertEqual(Ledger(self.file).read(), {})
        sqlite3.connect(self.file).close()
        self.assertEqual(Ledger(self.file).read(), {})

    def test_an_order_on_its_way(self) -> None:
        self.submit()
        sent = replace(RESTING, id="", filled=Decimal(0), state="sent")
        self.assertEqual(self.told(), Told([sent], [], 1))

    def test_an_order_that_is_filled(self) -> None:
        self.submit()
        self.report("7", None, ("acknowledged", "0.0020", "0", 1))
        fill = {"trade_id": "70", "price": "30000.10", "quantity": "0.0010"}
        self.report("7", fill, ("partial", "0.0020", "0.0010", 1))
        self.assertEqual(self.told(), Told([RESTING], [FILL], 3))

    def test_an_order_that_was_refused(self) -> None:
        self.submit()
        self.report("client:mA", None, ("rejected", "0.002", "0", 0))
        self.assertEqual(self.told().orders, [replace(REFUSED, client_id="mA")])

    def test_one_intent_that_became_two_orders(self) -> None:
        self.submit()
        for order_id in ("7", "8"):
            self.report(order_id, None, ("partial", "0.002", "0.001", 1))
        self.assertEqual(self.told().orders, [RESTING, replace(RESTING, id="8")])

    def test_it_is_not_written_to(self) -> None:
        self.submit()
        before = self.file.read_bytes()
        self.told()
        self.assertEqual(self.file.read_bytes(), before)


class Gateways(unittest.TestCase):
    def life(self, script: str, check: bool = False) -> str:
        """What a "gateway" leaves in a file `said` whose whole program is `script`."""
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            program = folder / "gateway"
            program.write_text(f"#!/bin/sh\ncd {folder}\n{script}\n")
            program.chmod(0o755)
            account = Account("k", "s", "p")
            with Gateway(program, folder, 2, True, ["okx=a=BTC-USDT"], account) as gateway:
                end = time.monotonic() + 10
                while check and time.monotonic() < end:
                    gateway.check()
            return (folder / "said").read_text()

    def test_arguments_and_end(self) -> None:
        said = self.life('echo "$@ $CRASH_API_KEY $CRASH_SECRET $CRASH_PASSPHRASE" > said; cat')
        what, _folder, *more = said.split()
        self.assertEqual(what, "gateway")
        self.assertEqual(more, ["2", "calm", "batch", "okx=a=BTC-USDT", "k", "s", "p"])

    def test_paused(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            program = Path(name) / "gateway"
            program.write_text("#!/bin/sh\ncat\n")
            program.chmod(0o755)
            with Gateway(program, Path(name), 1, False, [], Account("k", "s", "p")) as gateway:
                for _ in range(3):
                    with gateway.paused():
                        state = Path(f"/proc/{gateway._process.pid}/stat").read_text()
                        self.assertEqual(state.rpartition(")")[2].split()[0], "T")
            # Only a process that goes on comes to this end.
            self.assertEqual(gateway._process.returncode, 0)

    def test_another_end(self) -> None:
        with self.assertRaisesRegex(GatewayError, "with 3: no ledger"):
            self.life("cat; echo no ledger >&2; exit 3")

    def test_ended_by_itself(self) -> None:
        with self.assertRaisesRegex(GatewayError, "by itself with 0: so long"):
            self.life("echo so long >&2", check=True)


if __name__ == "__main__":
    unittest.main()
