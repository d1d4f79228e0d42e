//! A capture, laid out for playing.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use bytes::Bytes;
use model::capture::{CaptureLine, Direction, Wire, split_url};
use model::{Error, Nanos};

use super::PlayOptions;
use super::answers::{Answer, Answers};
use crate::dialect::{self, PlayDialect, Recorded};

/// One thing to happen, at its recorded time.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) t: Nanos,
    pub(super) what: What,
}

/// What happens.
#[derive(Debug)]
pub(super) enum What {
    /// A frame of a stream: its number, the payload, and where in it the message is.
    Frame { stream: usize, whole: Bytes, body: Range<usize> },
    /// A frame without a stream, and the number of the connection it was recorded on.
    Unnamed { source: usize, whole: Bytes },
    /// The answer with this number was recorded here.
    Answer(usize),
    /// A connection ended, and with it these streams; the recorder wrote down why.
    Close { streams: Vec<usize>, why: String },
}

/// A capture of one venue, laid out for playing.
pub(super) struct Tape {
    pub(super) venue: String,
    pub(super) dialect: Box<dyn PlayDialect>,
    pub(super) answers: Answers,
    /// When the first WebSocket line was recorded.
    pub(super) begins: Nanos,
    pub(super) steps: Vec<Step>,
    /// The names of all streams, by number.
    pub(super) streams: Vec<String>,
    /// How many frames each stream has.
    pub(super) frames: Vec<u64>,
    /// The streams of each recorded connection, by number.
    pub(super) sources: Vec<BTreeSet<usize>>,
}

impl Tape {
    /// Lays out the lines of one venue.
    pub(super) fn new(
        lines: impl IntoIterator<Item = CaptureLine>,
        options: &PlayOptions,
    ) -> Result<Self, Error> {
        let mut layout: Option<Layout> = None;
        let mut bytes = 0_usize;
        for line in lines {
            if options.venue.as_ref().is_some_and(|venue| *venue != line.venue) {
                continue;
            }
            bytes = bytes.saturating_add(line.data.len());
            if bytes > options.bytes_max {
                return Err(Error::stop(format!(
                    "the capture holds more than {} bytes of payloads; play it in parts",
                    options.bytes_max
                )));
            }
            let layout = match &mut layout {
                Some(layout) => layout,
                none => none.insert(Layout::new(&line.venue)?),
            };
            layout.add(line)?;
        }
        let which = options.venue.as_ref().map_or(String::new(), |venue| format!(" of {venue}"));
        let layout = layout
            .ok_or_else(|| Error::stop(format!("the capture holds no line{which} to be played")))?;
        Ok(layout.finish())
    }
}

/// A tape in the making.
struct Layout {
    tape: Tape,
    begun: bool,
    stream_numbers: BTreeMap<String, usize>,
    source_numbers: BTreeMap<String, usize>,
    open: BTreeSet<usize>,
    /// For each `close`: its step, its connection, and those that were open beside it.
    closes: Vec<(usize, usize, BTreeSet<usize>)>,
}

impl Layout {
    fn new(venue: &str) -> Result<Self, Error> {
        let dialect = dialect::for_venue(venue).ok_or_else(|| {
            Error::stop(format!(
                "captures of '{venue}' can't be played yet; those of {} can",
                dialect::PLAYABLE.join(", ")
            ))
        })?;
        Ok(Self {
            tape: Tape {
                venue: venue.to_owned(),
                dialect,
                answers: Answers::default(),
                begins: Nanos(0),
                steps: Vec::new(),
                streams: Vec::new(),
                frames: Vec::new(),
                sources: Vec::new(),
            },
            begun: false,
            stream_numbers: BTreeMap::new(),
            source_numbers: BTreeMap::new(),
            open: BTreeSet::new(),
            closes: Vec::new(),
        })
    }

    fn add(&mut self, line: CaptureLine) -> Result<(), Error> {
        if line.venue != self.tape.venue {
            return Err(Error::stop(format!(
                "the capture holds lines of {} and of {}; say which venue is to be played, each \
                 needs an address of its own",
                self.tape.venue, line.venue
            )));
        }
        match (line.wire, line.direction) {
            (Wire::Http, Direction::In) => self.answer(line),
            (Wire::Ws, direction) => {
                if !self.begun {
                    self.begun = true;
                    self.tape.begins = line.t;
                }
                match direction {
                    Direction::In => self.frame(line),
                    Direction::Open => {
                        let source = self.source(&line);
                        self.open.insert(source);
                    }
                    Direction::Close => self.close(&line),
                    Direction::Out => {}
                }
            }
            (Wire::Http, _) => {}
        }
        Ok(())
    }

    fn step(&mut self, t: Nanos, what: What) {
        self.tape.steps.push(Step { t, what });
    }

    fn answer(&mut self, line: CaptureLine) {
        let from_start = !self.begun;
        let number = self.tape.answers.push(Answer {
            url: line.url,
            status: line.status.unwrap_or(200),
            body: line.data.into(),
            from_start,
        });
        if !from_start {
            self.step(line.t, What::Answer(number));
        }
    }

    fn frame(&mut self, line: CaptureLine) {
        let source = self.source(&line);
        self.open.insert(source);
        let whole = Bytes::from(line.data);
        match self.tape.dialect.recorded(&line.url, &whole) {
            Recorded::Named { stream, body } => {
                let stream = self.stream(&stream);
                self.tape.frames[stream] += 1;
                self.tape.sources[source].insert(stream);
                self.step(line.t, What::Frame { stream, whole, body });
            }
            Recorded::Unnamed => self.step(line.t, What::Unnamed { source, whole }),
            Recorded::Reply => {}
        }
    }

    fn close(&mut self, line: &CaptureLine) {
        let source = self.source(line);
        self.open.remove(&source);
        self.closes.push((self.tape.steps.len(), source, self.open.clone()));
        let why = String::from_utf8_lossy(&line.data).into_owned();
        self.step(line.t, What::Close { streams: Vec::new(), why });
    }

    /// The number of the line's connection, and its streams as far as its address says them.
    fn source(&mut self, line: &CaptureLine) -> usize {
        if let Some(&number) = self.source_numbers.get(&line.conn) {
            return number;
        }
        let number = self.tape.sources.len();
        self.source_numbers.insert(line.conn.clone(), number);
        let (path, query) = split_url(&line.url);
        let session = self.tape.dialect.connect(&format!("{path}?{query}"));
        let names = session.map(|session| session.streams).unwrap_or_default();
        let streams = names.iter().map(|name| self.stream(name)).collect();
        self.tape.sources.push(streams);
        number
    }

    fn stream(&mut self, name: &str) -> usize {
        if let Some(&number) = self.stream_numbers.get(name) {
            return number;
        }
        let number = self.tape.streams.len();
        self.stream_numbers.insert(name.to_owned(), number);
        self.tape.streams.push(name.to_owned());
        self.tape.frames.push(0);
        number
    }

    /// Now that every connection's streams are known: which of them each `close` ended, because no
    /// other open connection had them too (as during a renewal).
    fn finish(mut self) -> Tape {
        for (step, source, others) in &self.closes {
            let sources = &self.tape.sources;
            let elsewhere = |stream: &usize| others.iter().any(|o| sources[*o].contains(stream));
            let ended = sources[*source].iter().copied().filter(|s| !elsewhere(s)).collect();
            if let What::Close { streams, .. } = &mut self.tape.steps[*step].what {
                *streams = ended;
            }
        }
        self.tape
    }
}
