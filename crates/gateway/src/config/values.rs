//! What a single value may be. Each reader says, where it refuses, what would be right.

use std::fs::File;
use std::io::Read;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use engine::{CloseOn, MergeSpec};
use model::instrument::is_canonical;
use model::{Decimal, Kind};
use tracing_subscriber::EnvFilter;
use venues::orders::OrderWay;

use super::LogFormat;
use super::duration;
use super::size;
use super::suggest::{hint, one_of};
use super::written::{Node, show};

/// The kinds that a configuration may ask for, by their names there: one word stands for the
/// whole book, snapshots and updates.
pub const KINDS: [(&str, Kind); 6] = [
    ("book", Kind::BookUpdate),
    ("trade", Kind::Trade),
    ("quote", Kind::Quote),
    ("ticker", Kind::Ticker),
    ("kline", Kind::Kline),
    ("funding", Kind::Funding),
];

/// What a configuration calls a kind.
pub(super) fn kind_name(kind: Kind) -> Option<&'static str> {
    KINDS.iter().find(|(_, of)| *of == kind).map(|(name, _)| *name)
}

/// A name that logs, output and environment variables can bear.
pub(super) fn name(node: &Node) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    node.text()
        .filter(|name| (1..=64).contains(&name.len()) && name.chars().all(fits))
        .map(str::to_owned)
        .ok_or_else(|| "a name of 1 to 64 letters, digits, '-', '_' and '.'".to_owned())
}

/// A venue that there is.
pub(super) fn venue(node: &Node) -> Result<String, String> {
    let names = venues::registry::names();
    let text = node.text().unwrap_or_default();
    let known = names.contains(&text).then(|| text.to_owned());
    known.ok_or_else(|| one_of(text, &names))
}

/// A kind of market data that the venue offers; any kind where the venue is not known.
pub(super) fn kind(node: &Node, venue: Option<&str>) -> Result<Kind, String> {
    let text = node.text().unwrap_or_default();
    let abilities = venue.and_then(venues::registry::abilities);
    let offered = |kind: Kind| abilities.is_none_or(|of| of.kinds.contains(&kind));
    let names: Vec<_> =
        KINDS.iter().filter(|(_, kind)| offered(*kind)).map(|(name, _)| *name).collect();
    if let Some((_, kind)) = KINDS.iter().find(|(name, _)| *name == text) {
        let lacking = || format!("{}: {} has no other", names.join(", "), venue.unwrap_or("it"));
        return offered(*kind).then_some(*kind).ok_or_else(lacking);
    }
    if text.starts_with("book") {
        return Err(one_of("book", &names));
    }
    Err(one_of(text, &names))
}

/// A kind that can be merged.
pub(super) fn merged_kind(node: &Node) -> Result<Kind, String> {
    let text = node.text().unwrap_or_default();
    let known = KINDS.iter().filter(|(_, kind)| MergeSpec::KINDS.contains(kind));
    let found = known.clone().find(|(name, _)| *name == text).map(|(_, kind)| *kind);
    found.ok_or_else(|| one_of(text, &known.map(|(name, _)| *name).collect::<Vec<_>>()))
}

/// What closes a window early.
pub(super) fn close_on(node: &Node) -> Result<CloseOn, String> {
    match node.text().unwrap_or_default() {
        "time" => Ok(CloseOn::Time),
        "complete" => Ok(CloseOn::Complete),
        other => Err(one_of(other, &["time", "complete"])),
    }
}

/// A canonical instrument name.
pub(super) fn instrument(node: &Node) -> Result<String, String> {
    let text = node.text().unwrap_or_default();
    if is_canonical(text) {
        return Ok(text.to_owned());
    }
    let tidied = text.trim().to_uppercase().replace(['/', '_', ' ', ':'], "-");
    let meant = if is_canonical(&tidied) { Some(tidied) } else { split_symbol(&tidied) };
    let hint = meant.map_or_else(String::new, |meant| format!("; did you mean '{meant}'?"));
    Err(format!("BASE-QUOTE, BASE-QUOTE-PERP or BASE-QUOTE-YYMMDD in capitals{hint}"))
}

/// Whether a canonical name is that of a spot pair: nothing stands behind base and quote.
pub(super) fn is_spot(name: &str) -> bool {
    name.split('-').count() == 2
}

/// A guess at `BTCUSDT`, for the hint alone.
fn split_symbol(symbol: &str) -> Option<String> {
    let quote = ["USDT", "USDC", "USD", "EUR", "BTC"]
        .into_iter()
        .find(|quote| symbol.len() > quote.len() && symbol.ends_with(quote))?;
    let name = format!("{}-{quote}", symbol.strip_suffix(quote)?);
    is_canonical(&name).then_some(name)
}

/// Scheme and host of streams.
pub(super) fn ws_url(node: &Node) -> Result<String, String> {
    base_url(node, &["ws://", "wss://"], "wss://stream.example.com:9443")
}

/// Scheme and host of an account's messages.
pub(super) fn account_url(node: &Node) -> Result<String, String> {
    base_url(node, &["ws://", "wss://"], "wss://ws-api.example.com")
}

/// Scheme and host of requests.
pub(super) fn rest_url(node: &Node) -> Result<String, String> {
    base_url(node, &["http://", "https://"], "https://api.example.com")
}

/// A slash at the end is taken off: the venue's paths begin with one.
fn base_url(node: &Node, schemes: &[&str], example: &str) -> Result<String, String> {
    let url = node.text().unwrap_or_default();
    let right = || {
        format!(
            "{} with a host and perhaps a port, and nothing behind them, such as {example}",
            schemes.join(" or ")
        )
    };
    let place = schemes.iter().find_map(|scheme| url.strip_prefix(scheme)).ok_or_else(right)?;
    let place = place.strip_suffix('/').unwrap_or(place);
    if is_place(place) { Ok(url.strip_suffix('/').unwrap_or(url).to_owned()) } else { Err(right()) }
}

/// `host`, `host:port` or `[v6]:port`, without user, path, query or fragment.
fn is_place(place: &str) -> bool {
    let (host, port) = if let Some(rest) = place.strip_prefix('[') {
        let Some((address, port)) = rest.split_once(']') else { return false };
        if address.parse::<std::net::Ipv6Addr>().is_err() {
            return false;
        }
        (None, port)
    } else {
        let (host, port) = place.split_at(place.find(':').unwrap_or(place.len()));
        (Some(host), port)
    };
    let port_fits = port.is_empty()
        || port.strip_prefix(':').is_some_and(|port| {
            port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|p| p > 0)
        });
    port_fits && host.is_none_or(is_host)
}

fn is_host(host: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let is_label = |label: &str| (1..=63).contains(&label.len()) && label.chars().all(fits);
    let host = host.strip_suffix('.').unwrap_or(host);
    let numbers = host.chars().all(|c| c.is_ascii_digit() || c == '.');
    host.len() <= 253
        && host.split('.').all(is_label)
        && (!numbers || host.parse::<std::net::Ipv4Addr>().is_ok())
}

/// A whole number within limits.
pub(super) fn number(range: RangeInclusive<u32>) -> impl Fn(&Node) -> Result<u32, String> {
    move |node| {
        let number = node.integer().and_then(|number| u32::try_from(number).ok());
        number.filter(|number| range.contains(number)).ok_or_else(|| {
            let (least, most) = (range.start(), range.end());
            format!("a whole number from {least} to {most}, without quotation marks")
        })
    }
}

/// A size within limits, in bytes.
pub(super) fn size(range: RangeInclusive<usize>) -> impl Fn(&Node) -> Result<usize, String> {
    move |node| {
        let parsed = node.text().and_then(|text| size::parse(text).ok());
        parsed.filter(|bytes| range.contains(bytes)).ok_or_else(|| {
            let (least, most) = (size::show(*range.start()), size::show(*range.end()));
            format!(
                "a size from {least} to {most} in quotation marks: a whole number with B, KiB, MiB \
                 or GiB, such as \"16MiB\""
            )
        })
    }
}

/// A folder that is there, or can be made where nothing is yet.
pub(super) fn folder(node: &Node) -> Result<PathBuf, String> {
    let path = node.text().filter(|text| !text.is_empty()).map(PathBuf::from);
    let path = path.ok_or("the path of a folder, in quotation marks")?;
    // The first of it that is there: all that is below is made.
    match path.ancestors().find_map(|part| std::fs::metadata(part).ok().map(|meta| (part, meta))) {
        Some((part, meta)) if !meta.is_dir() => {
            let part = show(&part.display().to_string());
            Err(format!("the path of a folder; {part} is there and is none"))
        }
        _ => Ok(path),
    }
}

/// A duration within limits.
pub(super) fn duration(
    range: RangeInclusive<Duration>,
) -> impl Fn(&Node) -> Result<Duration, String> {
    move |node| {
        let right = || {
            let (least, most) = (duration::show(*range.start()), duration::show(*range.end()));
            format!(
                "a duration from {least} to {most} in quotation marks: a whole number with ms, s, \
                 m or h, such as \"10s\""
            )
        };
        let parsed = node.text().and_then(|text| duration::parse(text).ok());
        parsed.filter(|duration| range.contains(duration)).ok_or_else(right)
    }
}

/// `true` or `false`.
pub(super) fn truth(node: &Node) -> Result<bool, String> {
    node.bool().ok_or_else(|| "true or false, without quotation marks".to_owned())
}

/// An amount of money or of a quantity, above zero; text, so that every digit stays.
pub(super) fn amount(node: &Node) -> Result<Decimal, String> {
    let amount = node.text().and_then(|text| model::decimal::parse(text.as_bytes()).ok());
    let right = "an amount above zero in quotation marks, such as \"1000.50\"";
    amount.filter(|amount| *amount > Decimal::ZERO).ok_or_else(|| right.to_owned())
}

/// Where a file is or will be.
pub(super) fn path(node: &Node) -> Result<PathBuf, String> {
    let path = node.text().filter(|text| !text.is_empty()).map(PathBuf::from);
    path.ok_or_else(|| "the path of a file, in quotation marks".to_owned())
}

/// The name of an environment variable.
pub(super) fn variable(node: &Node) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let name = node.text().filter(|name| !name.is_empty() && name.chars().all(fits));
    let name = name.filter(|name| !name.starts_with(|c: char| c.is_ascii_digit()));
    name.map(str::to_owned).ok_or_else(|| {
        "the name of an environment variable: letters, digits and '_'; not the value itself"
            .to_owned()
    })
}

/// How orders travel.
pub(super) fn order_way(node: &Node) -> Result<OrderWay, String> {
    match node.text().unwrap_or_default() {
        "websocket" => Ok(OrderWay::WebSocket),
        "rest" => Ok(OrderWay::Rest),
        other => Err(one_of(other, &["websocket", "rest"])),
    }
}

/// The form of a log line.
pub(super) fn log_format(node: &Node) -> Result<LogFormat, String> {
    match node.text().unwrap_or_default() {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        other => Err(one_of(other, &["text", "json"])),
    }
}

/// A filter that `tracing` can read, as it was written.
pub(super) fn filter(node: &Node) -> Result<String, String> {
    let text = node.text().unwrap_or_default();
    parse_filter(text).map(|_| text.to_owned())
}

/// The filter itself.
///
/// # Errors
/// What would be right, to be put after "expected".
pub(crate) fn parse_filter(text: &str) -> Result<EnvFilter, String> {
    const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];
    let right = format!("a level ({}) or levels by target, as warn,net=debug", LEVELS.join(", "));
    if text.trim().is_empty() {
        return Err(right);
    }
    EnvFilter::builder().parse(text).map_err(|why| {
        let level = text.rsplit('=').next().unwrap_or(text);
        format!("{right} ({}){}", show(&why.to_string()), hint(level, &LEVELS))
    })
}

/// A file with certificates, there and readable.
pub(super) fn certificates(node: &Node) -> Result<PathBuf, String> {
    let path = node.text().filter(|text| !text.is_empty()).map(PathBuf::from);
    let path = path.ok_or("the path of a PEM file, in quotation marks")?;
    let pem = read(&path).map_err(|why| format!("the path of a readable PEM file ({why})"))?;
    if !pem.contains("-----BEGIN CERTIFICATE-----") {
        return Err("a PEM file with at least one BEGIN CERTIFICATE".to_owned());
    }
    Ok(path)
}

/// A file of text that is larger is none of ours.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Reads a file of text.
///
/// # Errors
/// Why it can't be read, in a few words.
pub(super) fn read(path: &Path) -> Result<String, String> {
    let said = |error: std::io::Error| error.to_string();
    let file = File::open(path).map_err(said)?;
    if file.metadata().map_err(said)?.is_dir() {
        return Err("it is a folder".to_owned());
    }
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(said)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("it is larger than {} MiB", FILE_BYTES_MAX >> 20));
    }
    String::from_utf8(bytes)
        .map_err(|error| format!("byte {} is no UTF-8", error.utf8_error().valid_up_to()))
}
