//! A stream's side that the answers come in at: what was asked in order is answered in order, news beside it.
//!
//! A strand also knows since when something lies ready that its client does not take: those who do not read are cut.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use csroute_node::Completion;

/// A stream's answers. Bounded by the stream's window: what is asked and not taken yet.
#[derive(Debug, Default)]
pub(crate) struct Strand(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// In the order asked; None: not answered yet.
    acts: VecDeque<Option<Completion>>,
    /// The number of the first of them.
    first: u32,
    news: Option<Completion>,
    waker: Option<Waker>,
    /// The tick at which something was there to be taken; 0: nothing is.
    ready_at: u64,
    cut: bool,
}

/// What a stream sends next.
#[derive(Debug)]
pub(crate) enum Next {
    /// The answer to the oldest act.
    Act(Completion),
    /// What a watcher hears.
    News(Completion),
    /// Nothing yet; so many acts are not answered.
    Nothing(usize),
    /// It was cut.
    Cut,
}

impl Strand {
    /// A place for the answer to what is asked now.
    pub fn ask(&self) -> u32 {
        let mut inner = self.lock();
        inner.acts.push_back(None);
        inner.first.wrapping_add(inner.acts.len() as u32 - 1)
    }

    /// An act's answer.
    pub fn answer(&self, number: u32, answer: Completion, tick: u64) {
        let mut inner = self.lock();
        let at = number.wrapping_sub(inner.first) as usize;
        if let Some(place) = inner.acts.get_mut(at) {
            *place = Some(answer);
        }
        if at == 0 {
            inner.wake(tick);
        }
    }

    /// A watcher's news.
    pub fn news(&self, news: Completion, tick: u64) {
        let mut inner = self.lock();
        inner.news = Some(news);
        inner.wake(tick);
    }

    /// Asks its stream to look again.
    pub fn wake(&self) {
        if let Some(waker) = self.lock().waker.take() {
            waker.wake();
        }
    }

    /// How many acts are asked and not taken.
    pub fn asked(&self) -> usize {
        self.lock().acts.len()
    }

    /// Takes what is next; without any, the waker is kept.
    pub fn next(&self, waker: &Waker, tick: u64) -> Next {
        let mut inner = self.lock();
        if inner.cut {
            return Next::Cut;
        }
        inner.ready_at = tick;
        if let Some(Some(_)) = inner.acts.front()
            && let Some(Some(answer)) = inner.acts.pop_front()
        {
            inner.first = inner.first.wrapping_add(1);
            return Next::Act(answer);
        }
        if let Some(news) = inner.news.take() {
            return Next::News(news);
        }
        if !inner.waker.as_ref().is_some_and(|kept| kept.will_wake(waker)) {
            inner.waker = Some(waker.clone());
        }
        inner.ready_at = 0;
        Next::Nothing(inner.acts.len())
    }

    /// Something was handed to the transport, which asks for more when that is on its way.
    pub fn handed_over(&self, tick: u64) {
        self.lock().ready_at = tick;
    }

    /// Cuts it if what is there was not taken since before this tick. True if it is cut now.
    pub fn cut_unread(&self, before: u64) -> bool {
        let mut inner = self.lock();
        let unread = inner.ready_at != 0 && inner.ready_at < before && !inner.cut;
        if unread {
            inner.cut = true;
            inner.acts = VecDeque::new();
            inner.news = None;
            inner.wake(before);
        }
        unread
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn wake(&mut self, tick: u64) {
        if self.ready_at == 0 {
            self.ready_at = tick;
        }
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(token: u64) -> Completion {
        Completion {
            token,
            grpc_code: 0,
            bytes: Vec::new(),
        }
    }

    #[test]
    fn answers_leave_in_the_order_asked_and_news_beside_them() {
        let strand = Strand::default();
        let waker = Waker::noop();
        let (first, second) = (strand.ask(), strand.ask());
        strand.answer(second, done(2), 1);
        assert!(matches!(strand.next(waker, 1), Next::Nothing(2)));
        strand.news(done(9), 1);
        assert!(matches!(strand.next(waker, 1), Next::News(Completion { token: 9, .. })));
        strand.answer(first, done(1), 1);
        assert!(matches!(strand.next(waker, 1), Next::Act(Completion { token: 1, .. })));
        assert!(matches!(strand.next(waker, 1), Next::Act(Completion { token: 2, .. })));
        assert!(matches!(strand.next(waker, 1), Next::Nothing(0)));
    }

    #[test]
    fn only_what_lies_unread_is_cut() {
        let strand = Strand::default();
        let asked = strand.ask();
        assert!(!strand.cut_unread(100), "nothing is there to be read");
        strand.answer(asked, done(1), 5);
        assert!(!strand.cut_unread(5));
        assert!(strand.cut_unread(6));
        assert!(!strand.cut_unread(7), "once");
        assert!(matches!(strand.next(Waker::noop(), 7), Next::Cut));
    }
}
