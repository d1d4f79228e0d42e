//! Execution and control events on their way to the one consumer that they are for.

use model::{ConsumerId, Error, Event, Nanos};

use super::Shard;
use crate::exec_log::{LogRequest, Page};

impl Shard {
    /// Lets a consumer go on where it was: it gets what the log has behind that position, then what
    /// follows. To be called once, before the first event of its executions; without it a consumer
    /// begins with what comes next.
    pub fn resume(&mut self, consumer: ConsumerId, after: u64) {
        if let Some(outlet) = self.fanout.outlet_mut(consumer) {
            outlet.critically(|lane, _| (lane.resume(after), false));
        }
    }

    /// Delivers an execution event that the log has: its header's `seq_provider` is its position
    /// there. A consumer's positions grow from call to call. What its window has no room for is read
    /// back from the log; what the consumer got from there already does not come again.
    pub fn execution(&mut self, consumer: ConsumerId, mut event: Event, now: Nanos) {
        let Some(position) = event.header.seq_provider else {
            tracing::error!(%consumer, "an execution event without its position in the log");
            return;
        };
        self.stamp(&mut event, now);
        if let Some(outlet) = self.fanout.outlet_mut(consumer) {
            outlet.critically(|lane, counts| ((), lane.execution(position, event, counts)));
        }
    }

    /// Opens a command of a consumer: there is room for its answers from here on.
    ///
    /// # Errors
    /// [`Remedy::Reject`](model::Remedy::Reject) where as many of its commands as may be are open,
    /// or it is not there.
    pub fn open_command(&mut self, consumer: ConsumerId) -> Result<(), Error> {
        let outlet = self.fanout.outlet_mut(consumer);
        let opened =
            outlet.and_then(|outlet| outlet.critically(|lane, _| (lane.open_command(), false)));
        opened.unwrap_or_else(|| Err(Error::reject(format!("consumer {consumer} is not there"))))
    }

    /// Answers a command that was opened, with its ack or its result. With its `last` answer, once
    /// that is on its way, the command is closed.
    ///
    /// # Errors
    /// [`Remedy::Stop`](model::Remedy::Stop), and the event is not delivered, where no open command
    /// has an answer left.
    pub fn answer(
        &mut self,
        consumer: ConsumerId,
        mut event: Event,
        last: bool,
        now: Nanos,
    ) -> Result<(), Error> {
        self.stamp(&mut event, now);
        let Some(outlet) = self.fanout.outlet_mut(consumer) else { return Ok(()) };
        let taken = outlet.critically(|lane, _| (lane.answer(event, last).is_ok(), false));
        if taken.unwrap_or(true) {
            return Ok(());
        }
        Err(Error::stop(format!("an answer for consumer {consumer}, who has no open command left")))
    }

    /// Whether [`notice`](Self::notice) would be taken; that of a consumer who left always is.
    #[must_use]
    pub fn has_notice_room(&self, consumer: ConsumerId) -> bool {
        let mut outlets = self.fanout.outlets().iter();
        let outlet = outlets.find(|outlet| outlet.consumer() == consumer);
        outlet.is_none_or(|outlet| outlet.critical().has_notice_room())
    }

    /// Tells a consumer something beside its log and its commands: an answer to a request about an
    /// order, news of an account.
    ///
    /// # Errors
    /// The event, where too many wait for the consumer to read them.
    pub fn notice(
        &mut self,
        consumer: ConsumerId,
        mut event: Event,
        now: Nanos,
    ) -> Result<(), Box<Event>> {
        self.stamp(&mut event, now);
        let Some(outlet) = self.fanout.outlet_mut(consumer) else { return Ok(()) };
        outlet.critically(|lane, _| (lane.notice(event), false)).unwrap_or(Ok(()))
    }

    /// What the log of execution events is to be asked or told next; to be called after each turn,
    /// until there is nothing.
    pub fn log_request(&mut self) -> Option<LogRequest> {
        self.fanout.log_request()
    }

    /// The log's answer to a request to read.
    pub fn log_page(&mut self, page: Page, now: Nanos) {
        let (first, version) = (self.trace_id, self.fanout.version());
        let mut trace_id = first;
        if let Some(outlet) = self.fanout.outlet_mut(page.consumer) {
            let stamp = |event: &mut Event| {
                trace_id += 1;
                event.header.trace_id = trace_id;
                event.header.ts_emit = now;
                event.header.routing_version = version;
            };
            outlet.critically(|lane, counts| ((), lane.page(page, now, stamp, counts) > 0));
        }
        self.trace_id = trace_id;
    }

    /// Whether a consumer does not keep up with its own executions: no new order of its may go, and
    /// cancels may.
    #[must_use]
    pub fn is_stalled(&self, consumer: ConsumerId) -> bool {
        let mut outlets = self.fanout.outlets().iter();
        outlets.any(|outlet| outlet.consumer() == consumer && outlet.critical().is_stalled())
    }

    fn stamp(&mut self, event: &mut Event, now: Nanos) {
        event.header.trace_id = self.next_trace();
        event.header.ts_emit = now;
        event.header.routing_version = self.fanout.version();
    }
}
