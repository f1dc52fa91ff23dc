//! Whose turn it is: places that owners share, and lines of those who wait for one.
//!
//! There are so many places, and no owner has more than its share of them. What finds none waits in the line of its owner.
//! A place that comes free goes to the owner that has the fewest, and among those to the one whose last turn is longest ago;
//! within a line, first come is first served. Lines are bounded together: where there is no room, the newest of the longest
//! line gives way to an owner that has fewer waiting, so that nobody fills the room for all.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// Who waits, for as long as it does.
pub(super) type Ticket = u64;

/// Places and lines. It decides and does nothing else.
#[derive(Debug)]
pub(super) struct Turns<O> {
    places: usize,
    share: usize,
    room: usize,
    /// Owners that have a place or wait for one.
    lines: HashMap<O, Line>,
    taken: usize,
    waiting: usize,
    tickets: Ticket,
    given: u64,
}

#[derive(Debug, Default)]
struct Line {
    taken: usize,
    waiting: VecDeque<Ticket>,
    /// Which turn was its last.
    last: u64,
}

/// What becomes of one that arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// It has a place.
    Place,
    /// It waits; where `instead_of` is there, that one does no more.
    Waits {
        ticket: Ticket,
        instead_of: Option<Ticket>,
    },
    /// There is no room to wait in.
    Refused,
}

impl<O: Copy + Eq + Hash + Ord> Turns<O> {
    /// `places` in all, at most `share` of them for one owner, and `room` for those who wait, of all owners together.
    pub(super) fn new(places: usize, share: usize, room: usize) -> Self {
        Self {
            places,
            share,
            room,
            lines: HashMap::new(),
            taken: 0,
            waiting: 0,
            tickets: 0,
            given: 0,
        }
    }

    /// How many places are taken.
    pub(super) fn taken(&self) -> usize {
        self.taken
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// One more of `owner`.
    pub(super) fn arrive(&mut self, owner: O) -> Arrival {
        // Whoever waits while a place is free has its share already, so that nobody is overtaken here.
        if self.taken < self.places && self.taken_by(owner) < self.share {
            self.take(owner);
            return Arrival::Place;
        }
        let instead_of = if self.waiting < self.room {
            None
        } else {
            let Some(newest) = self.newest_of_longer_line(owner) else {
                return Arrival::Refused;
            };
            Some(newest)
        };
        self.tickets += 1;
        self.waiting += 1;
        let ticket = self.tickets;
        self.line(owner).waiting.push_back(ticket);
        Arrival::Waits { ticket, instead_of }
    }

    /// A place of `owner` comes free; gives those who have a place now.
    pub(super) fn leave(&mut self, owner: O) -> Vec<(O, Ticket)> {
        if let Some(line) = self.lines.get_mut(&owner) {
            line.taken = line.taken.saturating_sub(1);
            self.taken = self.taken.saturating_sub(1);
        }
        let mut served = Vec::new();
        while self.taken < self.places
            && let Some(next) = self.next_owner()
            && let Some(ticket) = self.line(next).waiting.pop_front()
        {
            self.waiting -= 1;
            self.take(next);
            served.push((next, ticket));
        }
        self.forget_if_idle(owner);
        served
    }

    /// One of `owner` waits no more.
    pub(super) fn give_up(&mut self, owner: O, ticket: Ticket) {
        if let Some(line) = self.lines.get_mut(&owner)
            && let Some(at) = line.waiting.iter().position(|it| *it == ticket)
        {
            line.waiting.remove(at);
            self.waiting -= 1;
        }
        self.forget_if_idle(owner);
    }

    fn line(&mut self, owner: O) -> &mut Line {
        self.lines.entry(owner).or_default()
    }

    fn taken_by(&self, owner: O) -> usize {
        self.lines.get(&owner).map_or(0, |line| line.taken)
    }

    fn take(&mut self, owner: O) {
        self.given += 1;
        self.taken += 1;
        let turn = self.given;
        let line = self.line(owner);
        line.taken += 1;
        line.last = turn;
    }

    /// The owner whose turn it is.
    fn next_owner(&self) -> Option<O> {
        let can = |(_, line): &(&O, &Line)| !line.waiting.is_empty() && line.taken < self.share;
        let all = self.lines.iter().filter(can);
        all.min_by_key(|(owner, line)| (line.taken, line.last, **owner))
            .map(|(owner, _)| *owner)
    }

    /// Takes the newest out of the longest line, if that is longer than the line of `owner` would be.
    fn newest_of_longer_line(&mut self, owner: O) -> Option<Ticket> {
        let own = self.lines.get(&owner).map_or(0, |line| line.waiting.len());
        let longest = self
            .lines
            .iter_mut()
            .max_by_key(|(owner, line)| (line.waiting.len(), **owner));
        let (_, line) = longest?;
        if line.waiting.len() <= own + 1 {
            return None;
        }
        let newest = line.waiting.pop_back()?;
        self.waiting -= 1;
        Some(newest)
    }

    fn forget_if_idle(&mut self, owner: O) {
        let is_idle = |line: &Line| line.taken == 0 && line.waiting.is_empty();
        if self.lines.get(&owner).is_some_and(is_idle) {
            self.lines.remove(&owner);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ticket(arrival: Arrival) -> Ticket {
        let Arrival::Waits { ticket, .. } = arrival else {
            panic!("{arrival:?}")
        };
        ticket
    }

    #[test]
    fn an_owner_has_its_share_and_another_is_served_beside_it() {
        let mut turns = Turns::new(4, 2, 8);
        assert_eq!(turns.arrive('a'), Arrival::Place);
        assert_eq!(turns.arrive('a'), Arrival::Place);
        let third = ticket(turns.arrive('a'));
        assert_eq!(turns.arrive('b'), Arrival::Place);
        assert_eq!(turns.leave('b'), []);
        assert_eq!(turns.leave('a'), [('a', third)]);
    }

    #[test]
    fn those_who_wait_take_turns_however_many_one_of_them_brought() {
        let mut turns = Turns::new(1, 1, 100);
        assert_eq!(turns.arrive('a'), Arrival::Place);
        for _ in 0..10 {
            turns.arrive('a');
        }
        for _ in 0..3 {
            turns.arrive('b');
            turns.arrive('c');
        }
        let mut order = String::new();
        let mut at = 'a';
        while let Some((owner, _)) = turns.leave(at).first() {
            at = *owner;
            order.push(at);
        }
        assert_eq!(order, "bcabcabcaaaaaaaa");
        assert_eq!((turns.waiting(), turns.lines.len()), (0, 0));
    }

    #[test]
    fn a_full_room_makes_way_for_whoever_has_less_in_it() {
        let mut turns = Turns::new(1, 1, 3);
        turns.arrive('a');
        turns.arrive('a');
        turns.arrive('a');
        let newest = ticket(turns.arrive('a'));
        assert_eq!(turns.arrive('a'), Arrival::Refused);
        let Arrival::Waits { instead_of, .. } = turns.arrive('b') else {
            panic!("b waits for nothing yet")
        };
        assert_eq!(instead_of, Some(newest));
        assert_eq!(turns.arrive('b'), Arrival::Refused, "as many as a");
        assert_eq!(turns.waiting(), 3);
        let mut none = Turns::new(1, 1, 0);
        assert_eq!(none.arrive('a'), Arrival::Place);
        assert_eq!(none.arrive('b'), Arrival::Refused);
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Arrive(u8),
        Leave(usize),
        GiveUp(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            3 => (0..5u8).prop_map(Step::Arrive),
            2 => any::<usize>().prop_map(Step::Leave),
            1 => any::<usize>().prop_map(Step::GiveUp),
        ];
        proptest::collection::vec(step, 0..200)
    }

    /// What the outside knows of one queue.
    #[derive(Default)]
    struct Seen {
        has_place: Vec<u8>,
        waits: Vec<(u8, Ticket)>,
    }

    impl Seen {
        fn places_of(&self, owner: u8) -> usize {
            let of = self.has_place.iter().map(|it| usize::from(*it == owner));
            of.sum()
        }

        fn step(&mut self, turns: &mut Turns<u8>, share: usize, step: Step) {
            match step {
                Step::Arrive(owner) => match turns.arrive(owner) {
                    Arrival::Place => self.has_place.push(owner),
                    Arrival::Waits { ticket, instead_of } => {
                        self.waits.retain(|(_, it)| Some(*it) != instead_of);
                        self.waits.push((owner, ticket));
                    }
                    Arrival::Refused => {}
                },
                Step::Leave(nth) if !self.has_place.is_empty() => {
                    let left = self.has_place.remove(nth % self.has_place.len());
                    for (owner, ticket) in turns.leave(left) {
                        let mine = self.places_of(owner);
                        for (other, _) in &self.waits {
                            let theirs = self.places_of(*other);
                            assert!(mine <= theirs || theirs >= share, "{other} has fewer");
                        }
                        let first = self.waits.iter().position(|(it, _)| *it == owner);
                        assert_eq!(self.waits.remove(first.unwrap()), (owner, ticket));
                        self.has_place.push(owner);
                    }
                }
                Step::GiveUp(nth) if !self.waits.is_empty() => {
                    let (owner, ticket) = self.waits.remove(nth % self.waits.len());
                    turns.give_up(owner, ticket);
                }
                Step::Leave(_) | Step::GiveUp(_) => {}
            }
        }
    }

    proptest! {
        #[test]
        fn limits_hold_nobody_waits_beside_a_place_and_turns_are_fair(
            (places, share, room) in (1..6usize, 1..4usize, 0..9usize),
            steps in steps(),
        ) {
            let share = share.min(places);
            let (mut turns, mut seen) = (Turns::new(places, share, room), Seen::default());
            for step in steps {
                seen.step(&mut turns, share, step);
                prop_assert_eq!(turns.waiting(), seen.waits.len());
                prop_assert!(seen.waits.len() <= room && seen.has_place.len() <= places);
                for owner in 0..5 {
                    prop_assert!(seen.places_of(owner) <= share);
                    let is_idle = seen.places_of(owner) == 0 && seen.waits.iter().all(|(it, _)| *it != owner);
                    prop_assert_eq!(!turns.lines.contains_key(&owner), is_idle);
                }
                let may = |owner: u8| seen.has_place.len() < places && seen.places_of(owner) < share;
                prop_assert!(seen.waits.iter().all(|(owner, _)| !may(*owner)), "one waits beside a free place");
            }
        }
    }
}
