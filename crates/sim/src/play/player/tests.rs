//! Playing, in virtual time.

use std::time::Duration;

use model::capture::{Direction, Wire};

use super::*;

const SECOND: u64 = 1_000_000_000;
const ALL: &str = "/stream?streams=a@trade/b@trade";

/// What happened, in the order it did.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    Sent(u64, String),
    Closed(u64, u16, String),
    Answered(u64, u16, String),
}

/// The far ends and the time: calls the player as a driver does.
struct World {
    player: Player,
    now: Nanos,
    seen: Vec<(u64, Seen)>,
    /// Answers that are written by hand instead of at once.
    slow_writes: bool,
}

impl World {
    fn new(lines: Vec<CaptureLine>, speed: &str) -> Self {
        let options = PlayOptions { speed: speed.parse().unwrap(), ..PlayOptions::default() };
        let player = Player::new(lines, &options).unwrap();
        Self { player, now: Nanos(1_000 * SECOND), seen: Vec::new(), slow_writes: false }
    }

    fn ms(&self) -> u64 {
        u64::try_from(self.now.since(Nanos(1_000 * SECOND)).as_millis()).unwrap()
    }

    fn took(&mut self, out: Vec<Output>) {
        for output in out {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let seen = match output {
                Output::Send { client, payload } => Seen::Sent(client.0, text(&payload)),
                Output::Close { client, code, reason } => Seen::Closed(client.0, code, reason),
                Output::Ping { .. } => panic!("a player pings nobody"),
                Output::Break { .. } | Output::Silence { .. } => panic!("a player breaks nothing"),
                Output::Answer { request, reply } => {
                    if !self.slow_writes {
                        self.player.answered(self.now, request, true, &mut Vec::new());
                    }
                    Seen::Answered(request.0, reply.status, text(&reply.body))
                }
            };
            self.seen.push((self.ms(), seen));
        }
    }

    fn connect(&mut self, client: u64, target: &str) -> Result<(), Reply> {
        let mut out = Vec::new();
        let connected = self.player.connect(self.now, ClientId(client), target, &mut out);
        self.took(out);
        connected
    }

    fn say(&mut self, client: u64, text: &str) {
        let mut out = Vec::new();
        self.player.message(self.now, ClientId(client), text.as_bytes(), &mut out);
        self.took(out);
    }

    fn gone(&mut self, client: u64) {
        self.player.disconnected(self.now, ClientId(client), &mut Vec::new());
    }

    fn ask(&mut self, id: u64, target: &str) {
        let mut out = Vec::new();
        self.player.request(self.now, RequestId(id), &Request::get(target), &mut out);
        self.took(out);
    }

    fn written(&mut self, id: u64, written: bool) {
        self.player.answered(self.now, RequestId(id), written, &mut Vec::new());
    }

    /// Lets time pass: every deadline on the way is kept to the nanosecond.
    fn pass(&mut self, ms: u64) {
        let until = self.now + Duration::from_millis(ms);
        while let Some(deadline) = self.player.deadline().filter(|deadline| *deadline <= until) {
            self.now = self.now.max(deadline);
            let mut out = Vec::new();
            self.player.tick(self.now, &mut out);
            assert!(out.len() <= SENDS_MAX * self.player.clients.len());
            self.took(out);
        }
        self.now = until;
    }

    /// The numbers of the frames that a client got, with their times in ms.
    fn frames(&self, client: u64) -> Vec<(u64, u64)> {
        let number = |text: &str| text.rsplit_once("\"n\":")?.1.trim_end_matches('}').parse().ok();
        let sent = self.seen.iter().filter_map(|(ms, seen)| match seen {
            Seen::Sent(to, text) if *to == client => Some((*ms, number(text)?)),
            _ => None,
        });
        sent.collect()
    }

    fn numbers(&self, client: u64) -> Vec<u64> {
        self.frames(client).into_iter().map(|(_, number)| number).collect()
    }

    fn last(&self) -> &Seen {
        &self.seen.last().unwrap().1
    }
}

fn line(
    ms: u64,
    wire: Wire,
    direction: Direction,
    conn: &str,
    url: &str,
    data: &str,
) -> CaptureLine {
    CaptureLine {
        t: Nanos(ms * 1_000_000),
        venue: "binance".into(),
        conn: conn.into(),
        wire,
        direction,
        url: url.into(),
        data: data.as_bytes().to_vec(),
        status: None,
    }
}

fn ws(ms: u64, direction: Direction, conn: &str, data: &str) -> CaptureLine {
    line(ms, Wire::Ws, direction, conn, &format!("wss://h{ALL}"), data)
}

fn open(ms: u64, conn: &str) -> CaptureLine {
    ws(ms, Direction::Open, conn, "")
}

fn close(ms: u64, conn: &str, why: &str) -> CaptureLine {
    ws(ms, Direction::Close, conn, why)
}

fn frame(ms: u64, conn: &str, stream: &str, number: u64) -> CaptureLine {
    let data = format!("{{\"stream\":\"{stream}\",\"data\":{{\"n\":{number}}}}}");
    ws(ms, Direction::In, conn, &data)
}

fn answer(ms: u64, target: &str, data: &str) -> CaptureLine {
    line(ms, Wire::Http, Direction::In, "http-0", &format!("https://h{target}"), data)
}

#[test]
fn the_clock_starts_when_every_recorded_stream_is_subscribed_and_keeps_the_pace() {
    let lines = vec![
        open(0, "ws-1"),
        frame(100, "ws-1", "a@trade", 1),
        frame(250, "ws-1", "b@trade", 2),
        frame(250, "ws-1", "a@trade", 3),
    ];
    let mut world = World::new(lines, "1x");
    world.connect(1, "/stream?streams=a@trade").unwrap();
    world.pass(5_000);
    assert_eq!(world.player.missing(), ["b@trade"]);
    world.connect(2, "/stream?streams=b@trade/quiet@trade").unwrap();
    assert!(world.player.missing().is_empty());
    world.pass(5_000);
    assert_eq!(world.frames(1), [(5_100, 1), (5_250, 3)]);
    assert_eq!(world.frames(2), [(5_250, 2)]);
    assert!(world.player.finished() && world.player.deadline().is_none());
    let report = world.player.report();
    assert_eq!((report.frames, report.sent, report.unheard), (3, 3, 0));
}

#[test]
fn speed_scales_the_pace_and_max_knows_none() {
    let lines = || vec![open(0, "c"), frame(100, "c", "a@trade", 1), frame(300, "c", "a@trade", 2)];
    for (speed, times) in [("2x", [50, 150]), ("0.5x", [200, 600]), ("max", [0, 0])] {
        let mut world = World::new(lines(), speed);
        world.connect(1, ALL).unwrap();
        world.pass(10_000);
        assert_eq!(world.frames(1), [(times[0], 1), (times[1], 2)], "{speed}");
        assert_eq!(world.player.waits_for_clients(), speed == "max");
    }
}

#[test]
fn frames_wait_for_the_answer_that_was_recorded_before_them() {
    let lines = vec![
        open(0, "c"),
        frame(100, "c", "a@trade", 1),
        answer(200, "/depth?symbol=A&limit=1000", "{\"id\":5}"),
        frame(300, "c", "a@trade", 2),
    ];
    let mut world = World::new(lines, "1x");
    world.connect(1, ALL).unwrap();
    world.pass(10_000);
    assert_eq!(world.numbers(1), [1]);
    world.slow_writes = true;
    world.ask(1, "/depth?symbol=A&limit=5000");
    assert_eq!(*world.last(), Seen::Answered(1, 200, "{\"id\":5}".into()));
    world.pass(1_000);
    assert_eq!(world.numbers(1), [1], "the answer is not written yet");
    world.written(1, true);
    world.pass(1_000);
    // 100 ms after the answer, as recorded.
    assert_eq!(world.frames(1), [(100, 1), (11_100, 2)]);
}

#[test]
fn an_answer_asked_for_early_is_given_at_once_and_holds_nothing_up() {
    let lines = vec![
        open(0, "c"),
        frame(100, "c", "a@trade", 1),
        answer(200, "/depth?symbol=A", "{}"),
        frame(300, "c", "a@trade", 2),
    ];
    let mut world = World::new(lines, "1x");
    world.ask(1, "/depth?symbol=A");
    assert_eq!(*world.last(), Seen::Answered(1, 200, "{}".into()));
    world.connect(1, ALL).unwrap();
    world.pass(1_000);
    assert_eq!(world.frames(1), [(100, 1), (300, 2)]);
}

#[test]
fn an_answer_that_could_not_be_written_is_there_for_the_next_to_ask() {
    let lines = vec![open(0, "c"), answer(1, "/depth", "{}"), frame(2, "c", "a@trade", 1)];
    let mut world = World::new(lines, "1x");
    world.connect(1, ALL).unwrap();
    world.pass(10);
    world.slow_writes = true;
    world.ask(1, "/depth");
    world.written(1, false);
    world.pass(10);
    assert!(world.numbers(1).is_empty());
    world.ask(2, "/depth");
    assert_eq!(*world.last(), Seen::Answered(2, 200, "{}".into()));
    world.written(2, true);
    world.pass(10);
    assert_eq!(world.numbers(1), [1]);
}

#[test]
fn what_the_capture_does_not_hold_is_refused_with_an_explanation() {
    let mut lines = vec![answer(0, "/info", "{\"i\":1}"), open(1, "c"), answer(2, "/depth", "{}")];
    lines[2].status = Some(429);
    let mut world = World::new(lines, "1x");
    for id in 0..3 {
        world.ask(id, "/info?x=y");
        assert_eq!(*world.last(), Seen::Answered(id, 200, "{\"i\":1}".into()));
    }
    world.ask(3, "/depth");
    assert_eq!(*world.last(), Seen::Answered(3, 429, "{}".into()));
    world.ask(4, "/depth");
    let Seen::Answered(4, 503, body) = world.last() else { panic!("{:?}", world.last()) };
    assert!(body.contains("no further answer to /depth"), "{body}");
    world.ask(5, "/other");
    let Seen::Answered(5, 404, body) = world.last() else { panic!("{:?}", world.last()) };
    assert!(body.contains("no answer to /other") && body.contains("-1000"), "{body}");
    assert_eq!(world.player.report().refused, 2);
}

#[test]
fn a_refreshed_instrument_list_holds_nothing_up_and_is_the_latest_afterwards() {
    let lines = vec![
        answer(0, "/info", "old"),
        open(1, "c"),
        answer(2, "/info", "new"),
        frame(3, "c", "a@trade", 1),
    ];
    let mut world = World::new(lines, "1x");
    world.ask(1, "/info");
    assert_eq!(*world.last(), Seen::Answered(1, 200, "old".into()));
    world.connect(1, ALL).unwrap();
    world.pass(10);
    assert_eq!(world.numbers(1), [1]);
    world.ask(2, "/info");
    assert_eq!(*world.last(), Seen::Answered(2, 200, "new".into()));
}

#[test]
fn connections_that_overlap_each_get_every_frame() {
    let lines = (0..4).map(|n| frame(n * 100, "c", "a@trade", n)).collect();
    let mut world = World::new(lines, "1x");
    world.connect(1, ALL).unwrap();
    world.pass(150);
    world.connect(2, "/ws/a@trade").unwrap();
    world.pass(100);
    world.gone(1);
    world.pass(1_000);
    assert_eq!(world.numbers(1), [0, 1, 2]);
    assert_eq!(world.numbers(2), [2, 3]);
    assert!(world.seen.contains(&(200, Seen::Sent(2, "{\"n\":2}".into()))), "without envelope");
}

#[test]
fn frames_that_nobody_listens_to_pass_like_on_a_real_venue() {
    let lines = (0..3).map(|n| frame(n * 100, "c", "a@trade", n)).collect();
    let mut world = World::new(lines, "1x");
    world.connect(1, ALL).unwrap();
    world.pass(50);
    world.gone(1);
    world.pass(100);
    world.connect(2, ALL).unwrap();
    world.pass(1_000);
    assert_eq!((world.numbers(1), world.numbers(2)), (vec![0], vec![2]));
    assert_eq!(world.player.report().unheard, 1);
}

#[test]
fn subscriptions_by_message_count_and_can_be_taken_back() {
    let lines = (0..3).map(|n| frame(n * 100, "c", "a@trade", n)).collect();
    let mut world = World::new(lines, "1x");
    world.connect(1, "/stream").unwrap();
    world.pass(1_000);
    world.say(1, r#"{"method":"SUBSCRIBE","params":["a@trade"],"id":1}"#);
    assert_eq!(*world.last(), Seen::Sent(1, r#"{"id":1,"result":null}"#.into()));
    world.pass(150);
    world.say(1, r#"{"method":"UNSUBSCRIBE","params":["a@trade"],"id":2}"#);
    world.pass(1_000);
    assert_eq!(world.frames(1), [(1_000, 0), (1_100, 1)]);
}

#[test]
fn a_recorded_close_closes_and_waits_for_the_streams_that_go_on() {
    let lines = vec![
        open(0, "ws-1"),
        frame(100, "ws-1", "a@trade", 1),
        close(200, "ws-1", "4001 told to"),
        open(300, "ws-2"),
        frame(400, "ws-2", "a@trade", 2),
        close(500, "ws-2", "at the end"),
    ];
    let mut world = World::new(lines, "1x");
    world.connect(1, ALL).unwrap();
    world.connect(2, "/stream?streams=other@trade").unwrap();
    world.pass(1_000);
    assert_eq!(*world.last(), Seen::Closed(1, 4001, "4001 told to".into()));
    assert_eq!(world.player.missing(), ["a@trade"]);
    world.connect(3, ALL).unwrap();
    world.pass(5_000);
    // 200 ms after the close, as recorded; the close at the end changes nothing.
    assert_eq!(world.frames(3), [(1_200, 2)]);
    assert!(world.player.finished());
    assert_eq!(world.player.clients.len(), 2);
}

#[test]
fn a_recorded_renewal_closes_nobody() {
    let lines = vec![
        open(0, "ws-1"),
        frame(100, "ws-1", "a@trade", 1),
        open(150, "ws-2"),
        frame(160, "ws-2", "a@trade", 1),
        close(200, "ws-1", "1000"),
        frame(300, "ws-2", "a@trade", 2),
    ];
    let mut world = World::new(lines, "1x");
    world.connect(1, ALL).unwrap();
    world.pass(1_000);
    assert_eq!(world.frames(1), [(100, 1), (160, 1), (300, 2)]);
}

#[test]
fn a_close_that_can_not_be_sent_becomes_one_that_can() {
    assert_eq!(close_frame("1006 gone"), (1001, "1006 gone".into()));
    assert_eq!(close_frame(""), (1001, String::new()));
    assert_eq!(close_frame("1000"), (1000, "1000".into()));
    let (_, reason) = close_frame(&"é".repeat(100));
    assert_eq!(reason.len(), 122);
}

#[test]
fn what_names_no_stream_goes_to_one_connection_that_shares_a_stream() {
    let lines = vec![
        open(0, "c"),
        frame(1, "c", "a@trade", 1),
        ws(2, Direction::In, "c", "{\"e\":\"serverShutdown\",\"n\":2}"),
        ws(3, Direction::In, "c", "garbage \"n\":3"),
        ws(4, Direction::In, "c", "{\"result\":null,\"id\":7}"),
    ];
    let mut world = World::new(lines, "1x");
    world.connect(1, "/stream?streams=other@trade").unwrap();
    world.connect(2, "/stream?streams=a@trade").unwrap();
    world.connect(3, "/stream?streams=a@trade").unwrap();
    world.pass(1_000);
    assert!(world.numbers(1).is_empty());
    assert_eq!(world.numbers(2), [1, 2, 3]);
    assert_eq!(world.numbers(3), [1]);
}

#[test]
fn a_tick_sends_a_bounded_number_and_the_rest_at_once_after_it() {
    let lines = (0..1_000).map(|n| frame(n, "c", "a@trade", n)).collect();
    let mut world = World::new(lines, "max");
    world.connect(1, ALL).unwrap();
    let mut out = Vec::new();
    world.player.tick(world.now, &mut out);
    assert_eq!(out.len(), SENDS_MAX);
    assert!(world.player.deadline().is_some_and(|deadline| deadline <= world.now));
    world.took(out);
    world.pass(0);
    assert_eq!(world.numbers(1), (0..1_000).collect::<Vec<_>>());
}

#[test]
fn what_can_not_be_played_is_said_so() {
    let error = |lines: Vec<CaptureLine>, options: PlayOptions| {
        Player::new(lines, &options).err().unwrap().message.into_owned()
    };
    let of = |venue: &str| CaptureLine { venue: venue.into(), ..frame(0, "c", "a@trade", 1) };
    let plain = PlayOptions::default;
    assert!(error(vec![], plain()).contains("no line to be played"));
    assert!(error(vec![of("okx")], plain()).contains("those of binance, binance-usdm"));
    let mixed = vec![of("binance"), of("binance-usdm")];
    assert!(error(mixed.clone(), plain()).contains("say which venue is to be played"));
    assert_eq!(crate::play::venues(&mixed), ["binance", "binance-usdm"]);
    let chosen = PlayOptions { venue: Some("binance-usdm".into()), ..plain() };
    assert_eq!(Player::new(mixed.clone(), &chosen).unwrap().venue(), "binance-usdm");
    let absent = PlayOptions { venue: Some("kraken".into()), ..plain() };
    assert!(error(mixed, absent).contains("no line of kraken"));
    let small = PlayOptions { bytes_max: 10, ..plain() };
    assert!(error(vec![of("binance")], small).contains("more than 10 bytes"));
}

#[test]
fn an_address_without_streams_is_refused() {
    let mut world = World::new(vec![frame(0, "c", "a@trade", 1)], "1x");
    let reply = world.connect(1, "/public/stream?streams=a@trade").unwrap_err();
    assert_eq!(reply.status, 404);
    assert!(String::from_utf8_lossy(&reply.body).contains("expected /stream?streams="));
    assert!(world.player.clients.is_empty());
}
