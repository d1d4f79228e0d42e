//! A ledger, a venue and a consumer that follow their contracts, around a desk that may die.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use model::Error;
use model::ledger::{
    Fact, Fill, LedgerAppend, LedgerReply, Lost, Outcome, Report, StoredOrder, VenueName, Verdict,
};
use model::order::{ExecReport, Intent, OrderState};
use model::reply::ReplyAnswer;
use model::trading::{Heard, Instruction, NOT_SENT, Target, Ticket, VenueState};
use pool::LocalPool;

use super::*;

/// Which instructions.
pub type Which = fn(&Instruction) -> bool;

/// An order as the venue has it.
#[derive(Clone, Debug)]
pub struct VenueOrder {
    pub id: Name,
    pub quantity: Decimal,
    pub fills: Vec<Fill>,
    pub state: VenueState,
}

impl VenueOrder {
    /// An open order of the account that is none of ours.
    pub fn stranger() -> Self {
        Self { id: "v9".into(), quantity: 5.into(), fills: Vec::new(), state: VenueState::Open }
    }

    pub fn filled(&self) -> Decimal {
        self.fills.iter().map(|fill| fill.quantity).sum()
    }
}

/// Everything, and what has to be true of it at every step.
#[derive(Debug)]
pub struct World {
    pub now: Nanos,
    pub desk: Desk,
    pub options: DeskOptions,
    /// What survives: the ledger by position, 1 first.
    pub facts: Vec<Fact>,
    /// How many of them may be relied on by requests.
    pub durable: usize,
    queue: VecDeque<LedgerAppend>,
    pub queue_max: usize,
    replies: VecDeque<LedgerReply>,
    pub stuck: bool,
    /// The venue, by client id.
    pub venue: BTreeMap<Name, VenueOrder>,
    trades: u64,
    /// When each trade was.
    traded: BTreeMap<Name, Nanos>,
    /// How long after it a fill comes into the lists.
    pub listed_after: Duration,
    /// What is filled by fills that are not in the lists yet, the venue does not say.
    pub hides: bool,
    /// Which instructions are not carried out, and what is answered to them.
    pub unheeded: Option<(Which, Outcome)>,
    pub wire: VecDeque<Instruction>,
    /// How the dead-man switch was wound.
    pub winds: Vec<Duration>,
    heard: VecDeque<Heard>,
    /// Here, other than in a gateway, what the machine tells waits before the desk hears it.
    reports: LocalPool<ExecReport>,
    /// As many of the next reports find no free object in the pool.
    pub exhausted: usize,
    /// A new process takes over the orders that have settled, too.
    pub remembers: bool,
    pub link: bool,
    /// The next request's answer is lost, whether it arrives or not.
    pub lose_answer: bool,
    pub lose_request: bool,
    /// Which were instructed, by key.
    pub placed: BTreeSet<OrderKey>,
    /// Keys that may not be placed any more.
    pub forbidden: BTreeSet<OrderKey>,
    /// What the consumer has read, by position.
    pub read: Vec<(u64, Report)>,
    pub acknowledged: u64,
    pub replied: Vec<OrderReply>,
    pub notes: Vec<Note>,
}

impl World {
    pub fn new(options: DeskOptions) -> Self {
        let mut world = Self {
            now: at(1_000_000),
            desk: desk(options),
            options,
            facts: Vec::new(),
            durable: 0,
            queue: VecDeque::new(),
            queue_max: 8,
            replies: VecDeque::new(),
            stuck: false,
            venue: BTreeMap::new(),
            trades: 0,
            traded: BTreeMap::new(),
            listed_after: Duration::ZERO,
            hides: false,
            unheeded: None,
            wire: VecDeque::new(),
            winds: Vec::new(),
            heard: VecDeque::new(),
            reports: LocalPool::boxed("ExecReport", 4_096),
            exhausted: 0,
            remembers: true,
            link: true,
            lose_answer: false,
            lose_request: false,
            placed: BTreeSet::new(),
            forbidden: BTreeSet::new(),
            read: Vec::new(),
            acknowledged: 0,
            replied: Vec::new(),
            notes: Vec::new(),
        };
        world.heard.push_back(Heard::Listening(true));
        world
    }

    pub fn submit(&mut self, id: &str) {
        let instrument = btc();
        let market = Market { instrument: Some(&instrument), price: Some(Decimal::TEN) };
        self.desk.submit(new_order(id), market, self.now);
    }

    pub fn amend(&mut self, id: &str, quantity: i64) {
        let instrument = btc();
        let market = Market { instrument: Some(&instrument), price: Some(Decimal::TEN) };
        self.desk.amend(&key(id), None, Some(quantity.into()), market, self.now);
    }

    /// From here on no order goes that was not instructed yet.
    pub fn switch_off(&mut self) {
        self.desk.switch_off("c", self.now);
        let known = self.desk.orders().iter().map(|(key, _)| key.clone());
        self.forbidden.extend(known.filter(|key| !self.placed.contains(key)));
    }

    /// Facts to the ledger's queue, as far as it has room.
    pub fn append(&mut self) {
        while let Some(append) = self.desk.take_append(self.now) {
            if self.queue.len() >= self.queue_max {
                self.desk.give_back(append);
                return;
            }
            self.queue.push_back(append);
        }
    }

    /// One group is written, or can't be.
    pub fn write(&mut self) {
        if self.stuck || self.queue.is_empty() {
            return;
        }
        let mut last = 0;
        while let Some(append) = self.queue.pop_front() {
            last = append.seq;
            let verdict = self.keep(append.fact);
            self.replies.push_back(LedgerReply::Verdict { seq: last, verdict });
        }
        self.replies.push_back(LedgerReply::Written { up_to: last });
        self.replies.push_back(LedgerReply::Durable { up_to: last });
        self.durable = self.facts.len();
    }

    pub fn set_stuck(&mut self, stuck: bool) {
        if std::mem::replace(&mut self.stuck, stuck) != stuck {
            self.replies.push_back(match stuck {
                true => LedgerReply::Stuck(Error::stop("disk full")),
                false => LedgerReply::Recovered,
            });
        }
    }

    fn keep(&mut self, fact: Fact) -> Verdict {
        let known = self.facts.iter().position(|known| match (known, &fact) {
            (Fact::Report(known), Fact::Report(new)) => known.key() == new.key(),
            (Fact::Change(known), Fact::Change(new)) => {
                (&known.order, known.number) == (&new.order, new.number)
            }
            (Fact::Submit(known), Fact::Submit(new)) => known.order == new.order,
            _ => false,
        });
        if let (Some(_), Fact::Submit(new)) = (known, &fact) {
            let stored = self.stored(&new.order).unwrap();
            return match stored.submit.terms == new.terms {
                true => Verdict::Duplicate(Box::new(stored)),
                false => Verdict::Conflict(Box::new(stored)),
            };
        }
        if let Some(at) = known {
            return Verdict::Known { position: at as u64 + 1 };
        }
        self.facts.push(fact);
        Verdict::Stored { position: self.facts.len() as u64 }
    }

    pub fn stored(&self, key: &OrderKey) -> Option<StoredOrder> {
        let mut stored: Option<StoredOrder> = None;
        for (at, fact) in self.facts.iter().enumerate() {
            match (fact, &mut stored) {
                (Fact::Submit(submit), None) if submit.order == *key => {
                    let position = at as u64 + 1;
                    let submit = submit.clone();
                    stored = Some(StoredOrder { submit, position, answer: None, report: None });
                }
                (Fact::Answer(answer), Some(stored)) if answer.order == *key => {
                    stored.answer = Some(answer.clone());
                }
                (Fact::Report(report), Some(stored)) if report.order == *key => {
                    stored.report = Some(report.clone());
                }
                _ => {}
            }
        }
        stored
    }

    /// The desk hears one reply of the ledger.
    pub fn reply(&mut self) {
        if let Some(reply) = self.replies.pop_front() {
            self.desk.ledger(reply, self.now);
        }
    }

    /// The machine takes one instruction.
    pub fn take(&mut self) {
        let Some(instruction) = self.desk.take_instruction(P, self.now) else { return };
        if let Instruction::Place { order, .. } = &instruction {
            let id: &str = order.venue_client_id.strip_prefix('x').unwrap();
            let key = key(id);
            let durable = self.facts.iter().take(self.durable);
            let durable = durable.filter(|f| matches!(f, Fact::Submit(s) if s.order == key));
            assert_eq!(durable.count(), 1, "{key} left before it was durable");
            assert!(!self.forbidden.contains(&key), "{key} left though its switch was off");
            assert!(self.placed.insert(key.clone()), "{key} left twice");
            assert!(
                !self.stuck || !self.replies.is_empty(),
                "{key} left while the ledger is stuck"
            );
        }
        self.wire.push_back(instruction);
    }

    /// The venue deals with one request.
    pub fn venue(&mut self) {
        let Some(instruction) = self.wire.pop_front() else { return };
        let lost = std::mem::take(&mut self.lose_request);
        let deaf = std::mem::take(&mut self.lose_answer) || lost;
        let before = self.heard.len();
        let answer = if lost { None } else { self.carry_out(&instruction) };
        let Some(ticket) = ticket_of(&instruction) else { return };
        let own = self.heard.len();
        if deaf {
            // What answers the ticket is lost, what the stream says is not.
            let kept = |heard: &Heard| !matches!(heard, Heard::Order(s) if s.ticket.is_some());
            let new: Vec<Heard> = self.heard.drain(before..own).filter(kept).collect();
            self.heard.extend(new);
        }
        let lost = Outcome::Unknown(Lost::Timeout);
        let outcome = answer.filter(|_| !deaf).unwrap_or(lost);
        self.heard.push_back(Heard::Answer { ticket, outcome });
    }

    fn carry_out(&mut self, instruction: &Instruction) -> Option<Outcome> {
        if let Some((_, outcome)) = self.unheeded.as_ref().filter(|(which, _)| which(instruction)) {
            return Some(outcome.clone());
        }
        let accepted = Outcome::Accepted { venue_order_id: None };
        Some(match instruction {
            Instruction::Listen { .. } | Instruction::Balances { .. } => accepted,
            Instruction::DeadMan { within, .. } => {
                self.winds.push(*within);
                accepted
            }
            Instruction::Place { order, .. } => {
                if order.deadline.is_some_and(|deadline| self.now > deadline) {
                    let code = NOT_SENT.into();
                    return Some(Outcome::Refused { code, text: "too late".into() });
                }
                let id: Name = format!("v{}", order.venue_client_id).into();
                let new = VenueOrder {
                    id: id.clone(),
                    quantity: order.quantity,
                    fills: Vec::new(),
                    state: VenueState::Open,
                };
                let twice = self.venue.insert(order.venue_client_id.clone(), new);
                assert!(twice.is_none(), "the venue got {order:?} twice");
                self.tell(&order.venue_client_id.clone(), None, None);
                Outcome::Accepted { venue_order_id: Some(id) }
            }
            Instruction::Cancel { target, .. } => self.change(target, None),
            Instruction::Amend { target, quantity, .. } => self.change(target, Some(*quantity)),
            Instruction::CancelAll { .. } => {
                let all: Vec<Name> = self.venue.keys().cloned().collect();
                for id in all {
                    self.end(&id, VenueState::Cancelled);
                }
                accepted
            }
            Instruction::Query { ticket, target } => {
                match self.venue.get(&target.venue_client_id) {
                    Some(_) => {
                        self.tell(&target.venue_client_id.clone(), None, Some(*ticket));
                        accepted
                    }
                    None => Outcome::NotFound,
                }
            }
            Instruction::OpenOrders { ticket } => {
                let open = self.venue.iter().filter(|(_, o)| o.state == VenueState::Open);
                let open: Vec<Name> = open.map(|(id, _)| id.clone()).collect();
                open.iter().for_each(|id| self.tell(id, None, Some(*ticket)));
                accepted
            }
            Instruction::Fills { ticket, since, .. } => {
                let listed =
                    |fill: &&Fill| self.traded[&fill.trade_id] >= *since && self.is_listed(fill);
                let fills = self.venue.iter().flat_map(|(id, order)| {
                    order.fills.iter().filter(listed).map(|fill| (id.clone(), fill.clone()))
                });
                let fills: Vec<_> = fills.collect();
                for (id, fill) in fills {
                    self.tell(&id, Some(fill), Some(*ticket));
                }
                accepted
            }
        })
    }

    fn is_listed(&self, fill: &Fill) -> bool {
        self.traded[&fill.trade_id] + self.listed_after <= self.now
    }

    fn change(&mut self, target: &Target, quantity: Option<Decimal>) -> Outcome {
        let id = target.venue_client_id.clone();
        let refused = Outcome::Refused { code: "-2011".into(), text: "no such order".into() };
        match (self.venue.get_mut(&id), quantity) {
            (Some(order), _) if order.state != VenueState::Open => refused,
            (None, _) => refused,
            (Some(_), None) => {
                self.end(&id, VenueState::Cancelled);
                Outcome::Accepted { venue_order_id: None }
            }
            (Some(order), Some(quantity)) if quantity > order.filled() => {
                order.quantity = quantity;
                self.tell(&id, None, None);
                Outcome::Accepted { venue_order_id: None }
            }
            (Some(_), Some(_)) => refused,
        }
    }

    fn end(&mut self, id: &Name, state: VenueState) {
        let open = self.venue.get_mut(id).filter(|order| order.state == VenueState::Open);
        if let Some(order) = open {
            order.state = state;
            self.tell(id, None, None);
        }
    }

    /// One of an open order is traded.
    pub fn trade(&mut self, id: &str) {
        let id: Name = format!("x{id}").into();
        let Some(order) = self.venue.get_mut(&id) else { return };
        if order.state != VenueState::Open {
            return;
        }
        self.trades += 1;
        let trade_id: Name = format!("t{}", self.trades).into();
        self.traded.insert(trade_id.clone(), self.now);
        let fill = Fill { trade_id, price: Decimal::TEN, quantity: Decimal::ONE };
        order.fills.push(fill.clone());
        if order.filled() >= order.quantity {
            order.state = VenueState::Filled;
        }
        self.tell(&id, Some(fill), None);
    }

    pub fn cancel_at_venue(&mut self, id: &str) {
        self.end(&format!("x{id}").into(), VenueState::Cancelled);
    }

    /// The venue tells how an order stands: as an answer, or by the stream where it is up.
    pub fn tell(&mut self, id: &Name, fill: Option<Fill>, ticket: Option<Ticket>) {
        if ticket.is_none() && !self.link {
            return;
        }
        let order = &self.venue[id];
        let listed = order.fills.iter().filter(|fill| !self.hides || self.is_listed(fill));
        let filled = listed.map(|fill| fill.quantity).sum();
        let list = fill.is_some() && ticket.is_some();
        let mut seen = ExecReport {
            ticket,
            instrument: BTC.into(),
            // As at some venues: a fill in a list is told under the venue's id alone.
            venue_client_id: if list { "" } else { id }.into(),
            venue_order_id: order.id.as_ref().into(),
            side: Some(Side::Buy),
            state: (!list).then_some(order.state),
            quantity: (!list).then_some(order.quantity),
            filled: (!list).then_some(filled),
            ts_event: (!list).then_some(self.now),
            ts_recv: self.now,
            ..ExecReport::default()
        };
        if let Some(Fill { trade_id, price, quantity }) = fill {
            seen.trade_id.push_str(&trade_id);
            (seen.last_price, seen.last_quantity) = (price, quantity);
        }
        let report = self.report(seen);
        self.heard.push_back(report);
    }

    /// What the machine tells, in an object of the pool.
    pub fn report(&mut self, seen: ExecReport) -> Heard {
        let mut report = self.reports.try_acquire().expect("as many as there may be");
        *report = seen;
        Heard::Order(report)
    }

    pub fn set_link(&mut self, up: bool) {
        if std::mem::replace(&mut self.link, up) != up {
            self.heard.push_back(Heard::Listening(up));
        }
    }

    /// The desk hears one thing.
    pub fn hear(&mut self) {
        let Some(heard) = self.heard.pop_front() else { return };
        if self.exhausted > 0 && matches!(heard, Heard::Order(_)) {
            self.exhausted -= 1;
            return self.desk.missed(P, self.now);
        }
        self.desk.heard(P, heard, self.now);
    }

    /// The consumer reads what was delivered, and perhaps acknowledges it.
    pub fn read(&mut self, acknowledge: bool) {
        while let Some(delivery) = self.desk.take_delivery() {
            let in_order = self.read.last().is_none_or(|(last, _)| *last < delivery.position);
            assert!(in_order, "position {} again", delivery.position);
            let written = &self.facts[delivery.position as usize - 1];
            assert_eq!(*written, Fact::Report((*delivery.report).clone()));
            self.read.push((delivery.position, (*delivery.report).clone()));
        }
        if let Some((last, _)) = self.read.last().filter(|_| acknowledge) {
            self.acknowledged = *last;
            self.desk.acknowledge("c", *last, self.now);
        }
        self.look_up();
        while let Some(reply) = self.desk.take_reply() {
            let new = matches!(reply.answer, ReplyAnswer::Denied(why) if why != Denial::IdReused)
                && reply.intent == Intent::Submit;
            assert!(!new || self.stored(&reply.order).is_none(), "{reply:?} of a stored order");
            self.replied.push(reply);
        }
        while let Some(note) = self.desk.take_note() {
            self.notes.push(note);
        }
        while let Some(of) = self.desk.take_stranger() {
            let stored = self.owner(&of).map(|key| self.with_facts(&key));
            self.desk.stranger_looked_up(&of, stored, self.now);
        }
    }

    /// Whose a venue order is by the ledger.
    fn owner(&self, of: &VenueName) -> Option<OrderKey> {
        let owner = self.facts.iter().find(|fact| match fact {
            Fact::Report(report) => report.venue_order_id == of.venue_order_id,
            Fact::Submit(submit) => of.venue_client_id.as_ref() == Some(&submit.venue_client_id),
            _ => false,
        });
        owner.and_then(Fact::order).cloned()
    }

    fn with_facts(&self, key: &OrderKey) -> (Submit, Vec<Fact>) {
        let own = |fact: &&Fact| fact.order() == Some(key);
        (self.stored(key).unwrap().submit, self.facts.iter().filter(own).cloned().collect())
    }

    /// The ledger answers what the desk wants to know of orders.
    pub fn look_up(&mut self) {
        while let Some(key) = self.desk.take_lookup() {
            let stored = self.stored(&key);
            self.desk.looked_up(&key, stored.as_ref());
        }
    }

    pub fn tick(&mut self, ms: u64) {
        self.now = self.now + Duration::from_millis(ms);
        self.desk.on_timer(self.now);
        for (key, order) in self.desk.orders().iter() {
            let over = order.standing().is_terminal();
            assert!(!over || order.ask_at().is_none(), "{key} is over and still asked about");
        }
    }

    /// What is due is done, and everything that may leave does: nothing is due any more.
    pub fn is_not_busy(&mut self) {
        self.tick(0);
        let mut taken = usize::MAX;
        while std::mem::replace(&mut taken, self.wire.len()) != self.wire.len() {
            self.take();
        }
        let due = self.desk.deadline(self.now);
        assert!(due.is_none_or(|at| at > self.now), "{due:?} is not after {:?}", self.now);
    }

    /// The process is killed and starts again. What was instructed may be on the wire still; what
    /// was heard or on the way to the ledger is gone. The consumer goes on behind its last
    /// acknowledgement.
    pub fn crash(&mut self) {
        self.queue.clear();
        self.replies.clear();
        self.heard.clear();
        let arrived: Vec<Instruction> = self.wire.drain(..).collect();
        for instruction in arrived {
            self.carry_out(&instruction);
        }
        self.heard.clear();
        self.stuck = false;
        self.durable = self.facts.len();
        // What never got into the ledger was never wanted: wanted again it is a new order.
        let known = |key: &OrderKey| {
            self.facts.iter().any(|fact| matches!(fact, Fact::Submit(s) if s.order == *key))
        };
        self.forbidden.retain(known);
        let on = self.desk.is_on("c");
        let acknowledged = self.facts.iter().filter_map(|fact| match fact {
            Fact::Acknowledgement(ack) => Some(ack.position),
            _ => None,
        });
        self.acknowledged = acknowledged.max().unwrap_or(0);
        self.desk = Desk::new(self.options);
        self.desk.add_provider(P.into(), profile(), vec![BTC.into()]);
        self.desk.add_consumer("c".into(), on, self.acknowledged, None);
        let keys = self.facts.iter().filter_map(|fact| match fact {
            Fact::Submit(submit) => Some(submit.order.clone()),
            _ => None,
        });
        for key in keys.collect::<Vec<_>>() {
            if self.remembers || self.stored(&key).unwrap().is_open() {
                let (submit, facts) = self.with_facts(&key);
                self.desk.restore(submit, &facts, self.now).unwrap();
            }
        }
        if let Some(last) = self.facts.last() {
            self.desk.restore_until(last.ts());
        }
        let fills = self.facts.iter().filter_map(|fact| match fact {
            Fact::Report(report) => report.fill.as_ref().map(|fill| fill.quantity),
            _ => None,
        });
        // All of them buy.
        self.desk.restore_position(("c".into(), P.into(), BTC.into()), fills.sum());
        // What is behind the cursor is read back from the ledger.
        self.read.retain(|(position, _)| *position <= self.acknowledged);
        for (at, fact) in self.facts.iter().enumerate().skip(self.acknowledged as usize) {
            if let Fact::Report(report) = fact {
                self.read.push((at as u64 + 1, report.clone()));
            }
        }
        self.link = true;
        self.heard.push_back(Heard::Listening(true));
    }

    /// Everything goes on for so many rounds.
    pub fn rounds(&mut self, count: usize) {
        for _ in 0..count {
            self.append();
            self.write();
            (0..4).for_each(|_| self.reply());
            self.take();
            self.venue();
            self.hear();
        }
    }

    /// Everything goes on for a while, and the consumer reads.
    pub fn run(&mut self) {
        self.rounds(20);
        self.read(true);
    }

    /// Everything works again and all that is under way comes to its end.
    pub fn settle(&mut self) {
        self.set_stuck(false);
        self.set_link(true);
        (self.lose_answer, self.lose_request) = (false, false);
        self.exhausted = 0;
        for _ in 0..120 {
            for _ in 0..40 {
                self.append();
                self.write();
                self.reply();
                self.take();
                self.venue();
                self.hear();
            }
            self.read(true);
            self.tick(2_000);
        }
    }

    /// What has to be true when everything has settled.
    pub fn check(&self) {
        let reports = self.facts.iter().enumerate().filter_map(|(at, fact)| match fact {
            Fact::Report(report) => Some((at as u64 + 1, report.clone())),
            _ => None,
        });
        assert_eq!(self.read, reports.collect::<Vec<_>>(), "what was read is not the ledger");
        let mut position = Decimal::ZERO;
        for (id, order) in &self.venue {
            let key = key(id.strip_prefix('x').unwrap());
            let stored = self.stored(&key).expect("an order that the ledger does not know");
            let report = stored.report.expect("an order without a report");
            let told = self.read.iter().filter(|(_, report)| report.order == key);
            let told: Vec<Fill> = told.filter_map(|(_, report)| report.fill.clone()).collect();
            let mut fills = order.fills.clone();
            let mut sorted = told.clone();
            fills.sort_by(|a, b| a.trade_id.cmp(&b.trade_id));
            sorted.sort_by(|a, b| a.trade_id.cmp(&b.trade_id));
            assert_eq!(sorted, fills, "fills of {key}");
            assert_eq!(report.filled, order.filled(), "{key} {report:?} {order:?}");
            assert_eq!(report.quantity, order.quantity, "{key}");
            let state = match order.state {
                VenueState::Open if order.fills.is_empty() => OrderState::Acknowledged,
                VenueState::Open => OrderState::Partial,
                VenueState::Filled => OrderState::Filled,
                _ => OrderState::Cancelled,
            };
            assert_eq!(report.state, state, "{key}");
            position += order.filled();
        }
        assert_eq!(self.desk.position("c", P, BTC), position);
        for fact in &self.facts {
            let Fact::Submit(submit) = fact else { continue };
            if !self.venue.contains_key(&submit.venue_client_id) {
                let stored = self.stored(&submit.order).unwrap();
                let state = stored.report.map(|report| report.state);
                assert_eq!(state, Some(OrderState::Rejected), "{}", submit.order);
            }
        }
    }
}

fn ticket_of(instruction: &Instruction) -> Option<Ticket> {
    match instruction {
        Instruction::Listen { .. } => None,
        Instruction::Place { ticket, .. }
        | Instruction::Cancel { ticket, .. }
        | Instruction::Amend { ticket, .. }
        | Instruction::Query { ticket, .. }
        | Instruction::OpenOrders { ticket }
        | Instruction::Fills { ticket, .. }
        | Instruction::Balances { ticket }
        | Instruction::CancelAll { ticket, .. }
        | Instruction::DeadMan { ticket, .. } => Some(*ticket),
    }
}
