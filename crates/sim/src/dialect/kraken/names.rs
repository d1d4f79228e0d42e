//! What assets and pairs are called by REST: the oldest assets have an `X` or `Z` before their name,
//! and so have pairs of two of them.
//!
//! docs.kraken.com/api/docs, `rest-api/{get-asset-info,get-tradable-asset-pairs}`.

use std::borrow::Cow;

use crate::market::Market;
use crate::market::instrument::Instrument;
use crate::market::order::Index;

/// Our name of an asset that is called otherwise, the venue's, and the one that its pairs' short names
/// are made of.
const OLD: [(&str, &str, &str); 17] = [
    ("BTC", "XXBT", "XBT"),
    ("DOGE", "XXDG", "XDG"),
    ("ETC", "XETC", "ETC"),
    ("ETH", "XETH", "ETH"),
    ("LTC", "XLTC", "LTC"),
    ("MLN", "XMLN", "MLN"),
    ("REP", "XREP", "REP"),
    ("XLM", "XXLM", "XLM"),
    ("XMR", "XXMR", "XMR"),
    ("XRP", "XXRP", "XRP"),
    ("ZEC", "XZEC", "ZEC"),
    ("AUD", "ZAUD", "AUD"),
    ("CAD", "ZCAD", "CAD"),
    ("EUR", "ZEUR", "EUR"),
    ("GBP", "ZGBP", "GBP"),
    ("JPY", "ZJPY", "JPY"),
    ("USD", "ZUSD", "USD"),
];

/// `XXBT` and `XBT`.
pub(super) fn asset(name: &str) -> (&str, &str) {
    let old = OLD.iter().find(|(ours, ..)| *ours == name);
    old.map_or((name, name), |(_, id, short)| (*id, *short))
}

/// Whether an asset is meant: `XXBT`, `XBT` or `BTC`.
pub(super) fn is_asset(name: &str, asked: &str) -> bool {
    let (id, short) = asset(name);
    [name, id, short].contains(&asked)
}

/// `XBTUSD`.
pub(super) fn short(of: &Instrument) -> String {
    format!("{}{}", asset(&of.base).1, asset(&of.quote).1)
}

/// `XBT/USD`, as the first WebSocket API has it.
pub(super) fn slashed(of: &Instrument) -> String {
    format!("{}/{}", asset(&of.base).1, asset(&of.quote).1)
}

/// `XXBTZUSD`, or the short name where one of the two is not old. Pairs with Australian dollars, and of
/// doges with money, came later than their assets.
pub(super) fn pair(of: &Instrument) -> String {
    let ((base, _), (quote, _)) = (asset(&of.base), asset(&of.quote));
    let is_old = base != &*of.base && quote != &*of.quote;
    let is_late = quote == "ZAUD" || (base == "XXDG" && quote.starts_with('Z'));
    if is_old && !is_late { format!("{base}{quote}") } else { short(of) }
}

/// The instrument that is asked for, and the name that it is answered by: the one with a slash as it
/// was asked for, else the venue's.
pub(super) fn find<'a>(market: &Market, asked: &'a str) -> Option<(Index, Cow<'a, str>)> {
    let asked: Cow<'_, str> = match asked.contains('%') {
        true => asked.replace("%2F", "/").replace("%2f", "/").into(),
        false => asked.into(),
    };
    let bare = asked.replace('/', "");
    let index = (0..market.len()).find(|index| {
        let of = market.instrument(*index);
        bare == pair(of) || bare == short(of) || bare == format!("{}{}", of.base, of.quote)
    })?;
    let name = if asked.contains('/') { asked } else { pair(market.instrument(index)).into() };
    Some((index, name))
}
