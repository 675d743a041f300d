//! Whose turn it is: deficit round robin by cost among shops, and among the resources of each.

use std::collections::VecDeque;

/// Interactive work goes first until it had one part of so many.
const PARTS: u64 = 4;

/// So many interactive requests may go first in a row after a time without any.
const SAVED: u64 = 10;

/// An ordinary request earns its cost, an interactive one pays what the other three parts cost.
const MOST_CREDIT: u64 = SAVED * (PARTS - 1);

/// One request that waits for its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// Names it; unique in its queue.
    pub id: u64,
    /// What it takes from the budget, in the vendor's unit; zero counts as one.
    pub cost: u64,
    /// Somebody waits for the answer: a webhook's record, a look at what was just written.
    pub urgent: bool,
}

/// The requests that wait for one budget. Every shop gets the same share of it while it has something
/// to send, whatever each request costs, and so does every resource within a shop's share. Interactive
/// work goes first up to a quarter.
#[derive(Clone, Debug, Default)]
pub struct FairQueue {
    shops: Rota<Box<str>, Rota<Box<str>, VecDeque<Ticket>>>,
    urgent: Rota<Box<str>, VecDeque<Ticket>>,
    /// What interactive work may still take first; untouched at the beginning.
    credit: Option<u64>,
}

impl FairQueue {
    /// Queues a request of a shop for a resource of it.
    pub fn push(&mut self, shop: &str, resource: &str, ticket: Ticket) {
        let cost = ticket.cost.max(1);
        let ticket = Ticket { cost, ..ticket };
        if ticket.urgent {
            self.urgent.of(shop).push_back(ticket);
        } else {
            self.shops.of(shop).of(resource).push_back(ticket);
        }
    }

    /// Takes a request out that is not to be sent any more.
    pub fn remove(&mut self, id: u64) {
        let drop_it = |tickets: &mut VecDeque<Ticket>| tickets.retain(|ticket| ticket.id != id);
        self.urgent.each(drop_it);
        self.urgent.retain(|tickets| !tickets.is_empty());
        self.shops.each(|shop| {
            shop.each(drop_it);
            shop.retain(|tickets| !tickets.is_empty());
        });
        self.shops.retain(|shop| !shop.turns.is_empty());
    }

    /// Whose turn it is among those that could be sent now; the others are skipped, not waited for.
    pub fn first(&self, ready: impl Fn(u64) -> bool) -> Option<u64> {
        let ready = |ticket: &Ticket| ready(ticket.id);
        let urgent = self.urgent.pick(|tickets| head(tickets, &ready));
        let ordinary = self.shops.pick(|shop| {
            let inner = shop.pick(|tickets| head(tickets, &ready))?;
            Some(inner.ticket)
        });
        match (urgent, ordinary) {
            (Some(urgent), Some(_)) if self.may_go_first(urgent.ticket.cost) => urgent,
            (Some(urgent), None) => urgent,
            (_, ordinary) => ordinary?,
        }
        .ticket
        .id
        .into()
    }

    /// Takes out the request whose turn [`FairQueue::first`] said it is, and charges its shop and its
    /// resource.
    pub fn serve(&mut self, ready: impl Fn(u64) -> bool) {
        let Some(id) = self.first(&ready) else { return };
        let ready = |ticket: &Ticket| ready(ticket.id);
        let urgent = self.urgent.pick(|tickets| head(tickets, &ready));
        let credit = self.credit();
        let credit = match urgent.filter(|picked| picked.ticket.id == id) {
            Some(picked) => {
                self.urgent.charge(&picked, |tickets| head(tickets, &ready));
                credit.saturating_sub(picked.ticket.cost * (PARTS - 1))
            }
            None => credit + self.charge_ordinary(&ready),
        };
        self.credit = Some(credit.min(MOST_CREDIT));
        self.remove(id);
    }

    fn charge_ordinary(&mut self, ready: &impl Fn(&Ticket) -> bool) -> u64 {
        let next = |shop: &Rota<Box<str>, VecDeque<Ticket>>| {
            Some(shop.pick(|tickets| head(tickets, ready))?.ticket)
        };
        let Some(picked) = self.shops.pick(next) else {
            return 0;
        };
        // The shop first: charging it moves it to the ring's end.
        self.shops.charge(&picked, next);
        if let Some(shop) = self.shops.turns.back_mut()
            && let Some(inner) = shop.of.pick(|tickets| head(tickets, ready))
        {
            shop.of.charge(&inner, |tickets| head(tickets, ready));
        }
        picked.ticket.cost
    }

    fn may_go_first(&self, cost: u64) -> bool {
        self.credit() >= cost * (PARTS - 1)
    }

    fn credit(&self) -> u64 {
        self.credit.unwrap_or(MOST_CREDIT)
    }
}

fn head(tickets: &VecDeque<Ticket>, ready: &impl Fn(&Ticket) -> bool) -> Option<Ticket> {
    tickets.iter().find(|ticket| ready(ticket)).copied()
}

/// Those who take turns; the ring begins with whoever waited longest for theirs.
#[derive(Clone, Debug)]
struct Rota<K, T> {
    turns: VecDeque<Turn<K, T>>,
}

#[derive(Clone, Debug)]
struct Turn<K, T> {
    key: K,
    /// What it may spend by now.
    deficit: u64,
    of: T,
}

/// A choice: its place in the ring, the rounds that pass until it can pay, and what it sends.
#[derive(Clone, Copy, Debug)]
struct Picked {
    at: usize,
    rounds: u64,
    ticket: Ticket,
}

impl<K, T> Default for Rota<K, T> {
    fn default() -> Self {
        let turns = VecDeque::new();
        Self { turns }
    }
}

impl<T: Default> Rota<Box<str>, T> {
    fn of(&mut self, key: &str) -> &mut T {
        let at = self.turns.iter().position(|turn| *turn.key == *key);
        let at = at.unwrap_or_else(|| {
            self.turns.push_back(Turn {
                key: key.into(),
                deficit: 0,
                of: T::default(),
            });
            self.turns.len() - 1
        });
        &mut self.turns[at].of
    }
}

impl<K, T> Rota<K, T> {
    /// The first who can pay for what it would send, after as few rounds as possible.
    fn pick(&self, next: impl Fn(&T) -> Option<Ticket>) -> Option<Picked> {
        let turns = self.turns.iter().enumerate();
        let able = turns.filter_map(|(at, turn)| {
            let ticket = next(&turn.of)?;
            let rounds = ticket.cost.saturating_sub(turn.deficit);
            Some(Picked { at, rounds, ticket })
        });
        able.min_by_key(|picked| picked.rounds)
    }

    /// Lets the rounds pass for all who have something to send, and takes the price from the chosen one,
    /// who goes to the ring's end.
    fn charge(&mut self, picked: &Picked, next: impl Fn(&T) -> Option<Ticket>) {
        for turn in &mut self.turns {
            if next(&turn.of).is_some() {
                turn.deficit += picked.rounds;
            }
        }
        if let Some(mut turn) = self.turns.remove(picked.at) {
            turn.deficit = turn.deficit.saturating_sub(picked.ticket.cost);
            self.turns.push_back(turn);
        }
    }

    fn each(&mut self, change: impl Fn(&mut T)) {
        self.turns.iter_mut().for_each(|turn| change(&mut turn.of));
    }

    /// Who has nothing to send saves nothing up either.
    fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        self.turns.retain(|turn| keep(&turn.of));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// A queue in which everybody always has more of the same to send.
    #[derive(Default)]
    struct Busy {
        queue: FairQueue,
        whose: BTreeMap<u64, (&'static str, &'static str, u64, bool)>,
        next: u64,
    }

    impl Busy {
        fn add(&mut self, shop: &'static str, resource: &'static str, cost: u64, urgent: bool) {
            let id = self.next;
            self.next += 1;
            self.whose.insert(id, (shop, resource, cost, urgent));
            self.queue.push(shop, resource, Ticket { id, cost, urgent });
        }

        /// Points spent by shop, resource and urgency after so many sends.
        fn spent(&mut self, sends: u32) -> BTreeMap<(&'static str, &'static str, bool), u64> {
            let mut spent = BTreeMap::new();
            for _ in 0..sends {
                let id = self.queue.first(|_| true).unwrap();
                self.queue.serve(|_| true);
                let (shop, resource, cost, urgent) = self.whose[&id];
                *spent.entry((shop, resource, urgent)).or_default() += cost;
                self.add(shop, resource, cost, urgent);
            }
            spent
        }
    }

    #[test]
    fn shops_share_evenly_by_cost_however_many_resources_and_requests_each_has() {
        let mut busy = Busy::default();
        busy.add("large", "profiles", 1, false);
        busy.add("large", "events", 1, false);
        busy.add("large", "lists", 4, false);
        (0..20).for_each(|_| busy.add("large", "events", 1, false));
        busy.add("small", "profiles", 10, false);
        let spent = busy.spent(1_000);
        let of = |shop| spent.iter().filter(move |((s, ..), _)| *s == shop);
        let (large, small): (u64, u64) = (
            of("large").map(|(_, n)| n).sum(),
            of("small").map(|(_, n)| n).sum(),
        );
        assert!(large.abs_diff(small) <= 10, "{large} and {small}");
        let resources: Vec<u64> = of("large").map(|(_, points)| *points).collect();
        assert_eq!(resources.len(), 3);
        assert!(
            resources.iter().all(|n| n.abs_diff(large / 3) <= 4),
            "{resources:?}"
        );
    }

    #[test]
    fn interactive_work_goes_first_but_takes_no_more_than_a_quarter() {
        let mut busy = Busy::default();
        busy.add("a", "fill", 1, false);
        busy.add("b", "webhook", 1, true);
        assert_eq!(
            busy.queue.first(|_| true),
            Some(1),
            "after an idle time at once"
        );
        let spent = busy.spent(10_000);
        let urgent = spent[&("b", "webhook", true)];
        assert!((2_500..2_515).contains(&urgent), "{urgent}");
    }

    #[test]
    fn interactive_work_alone_is_not_held_back() {
        let mut busy = Busy::default();
        busy.add("a", "webhook", 1, true);
        assert_eq!(busy.spent(100)[&("a", "webhook", true)], 100);
    }

    #[test]
    fn who_cannot_be_sent_is_skipped_and_saves_nothing_up() {
        let mut queue = FairQueue::default();
        let ticket = |id| Ticket {
            id,
            cost: 1,
            urgent: false,
        };
        (0..4).for_each(|id| queue.push("held", "x", ticket(id)));
        (10..20).for_each(|id| queue.push("free", "x", ticket(id)));
        for id in 10..15 {
            assert_eq!(queue.first(|id| id >= 10), Some(id));
            queue.serve(|id| id >= 10);
        }
        let mut order = Vec::new();
        while let Some(id) = queue.first(|_| true) {
            queue.serve(|_| true);
            order.push(id);
        }
        assert_eq!(order, [0, 15, 1, 16, 2, 17, 3, 18, 19]);
    }

    #[test]
    fn a_request_given_up_leaves_no_trace() {
        let mut queue = FairQueue::default();
        let ticket = Ticket {
            id: 7,
            cost: 1,
            urgent: false,
        };
        queue.push("a", "x", ticket);
        queue.push(
            "a",
            "x",
            Ticket {
                id: 8,
                urgent: true,
                ..ticket
            },
        );
        queue.remove(7);
        queue.remove(8);
        assert_eq!(queue.first(|_| true), None);
        assert!(queue.shops.turns.is_empty() && queue.urgent.turns.is_empty());
    }
}
