//! A desk that takes orders, behind every sort of bad line.

use super::*;

/// What is said on a private connection, and asked for, and is no order.
const LOGIN: &[u8] = b"login";
const LISTEN_KEY: &str = "key";

/// Accepts every number that it is told, answers at once, and reports it and a balance with the next
/// tick.
#[derive(Default)]
struct Desk {
    clients: BTreeSet<ClientId>,
    accepted: Vec<u64>,
    reports: VecDeque<u64>,
    turned_away: u64,
    resets: u64,
}

impl Desk {
    fn accept(&mut self, number: u64) -> Bytes {
        self.accepted.push(number);
        self.reports.push_back(number);
        format!(r#"{{"answer":{number}}}"#).into()
    }
}

impl Machine for Desk {
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
        if message == LOGIN {
            return out.push(Output::Send { client, payload: r#"{"login":1}"#.into() });
        }
        let number = std::str::from_utf8(message).unwrap().parse().unwrap();
        let payload = self.accept(number);
        out.push(Output::Send { client, payload });
    }

    fn control(&mut self, _: Nanos, _: ClientId, _: &ControlFrame, _: &mut Vec<Output>) {}

    fn disconnected(&mut self, _: Nanos, client: ClientId, _: &mut Vec<Output>) {
        assert!(self.clients.remove(&client), "reported once");
    }

    fn request(&mut self, _: Nanos, id: RequestId, asked: &Request, out: &mut Vec<Output>) {
        if asked.target == LISTEN_KEY {
            let reply = Reply::new(200, r#"{"key":1}"#);
            return out.push(Output::Answer { request: id, reply });
        }
        let body = self.accept(asked.target.parse().unwrap());
        out.push(Output::Answer { request: id, reply: Reply::new(200, body) });
    }

    fn answered(&mut self, _: Nanos, _: RequestId, _: bool, _: &mut Vec<Output>) {}

    fn tick(&mut self, _: Nanos, out: &mut Vec<Output>) {
        for number in self.reports.drain(..) {
            for client in &self.clients {
                let payload = format!(r#"{{"report":{number},"f":"GTC","checksum":9}}"#).into();
                out.push(Output::Send { client: *client, payload });
                let payload = format!(r#"{{"balance":{number}}}"#).into();
                out.push(Output::Send { client: *client, payload });
            }
        }
    }

    fn deadline(&self) -> Option<Nanos> {
        (!self.reports.is_empty()).then_some(Nanos(0))
    }
}

impl Subject for Desk {
    fn enumerations(&self) -> &'static [Enumeration] {
        &[Enumeration { within: "\"report\":", field: "\"f\":\"" }]
    }

    fn is_private(&self, _: ClientId) -> bool {
        true
    }

    fn unknown_outcome(&self, asked: &Request) -> Option<Reply> {
        (asked.target != LISTEN_KEY).then(|| Reply::new(503, "unknown"))
    }

    fn unknown_outcome_to(&self, message: &[u8]) -> Option<Bytes> {
        (message != LOGIN).then(|| "unknown".into())
    }

    fn is_report(&self, payload: &[u8]) -> bool {
        payload.starts_with(br#"{"report""#)
    }

    fn turn_away(&mut self, _: Nanos, _: &Request, why: Trouble) -> Option<Reply> {
        if matches!(why, Trouble::Banned(_)) {
            return None;
        }
        self.turned_away += 1;
        Some(Reply::new(429, format!(r#"{{"turned":"{why:?}"}}"#)))
    }

    fn farewell(&self, _: Nanos, _: ClientId) -> Option<Bytes> {
        Some("farewell".into())
    }

    fn reset(&mut self) -> bool {
        self.resets += 1;
        true
    }
}

const COUNT: u64 = 300;
const TOLD_EVERY: Duration = Duration::from_millis(200);

/// What a client that asks for the numbers 1 to [`COUNT`], by message and by request in turn, gets on
/// one connection and as answers, with its time.
fn talk(faults: Faults) -> (Faulty<Desk>, Vec<(Nanos, Output)>) {
    let mut faulty = Faulty::new(Desk::default(), faults, 5);
    let (mut all, mut out, mut now) = (Vec::new(), Vec::new(), Nanos(0));
    faulty.connect(now, ONE, "/", &mut out).unwrap();
    // One more round, for what the last number leads to.
    for number in 1..=COUNT + 1 {
        let told = Nanos(0) + TOLD_EVERY * u32::try_from(number).unwrap();
        while let Some(at) = faulty.deadline().filter(|at| *at <= told) {
            now = now.max(at);
            faulty.tick(now, &mut out);
            all.extend(out.drain(..).map(|output| (now, output)));
        }
        now = told;
        if number > COUNT {
            break;
        }
        if number % 2 == 0 {
            faulty.message(now, ONE, number.to_string().as_bytes(), &mut out);
        } else {
            let target = number.to_string();
            let request = Request { method: "POST".to_owned(), ..Request::get(target) };
            faulty.request(now, RequestId(number), &request, &mut out);
        }
        all.extend(out.drain(..).map(|output| (now, output)));
    }
    faulty.set_active(false);
    while let Some(at) = faulty.deadline() {
        now = now.max(at);
        faulty.tick(now, &mut out);
        all.extend(out.drain(..).map(|output| (now, output)));
    }
    (faulty, all)
}

/// The numbers after that name, with their times.
fn told(all: &[(Nanos, Output)], name: &str) -> Vec<(Nanos, u64)> {
    let number = |output: &Output| {
        let bytes = match output {
            Output::Send { payload, .. } => payload,
            Output::Answer { reply, .. } => &reply.body,
            _ => return None,
        };
        let (_, rest) = std::str::from_utf8(bytes).unwrap().split_once(name)?;
        rest[2..].split([',', '}']).next()?.parse().ok()
    };
    all.iter().filter_map(|(at, output)| Some((*at, number(output)?))).collect()
}

fn numbers_of(all: &[(Nanos, Output)], name: &str) -> Vec<u64> {
    told(all, name).into_iter().map(|(_, number)| number).collect()
}

#[test]
fn what_spoils_market_data_leaves_private_connections_alone() {
    let faults = Faults {
        dropped: 1_000_000,
        reordered: 1_000_000,
        duplicated: 1_000_000,
        altered: 1_000_000,
        muted: 1_000_000,
        ..Faults::default()
    };
    let (faulty, all) = talk(faults);
    assert!(numbers_of(&all, "report").into_iter().eq(1..=COUNT));
    assert!(numbers_of(&all, "answer").into_iter().eq(1..=COUNT));
    assert_eq!(faulty.injected(), 0);
}

#[test]
fn an_order_whose_answer_is_lost_was_carried_out() {
    let (faulty, all) = talk(Faults { order_answer_lost: 1_000_000, ..Faults::default() });
    assert!(faulty.inner().accepted.iter().copied().eq(1..=COUNT));
    assert!(numbers_of(&all, "report").into_iter().eq(1..=COUNT));
    assert!(numbers_of(&all, "answer").is_empty());
    assert_eq!(faulty.injected(), COUNT);
}

#[test]
fn a_late_answer_comes_after_the_report_and_within_the_limit() {
    let late =
        Faults { order_answer_late: 1_000_000, order_answer_late_ms: 15_000, ..Faults::default() };
    let first = Faults { order_report_first: 1_000_000, ..Faults::default() };
    for (faults, limit_ms) in [(late, 15_000), (first, 50)] {
        let (_, all) = talk(faults);
        assert!(numbers_of(&all, "report").into_iter().eq(1..=COUNT));
        let mut answers = told(&all, "answer");
        let slowest = answers.iter().map(|(at, number)| {
            at.since(Nanos(0)).saturating_sub(TOLD_EVERY * u32::try_from(*number).unwrap())
        });
        let slowest = slowest.max().unwrap();
        let limit = Duration::from_millis(limit_ms);
        assert!(slowest > limit / 2 && slowest <= limit, "{slowest:?}");
        answers.sort_by_key(|(_, number)| *number);
        assert!(answers.iter().map(|(_, number)| *number).eq(1..=COUNT));
        let reports = told(&all, "report");
        let after = answers.iter().zip(&reports).filter(|(answer, report)| answer.0 > report.0);
        assert!(after.count() as u64 > COUNT - 10);
    }
}

#[test]
fn an_unknown_outcome_is_said_of_what_was_carried_out() {
    let (faulty, all) = talk(Faults { order_outcome_unknown: 1_000_000, ..Faults::default() });
    assert!(faulty.inner().accepted.iter().copied().eq(1..=COUNT));
    let unknown = |output: &Output| match output {
        Output::Send { payload, .. } => &**payload == b"unknown",
        Output::Answer { reply, .. } => reply.status == 503 && &*reply.body == b"unknown",
        _ => false,
    };
    assert_eq!(all.iter().filter(|(_, output)| unknown(output)).count() as u64, COUNT);
    assert!(numbers_of(&all, "answer").is_empty());
}

#[test]
fn reports_come_twice_and_the_first_of_each_in_order() {
    let faults =
        Faults { report_twice: 1_000_000, stalled: 100_000, stall_ms: 900, ..Faults::default() };
    let (_, all) = talk(faults);
    let reports = numbers_of(&all, "report");
    let mut seen = BTreeSet::new();
    let first: Vec<_> = reports.iter().copied().filter(|number| seen.insert(*number)).collect();
    assert!(first.into_iter().eq(1..=COUNT));
    assert_eq!(reports.len() as u64, 2 * COUNT);
}

#[test]
fn a_report_is_lost_with_its_connection_alone() {
    let (faulty, all) = talk(Faults { report_lost: 20_000, ..Faults::default() });
    let reports = numbers_of(&all, "report");
    let lost = reports.len() as u64 + 1;
    assert!(lost < COUNT && reports.into_iter().eq(1..lost));
    let ends = |output: &Output| {
        matches!(output, Output::Close { .. } | Output::Break { .. } | Output::Silence { .. })
    };
    assert!(all.iter().any(|(_, output)| ends(output)));
    assert_eq!(faulty.log().next().unwrap().what, "report_lost");
    assert!(faulty.inner().clients.is_empty());
}

#[test]
fn a_suppressed_report_is_missed_and_its_connection_stays_up() {
    let (faulty, all) = talk(Faults { report_suppressed: 300_000, ..Faults::default() });
    let reports = numbers_of(&all, "report");
    let missed = COUNT - reports.len() as u64;
    assert!(missed > COUNT / 10 && missed < COUNT / 2 && reports.is_sorted());
    assert_eq!((faulty.injected(), faulty.inner().clients.len()), (missed, 1));
}

#[test]
fn behind_a_lost_report_nothing_comes_any_more() {
    let lost = (0..50).filter(|seed| {
        let faults = Faults { report_lost: 200_000, ..Faults::default() };
        let mut faulty = Faulty::new(Desk::default(), faults, *seed);
        let (now, mut out) = (Nanos(0), Vec::new());
        faulty.connect(now, ONE, "/", &mut out).unwrap();
        // All of them are reported with one tick.
        faulty.inner_mut().reports.extend(1..=20);
        faulty.tick(now, &mut out);
        let all: Vec<_> = out.drain(..).map(|output| (now, output)).collect();
        let reports = numbers_of(&all, "report");
        let count = reports.len() as u64;
        assert!(reports.into_iter().eq(1..=count), "seed {seed}");
        count < 20
    });
    assert!(lost.count() > 40);
}

#[test]
fn what_is_read_late_is_read_in_order_and_not_lost() {
    let (faulty, all) =
        talk(Faults { read_slow: 100_000, read_slow_ms: 3_000, ..Faults::default() });
    let accepted = &faulty.inner().accepted;
    let messages: Vec<_> = accepted.iter().filter(|number| **number % 2 == 0).collect();
    assert!(messages.is_sorted() && accepted.len() as u64 == COUNT);
    assert!(!accepted.is_sorted(), "requests have no order among themselves");
    assert_eq!(numbers_of(&all, "answer").len() as u64, COUNT);
}

#[test]
fn maintenance_is_announced_ten_seconds_before() {
    let (faulty, all) = talk(Faults { maintenance_every_s: 10, ..Faults::default() });
    let farewell = |output: &Output| matches!(output, Output::Send { payload, .. } if &**payload == b"farewell");
    let said = all.iter().find(|(_, output)| farewell(output)).unwrap().0;
    let ended = all.iter().find(|(_, output)| matches!(output, Output::Close { code: 1_012, .. }));
    assert_eq!(ended.unwrap().0, said + NOTICE);
    let what: Vec<_> = faulty.log().map(|fault| fault.what).collect();
    assert_eq!(what, ["maintenance", "disconnect: maintenance"]);
}

#[test]
fn books_are_numbered_anew_now_and_then() {
    let (faulty, _) = talk(Faults { reset_every_s: 10, ..Faults::default() });
    assert!((2..20).contains(&faulty.inner().resets), "{}", faulty.inner().resets);
    assert_eq!(faulty.injected(), faulty.inner().resets);
}

#[test]
fn requests_are_turned_away_in_the_machines_words_and_not_as_it_never_does() {
    let (faulty, all) = talk(Faults { answer_5xx: 1_000_000, ..Faults::default() });
    assert_eq!(faulty.inner().turned_away, COUNT / 2);
    assert!(numbers_of(&all, "answer").iter().all(|number| number % 2 == 0));
    let words = Bytes::from(r#"{"turned":"Unavailable"}"#);
    let turned =
        |output: &Output| matches!(output, Output::Answer { reply, .. } if reply.body == words);
    assert_eq!(all.iter().filter(|(_, output)| turned(output)).count() as u64, COUNT / 2);
    let (faulty, all) = talk(Faults { answer_418: 1_000_000, ..Faults::default() });
    assert_eq!((faulty.injected(), faulty.inner().turned_away), (0, 0));
    assert!(numbers_of(&all, "answer").into_iter().eq(1..=COUNT));
}

#[test]
fn faults_of_orders_leave_alone_what_is_no_order() {
    let faults = [
        Faults { order_answer_lost: 1_000_000, ..Faults::default() },
        Faults { order_answer_late: 1_000_000, order_answer_late_ms: 9_000, ..Faults::default() },
        Faults { order_outcome_unknown: 1_000_000, ..Faults::default() },
        Faults { order_report_first: 1_000_000, ..Faults::default() },
        Faults { report_twice: 1_000_000, ..Faults::default() },
        Faults { report_lost: 1_000_000, ..Faults::default() },
    ];
    for faults in faults {
        let (_, all) = talk(Faults { report_lost: 0, ..faults.clone() });
        assert!(numbers_of(&all, "balance").into_iter().eq(1..=COUNT), "{faults:?}");

        let mut faulty = Faulty::new(Desk::default(), faults.clone(), 1);
        let (now, mut out) = (Nanos(0), Vec::new());
        faulty.connect(now, ONE, "/", &mut out).unwrap();
        faulty.message(now, ONE, LOGIN, &mut out);
        let key = Request { method: "POST".to_owned(), ..Request::get(LISTEN_KEY.to_owned()) };
        faulty.request(now, RequestId(1), &key, &mut out);
        let all: Vec<_> = out.into_iter().map(|output| (now, output)).collect();
        assert_eq!(numbers_of(&all, "login"), [1], "{faults:?}");
        assert_eq!(numbers_of(&all, "key"), [1], "{faults:?}");
        assert_eq!(faulty.injected(), 0, "{faults:?}");
    }
}

#[test]
fn what_nobody_has_heard_of_leaves_a_message_what_it_is() {
    let faults = Faults {
        novel_field: 1_000_000,
        novel_value: 1_000_000,
        oversized: 10_000,
        oversized_kib: 64,
        ..Faults::default()
    };
    let (_, all) = talk(faults);
    let payloads = all.iter().filter_map(|(_, output)| match output {
        Output::Send { payload, .. } => Some(payload),
        _ => None,
    });
    let (large, other): (Vec<_>, Vec<_>) =
        payloads.partition(|payload| payload.iter().all(|byte| *byte == b' '));
    assert!(large.iter().all(|payload| payload.len() == 65_536) && !large.is_empty());
    for payload in other {
        let read: serde_json::Value = serde_json::from_slice(payload).unwrap();
        assert!(read["brandNew"].is_object(), "{read}");
        if read["report"].is_u64() {
            assert_eq!((&read["f"], &read["checksum"]), (&"BRAND_NEW".into(), &9.into()));
        }
    }
    assert!(numbers_of(&all, "report").into_iter().eq(1..=COUNT));
}
