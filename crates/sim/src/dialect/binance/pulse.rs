//! What keeps a connection: pings that are answered, few enough messages, and a day at most.
//!
//! "The WebSocket server will send a ping frame every 20 seconds. If [it] does not receive a pong frame
//! back from the connection within a minute the connection will be disconnected. When you receive a
//! ping, you must send a pong with a copy of ping's payload"; unsolicited pongs "will not prevent
//! disconnection" (binance-spot-api-docs, `web-socket-streams.md`, `web-socket-api.md`). Futures: every 3
//! minutes, within 10 (developers.binance.com, derivatives, "Websocket Market Streams").

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use model::Nanos;

use super::limits::Talk;
use super::line::Line;
use super::wire::ms;
use crate::machine::ControlFrame;

/// "A single connection is only valid for 24 hours."
const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
/// "WebSocket ping/pong frames are limited to a maximum of five per second" (WebSocket API, general
/// information); on streams they count with the messages.
const API_CONTROLS_MAX: u32 = 5;

/// What an end is called: close code and reason.
pub(super) type End = (u16, &'static str);

/// Said more than a second may have.
pub(super) const TOO_MUCH: End = (1_008, "Too many requests");
const NO_PONG: End = (1_008, "Pong timeout");
const TOO_OLD: End = (1_001, "24 hours are over");

/// What a connection gets by the clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Beat {
    Ping(Bytes),
    End(End),
}

/// How a connection stands.
#[derive(Clone, Debug)]
pub(super) struct Pulse {
    expires: Nanos,
    ping_at: Nanos,
    every: Duration,
    within: Duration,
    /// Pings without an answer, the oldest first: as many as are due within the time for an answer.
    unanswered: VecDeque<Nanos>,
    talk: Talk,
    messages_max: u32,
}

impl Pulse {
    /// A connection of market data or of reports that begins now.
    pub(super) fn of_stream(line: &Line, now: Nanos) -> Self {
        let (every, within) = (line.ping_every, line.pong_within);
        Self {
            expires: now + LIFETIME,
            ping_at: now + every,
            every,
            within,
            unanswered: VecDeque::new(),
            talk: Talk::default(),
            messages_max: line.messages_max,
        }
    }

    /// One of the WebSocket API: only pings and pongs are counted, requests have a weight.
    pub(super) fn of_api(line: &Line, now: Nanos) -> Self {
        Self { messages_max: API_CONTROLS_MAX, ..Self::of_stream(line, now) }
    }

    /// When something is due next.
    pub(super) fn deadline(&self) -> Nanos {
        let pong_by = self.unanswered.front().map(|at| *at + self.within);
        pong_by.map_or(self.ping_at, |at| at.min(self.ping_at)).min(self.expires)
    }

    /// What is due; an end is the last thing.
    pub(super) fn beat(&mut self, now: Nanos) -> Option<Beat> {
        if self.expires <= now {
            return Some(Beat::End(TOO_OLD));
        }
        if self.unanswered.front().is_some_and(|at| *at + self.within <= now) {
            return Some(Beat::End(NO_PONG));
        }
        if self.ping_at > now {
            return None;
        }
        self.ping_at = now + self.every;
        self.unanswered.push_back(now);
        Some(Beat::Ping(payload(now)))
    }

    /// The client sent a message; whether it is one too many.
    pub(super) fn is_too_much(&mut self, now: Nanos) -> bool {
        self.talk.is_too_much(now, self.messages_max)
    }

    /// The client sent a ping or a pong; whether it is one too many. A pong answers its ping and those
    /// before it (RFC 6455, 5.5.3).
    pub(super) fn control(&mut self, now: Nanos, control: &ControlFrame) -> bool {
        if let ControlFrame::Pong(answer) = control
            && let Some(at) = self.unanswered.iter().position(|at| payload(*at) == *answer)
        {
            self.unanswered.drain(..=at);
        }
        self.is_too_much(now)
    }
}

/// What is in a ping: when it was sent.
fn payload(at: Nanos) -> Bytes {
    Bytes::from(ms(at).to_string())
}

#[cfg(test)]
mod tests {
    use super::super::LINES;
    use super::*;

    const NOW: Nanos = Nanos(1_790_000_000_000_000_000);
    const MINUTE: Duration = Duration::from_secs(60);

    /// A connection of so long on which every ping is answered with what `answer` makes of it; how many
    /// pings came, and the end with its time.
    fn live(
        mut pulse: Pulse,
        duration: Duration,
        answer: impl Fn(Bytes) -> Option<Bytes>,
    ) -> (u64, Option<(Duration, End)>) {
        let mut pings = 0;
        while pulse.deadline() <= NOW + duration {
            let now = pulse.deadline();
            match pulse.beat(now) {
                Some(Beat::Ping(payload)) => {
                    pings += 1;
                    if let Some(payload) = answer(payload) {
                        assert!(!pulse.control(now, &ControlFrame::Pong(payload)));
                    }
                }
                Some(Beat::End(end)) => return (pings, Some((now.since(NOW), end))),
                None => panic!("nothing was due"),
            }
        }
        (pings, None)
    }

    #[test]
    fn a_line_pings_as_its_documentation_says_and_ends_without_a_pong() {
        let ends = [(20, 20 + 60), (3 * 60, 13 * 60), (3 * 60, 13 * 60)];
        for (line, (every_s, end_s)) in LINES.iter().zip(ends) {
            for pulse in [Pulse::of_stream(line, NOW), Pulse::of_api(line, NOW)] {
                let end = Some((Duration::from_secs(end_s), NO_PONG));
                let (pings, ended) = live(pulse.clone(), LIFETIME, |_| None);
                assert_eq!((pings, ended), ((end_s - 1) / every_s, end), "{}", line.name);
                let unsolicited = live(pulse.clone(), LIFETIME, |_| Some(Bytes::new()));
                assert_eq!(unsolicited.1, end, "{}", line.name);
                let (pings, ended) = live(pulse, LIFETIME, Some);
                assert_eq!(ended, Some((LIFETIME, TOO_OLD)), "{}", line.name);
                assert_eq!(pings, 86_400 / every_s - 1, "{}", line.name);
            }
        }
    }

    #[test]
    fn a_pong_answers_its_ping_and_those_before_it() {
        let mut pulse = Pulse::of_stream(&LINES[0], NOW);
        let pings: Vec<_> = (0..3).map(|_| pulse.beat(pulse.deadline())).collect();
        let Some(Beat::Ping(second)) = &pings[1] else { panic!("{pings:?}") };
        pulse.control(NOW + MINUTE, &ControlFrame::Pong(second.clone()));
        // The third, of the whole minute, is still to be answered.
        while let Some(Beat::Ping(_)) = pulse.beat(pulse.deadline()) {}
        assert_eq!(pulse.deadline(), NOW + 2 * MINUTE);
    }

    #[test]
    fn pings_and_pongs_count_with_the_messages() {
        for (pulse, max) in [
            (Pulse::of_stream(&LINES[0], NOW), 5),
            (Pulse::of_stream(&LINES[1], NOW), 10),
            (Pulse::of_api(&LINES[1], NOW), 5),
        ] {
            let mut pulse = pulse;
            let controls = [ControlFrame::Ping(Bytes::new()), ControlFrame::Pong(Bytes::new())];
            assert!((1..max).all(|n| !pulse.control(NOW, &controls[n % 2])));
            assert!(!pulse.is_too_much(NOW), "{max}");
            assert!(pulse.control(NOW, &controls[0]), "{max}");
            assert!(!pulse.control(NOW + Duration::from_secs(1), &controls[0]), "{max}");
        }
    }
}
