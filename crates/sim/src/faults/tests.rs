//! A machine that counts aloud, behind every sort of bad line.

use super::*;

mod private;

const EVERY: Duration = Duration::from_millis(10);
const ONE: ClientId = ClientId(1);

/// Sends each client a number every 10 ms, and answers requests at once.
#[derive(Default)]
struct Counter {
    next: Nanos,
    count: u64,
    clients: BTreeSet<ClientId>,
    asked: u64,
}

impl Machine for Counter {
    fn connect(
        &mut self,
        _: Nanos,
        client: ClientId,
        _: &str,
        _: &mut Vec<Output>,
    ) -> Result<(), Reply> {
        self.clients.insert(client);
        Ok(())
    }

    fn message(&mut self, _: Nanos, client: ClientId, message: &[u8], out: &mut Vec<Output>) {
        out.push(Output::Send { client, payload: Bytes::copy_from_slice(message) });
    }

    fn control(
        &mut self,
        _: Nanos,
        client: ClientId,
        control: &ControlFrame,
        out: &mut Vec<Output>,
    ) {
        let ControlFrame::Ping(payload) = control else { return };
        out.push(Output::Ping { client, payload: payload.clone() });
    }

    fn disconnected(&mut self, _: Nanos, client: ClientId, _: &mut Vec<Output>) {
        assert!(self.clients.remove(&client), "reported once");
    }

    fn request(&mut self, _: Nanos, id: RequestId, _: &Request, out: &mut Vec<Output>) {
        self.asked += 1;
        out.push(Output::Answer { request: id, reply: Reply::new(200, "{}") });
    }

    fn answered(&mut self, _: Nanos, _: RequestId, _: bool, _: &mut Vec<Output>) {}

    fn tick(&mut self, now: Nanos, out: &mut Vec<Output>) {
        self.count += 1;
        self.next = now + EVERY;
        for client in &self.clients {
            let text =
                format!(r#"{{"stream":"s{}","n":{},"checksum":4711}}"#, self.count % 3, self.count);
            out.push(Output::Send { client: *client, payload: text.into() });
        }
    }

    fn deadline(&self) -> Option<Nanos> {
        Some(self.next)
    }
}

impl Subject for Counter {
    fn turn_away(&mut self, _: Nanos, _: &Request, why: Trouble) -> Option<Reply> {
        Some(Reply::new(500, format!("{why:?}")))
    }
}

type Run = (Faulty<Counter>, Vec<(Nanos, Output)>);

/// A machine behind those faults, and all that came out in so long; a client whose connection ends
/// makes another, and asks for something every second.
fn run(faults: Faults, seed: u64, seconds: u64) -> Run {
    let mut faulty = Faulty::new(Counter::default(), faults, seed);
    let (mut log, mut out, mut client, mut connected) = (Vec::new(), Vec::new(), 0, false);
    let mut now = Nanos(0);
    let (mut request, mut ask_at) = (0, Nanos(0));
    while now < Nanos(0) + Duration::from_secs(seconds) {
        if !connected {
            client += 1;
            connected = faulty.connect(now, ClientId(client), "/", &mut out).is_ok();
        }
        if ask_at <= now {
            request += 1;
            ask_at = now + Duration::from_secs(1);
            faulty.request(now, RequestId(request), &Request::get("/"), &mut out);
        }
        now = faulty.deadline().unwrap().max(now).min(ask_at);
        faulty.tick(now, &mut out);
        for output in out.drain(..) {
            connected &= !matches!(
                output,
                Output::Close { .. } | Output::Break { .. } | Output::Silence { .. }
            );
            log.push((now, output));
        }
    }
    (faulty, log)
}

fn numbers(log: &[(Nanos, Output)]) -> Vec<u64> {
    let number = |output: &Output| {
        let Output::Send { payload, .. } = output else { return None };
        let text = std::str::from_utf8(payload).unwrap();
        text.split_once("\"n\":")?.1.split_once(',')?.0.parse().ok()
    };
    log.iter().filter_map(|(_, output)| number(output)).collect()
}

fn often() -> Faults {
    Faults {
        disconnect_every_s: 5,
        connect_refused: 100_000,
        dropped: 10_000,
        duplicated: 10_000,
        reordered: 10_000,
        altered: 10_000,
        stalled: 5_000,
        stall_ms: 200,
        muted: 2_000,
        garbage: 10_000,
        unknown: 10_000,
        answer_5xx: 100_000,
        answer_429: 100_000,
        answer_418: 100_000,
        answer_slow: 200_000,
        answer_slow_ms: 500,
        answer_lost: 100_000,
        ..Faults::default()
    }
}

#[test]
fn without_faults_everything_passes_as_it_is() {
    let (faulty, log) = run(Faults::default(), 1, 10);
    assert!(numbers(&log).into_iter().eq(1..=faulty.inner().count));
    assert_eq!((faulty.injected(), faulty.log().count()), (0, 0));
}

#[test]
fn a_seed_is_a_run() {
    let traffic = |seed| run(often(), seed, 60).1;
    assert_eq!(traffic(1), traffic(1));
    assert_ne!(traffic(1), traffic(2));
}

#[test]
fn every_sort_of_fault_comes_and_is_logged() {
    let (faulty, log) = run(often(), 3, 600);
    let happened: BTreeSet<_> = faulty.log().map(|fault| fault.what).collect();
    let all = [
        "disconnect: clean",
        "disconnect: mid-frame",
        "disconnect: silent",
        "disconnect: abrupt",
        "connect_refused",
        "dropped",
        "duplicated",
        "reordered",
        "altered",
        "stalled",
        "muted",
        "garbage",
        "unknown",
        "answer_5xx",
        "answer_429",
        "answer_418",
        "answer_slow",
        "answer_lost",
    ];
    assert_eq!(happened, BTreeSet::from(all));
    assert_eq!(faulty.injected(), faulty.log().count() as u64);
    let times: Vec<_> = faulty.log().map(|fault| fault.at).collect();
    assert!(times.is_sorted());
    let answers = log.iter().filter(|(_, output)| matches!(output, Output::Answer { .. })).count();
    let lost = faulty.log().filter(|fault| fault.what == "answer_lost").count();
    assert!((598..=600).contains(&(answers + lost)), "{answers} answers and {lost} lost");
}

#[test]
fn what_is_dropped_muted_or_doubled_is_what_the_log_says() {
    let faults = Faults { dropped: 50_000, ..Faults::default() };
    let (faulty, log) = run(faults, 1, 60);
    let missing = faulty.inner().count - numbers(&log).len() as u64;
    assert!(missing > 100 && missing == faulty.injected());

    let faults = Faults { duplicated: 50_000, ..Faults::default() };
    let (faulty, log) = run(faults, 1, 60);
    assert_eq!(numbers(&log).len() as u64 - faulty.inner().count, faulty.injected());

    let (faulty, log) = run(Faults { muted: 1_000, ..Faults::default() }, 1, 25);
    let first = faulty.log().next().unwrap().at;
    let quiet = log.iter().filter(|(at, _)| *at > first && *at < first + MUTED_FOR);
    let numbers = numbers(&quiet.cloned().collect::<Vec<_>>());
    let streams: BTreeSet<_> = numbers.iter().map(|number| number % 3).collect();
    assert_eq!(streams.len(), 2, "one of three is muted, the others go on");
}

#[test]
fn pings_are_never_lost_and_wait_behind_what_waits() {
    let mut faults = often();
    (faults.disconnect_every_s, faults.connect_refused, faults.stalled) = (0, 0, 0);
    let mut faulty = Faulty::new(Counter::default(), faults.clone(), 1);
    let mut out = Vec::new();
    faulty.connect(Nanos(0), ONE, "/", &mut out).unwrap();
    let ping = |n: u32| ControlFrame::Ping(n.to_string().into());
    (0..1_000).for_each(|n| faulty.control(Nanos(1), ONE, &ping(n), &mut out));
    assert_eq!(out.len(), 1_000, "and nothing beside them");
    (faults.stalled, faults.stall_ms) = (1_000_000, 1_000);
    let mut faulty = Faulty::new(Counter::default(), faults, 1);
    out.clear();
    faulty.connect(Nanos(0), ONE, "/", &mut out).unwrap();
    faulty.message(Nanos(1), ONE, br#"{"n":1}"#, &mut out);
    faulty.control(Nanos(1), ONE, &ping(1), &mut out);
    assert!(out.is_empty(), "{out:?}");
    faulty.disconnected(Nanos(1), ONE, &mut out);
    faulty.set_active(false);
    faulty.tick(Nanos(2), &mut out);
    assert!(!out.iter().any(|output| matches!(output, Output::Ping { .. })), "it is gone");
}

#[test]
fn a_message_is_overtaken_by_the_next_alone() {
    let (faulty, log) = run(Faults { reordered: 50_000, ..Faults::default() }, 1, 60);
    let numbers = numbers(&log);
    let back = numbers.windows(2).filter(|pair| pair[1] < pair[0]).count() as u64;
    assert!(back > 100 && back <= faulty.injected());
    let mut sorted = numbers.clone();
    sorted.sort_unstable();
    assert!(numbers.iter().zip(&sorted).all(|(found, place)| found.abs_diff(*place) <= 1));
}

#[test]
fn a_stall_delays_and_keeps_the_order() {
    let faults = Faults { stalled: 10_000, stall_ms: 500, ..Faults::default() };
    let (faulty, log) = run(faults, 1, 60);
    assert!(numbers(&log).is_sorted());
    let late = |one: &(Nanos, Output)| {
        let number = *numbers(std::slice::from_ref(one)).first()?;
        Some(one.0.since(Nanos(0)).saturating_sub(EVERY * u32::try_from(number - 1).unwrap()))
    };
    let latest = log.iter().filter_map(late).max().unwrap();
    assert!(latest > EVERY * 10 && latest <= Duration::from_millis(500), "{latest:?}");
    assert!(faulty.injected() > 10);
}

#[test]
fn when_faults_stop_all_that_was_held_comes_and_nothing_is_lost_any_more() {
    let (mut faulty, _) = run(often(), 5, 30);
    faulty.set_active(false);
    let mut out = Vec::new();
    let mut now = Nanos(0) + Duration::from_secs(30);
    faulty.tick(now, &mut out);
    assert!(faulty.held.is_empty() && faulty.silenced.is_empty() && faulty.unread.is_empty());
    let client = ClientId(1_000);
    faulty.connect(now, client, "/", &mut out).unwrap();
    out.clear();
    let before = (faulty.inner().count, faulty.injected());
    for _ in 0..1_000 {
        now = faulty.deadline().unwrap().max(now);
        faulty.tick(now, &mut out);
    }
    let to_it = out.iter().filter(|o| matches!(o, Output::Send { client: c, .. } if *c == client));
    assert_eq!(to_it.count() as u64, faulty.inner().count - before.0);
    assert_eq!(faulty.injected(), before.1);
}

#[test]
fn only_a_checksum_is_altered_and_by_one_digit() {
    let (faulty, log) = run(Faults { altered: 1_000_000, ..Faults::default() }, 1, 1);
    let sends = log.iter().filter_map(|(_, output)| match output {
        Output::Send { payload, .. } => Some(payload),
        _ => None,
    });
    for payload in sends {
        assert!(payload.ends_with(b"\"checksum\":3711}"), "{payload:?}");
    }
    let mut faulty = faulty;
    let mut out = Vec::new();
    for untouched in [r#"{"checksum":0}"#, r#"{"checksum":"x"}"#, r#"{"a":1}"#] {
        faulty.message(Nanos(0), ONE, untouched.as_bytes(), &mut out);
        let payload = Bytes::from(untouched);
        assert_eq!(out.pop(), Some(Output::Send { client: ONE, payload }));
    }
}

#[test]
fn a_venue_whose_clock_is_off_still_keeps_its_deadlines() {
    for clock_skew_ms in [-3_000, 3_000] {
        let faults = Faults { clock_skew_ms, ..Faults::default() };
        let mut faulty = Faulty::new(Counter::default(), faults, 1);
        let now = Nanos(10_000_000_000);
        faulty.tick(now, &mut Vec::new());
        assert_eq!(faulty.deadline(), Some(now + EVERY));
    }
}

#[test]
fn presets_are_known_by_name_and_files_say_what_is_wrong() {
    for preset in PRESETS {
        assert_eq!(Faults::preset(preset).unwrap() == Faults::default(), *preset == "none");
    }
    assert_eq!(Faults::preset("flacky"), None);
    let read: Faults = serde_json::from_str(r#"{"dropped":5}"#).unwrap();
    assert_eq!(read, Faults { dropped: 5, ..Faults::default() });
    let error = serde_json::from_str::<Faults>(r#"{"droped":5}"#).unwrap_err().to_string();
    assert!(error.contains("droped") && error.contains("dropped"), "{error}");
}

#[test]
fn a_stream_is_known_by_what_stands_before_its_data() {
    for (payload, stream) in [
        (r#"{"stream":"a@trade","data":{"stream":"x"}}"#, Some("a@trade")),
        (
            r#"{"arg":{"channel":"books","instId":"A"},"data":[]}"#,
            Some("\"channel\":\"books\",\"instId\":\"A\""),
        ),
        (r#"{"channel":"book","type":"update","data":[{"symbol":"A/B"}]}"#, Some("book A/B")),
        (r#"{"type":"l2update","product_id":"A-B","changes":[]}"#, Some("l2update A-B")),
        (r#"{"result":null}"#, None),
    ] {
        assert_eq!(spoil::stream_of(payload.as_bytes()).as_deref(), stream);
    }
}
