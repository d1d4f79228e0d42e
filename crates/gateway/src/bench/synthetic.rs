//! Frames without end, of one kind or mixed: one instrument's market streams as a venue would send
//! them, its book a band of prices around the middle in which levels come, change and go.

use std::fmt::Write as _;

use model::Kind;

/// Whose form the frames have.
pub(super) const VENUE: &str = "binance";

/// The book's best prices never leave this many ticks around the middle.
const BAND: u64 = 400;
/// The middle, in ticks of 0.0001.
const MIDDLE: u64 = 120_000;
/// The snapshot's update id.
const SNAPSHOT_ID: u64 = 5_000_000_000;

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Traffic {
    /// Trades.
    Trade,
    /// Best bids and offers.
    Quote,
    /// 24 h statistics.
    Ticker,
    /// Book updates of so many levels.
    Book(usize),
    /// Of ten, four book updates of 8 levels, three trades, two quotes and a ticker.
    Mixed,
}

impl Traffic {
    /// Every traffic of one kind.
    pub(super) const EACH: [Self; 5] =
        [Self::Trade, Self::Quote, Self::Ticker, Self::Book(8), Self::Book(200)];

    /// The kind's name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Trade => Kind::Trade.name(),
            Self::Quote => Kind::Quote.name(),
            Self::Ticker => Kind::Ticker.name(),
            Self::Book(_) => Kind::BookUpdate.name(),
            Self::Mixed => "mixed",
        }
    }

    /// Levels in a book update.
    pub(super) fn levels(self) -> usize {
        if let Self::Book(levels) = self { levels } else { 0 }
    }

    fn of(self, nth: u64) -> Self {
        match (self, nth % 10) {
            (Self::Mixed, 0 | 2 | 5 | 7) => Self::Book(8),
            (Self::Mixed, 1 | 4 | 8) => Self::Trade,
            (Self::Mixed, 3 | 9) => Self::Quote,
            (Self::Mixed, _) => Self::Ticker,
            (one, _) => one,
        }
    }
}

/// So many frames that continue [`snapshot`] without a gap.
pub(super) fn frames(traffic: Traffic, count: usize) -> Vec<String> {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let mut id = SNAPSHOT_ID + 1;
    (1..=count as u64)
        .map(|nth| match traffic.of(nth) {
            Traffic::Trade => trade(nth, &mut dice),
            Traffic::Quote => quote(nth, &mut dice),
            Traffic::Ticker => ticker(nth, &mut dice),
            Traffic::Book(levels) => diff(&mut id, nth, levels, &mut dice),
            Traffic::Mixed => unreachable!("mixed traffic is made of the others"),
        })
        .collect()
}

/// A diff that lies within the snapshot, to make the instrument known.
pub(super) fn first_diff() -> String {
    let mut id = SNAPSHOT_ID;
    diff(&mut id, 0, 2, &mut Dice(1))
}

/// The address and the answer of the snapshot that the diffs continue.
pub(super) fn snapshot() -> (String, String) {
    let side = |price: fn(u64) -> u64| {
        let levels = (1..=BAND).map(|away| format!(r#"["{}","7.50000000"]"#, decimal(price(away))));
        levels.collect::<Vec<_>>().join(",")
    };
    let (bids, asks) = (side(|away| MIDDLE - away), side(|away| MIDDLE + away));
    let url = "https://api.example.com/api/v3/depth?symbol=AAAUSDT&limit=1000".to_owned();
    (url, format!(r#"{{"lastUpdateId":{SNAPSHOT_ID},"bids":[{bids}],"asks":[{asks}]}}"#))
}

fn trade(nth: u64, dice: &mut Dice) -> String {
    let (price, quantity, at) = (decimal(dice.near()), dice.quantity(), time(nth));
    let maker = dice.roll(2) == 0;
    format!(
        r#"{{"stream":"aaausdt@aggTrade","data":{{"e":"aggTrade","E":{at},"s":"AAAUSDT","a":{nth},"p":"{price}","q":"{quantity}","f":{nth},"l":{nth},"T":{at},"m":{maker},"M":true}}}}"#
    )
}

fn quote(nth: u64, dice: &mut Dice) -> String {
    let (bid, ask) = (decimal(MIDDLE - 1), decimal(MIDDLE + 1));
    let (bid_quantity, ask_quantity) = (dice.quantity(), dice.quantity());
    format!(
        r#"{{"stream":"aaausdt@bookTicker","data":{{"u":{nth},"s":"AAAUSDT","b":"{bid}","B":"{bid_quantity}","a":"{ask}","A":"{ask_quantity}"}}}}"#
    )
}

fn ticker(nth: u64, dice: &mut Dice) -> String {
    let (last, volume, at) = (decimal(dice.near()), dice.quantity(), time(nth));
    format!(
        r#"{{"stream":"aaausdt@ticker","data":{{"e":"24hrTicker","E":{at},"s":"AAAUSDT","p":"0.07490000","P":"8.230","w":"12.03800000","x":"12.02700000","c":"{last}","Q":"504.00000000","b":"11.99990000","B":"3381.00000000","a":"12.00010000","A":"576.00000000","o":"11.99600000","h":"12.12600000","l":"11.91600000","v":"{volume}","q":"265466.72000000","O":1699913600106,"C":{at},"F":1,"L":{nth},"n":{nth}}}}}"#
    )
}

/// A diff of levels of both sides, a third of them removals.
fn diff(id: &mut u64, nth: u64, levels: usize, dice: &mut Dice) -> String {
    let (first, last, at) = (*id, *id + levels as u64 - 1, time(nth));
    *id = last + 1;
    let bids = side(levels - levels / 2, dice, |away| MIDDLE - away);
    let asks = side(levels / 2, dice, |away| MIDDLE + away);
    format!(
        r#"{{"stream":"aaausdt@depth@100ms","data":{{"e":"depthUpdate","E":{at},"s":"AAAUSDT","U":{first},"u":{last},"b":[{bids}],"a":[{asks}]}}}}"#
    )
}

fn side(levels: usize, dice: &mut Dice, price: fn(u64) -> u64) -> String {
    let mut text = String::new();
    for nth in 0..levels {
        let comma = if nth == 0 { "" } else { "," };
        let price = decimal(price(1 + dice.roll(BAND)));
        let gone = dice.roll(3) == 0;
        let quantity = if gone { "0.00000000".to_owned() } else { dice.quantity() };
        let _ = write!(text, r#"{comma}["{price}","{quantity}"]"#);
    }
    text
}

/// A price in ticks, as the venue writes it.
fn decimal(ticks: u64) -> String {
    format!("{}.{:04}0000", ticks / 10_000, ticks % 10_000)
}

fn time(nth: u64) -> u64 {
    1_700_000_000_000 + nth
}

/// The same numbers every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    fn near(&mut self) -> u64 {
        MIDDLE - BAND + self.roll(2 * BAND)
    }

    fn quantity(&mut self) -> String {
        decimal(1 + self.roll(100_000_000))
    }
}
