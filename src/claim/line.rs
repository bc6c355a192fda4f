//! The line of waiting requests, and the work that is pending.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

use foldhash::quality::RandomState;

/// The most documents that wait to be offered. With more of them every request is asked instead.
pub const OFFERS_MAX: usize = 10_000;
/// The most groups whose condition reads the clock that one tick asks; the next tick goes on behind them.
pub const CLOCK_ASKS: usize = 100;

/// The question of a waiting request. Requests with equal questions are answered alike by any document.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClaimQuestion {
    pub database: i32,
    pub model: Box<str>,
    /// The condition, its arguments, and whatever else decides which documents fulfil it.
    pub text: Box<[u8]>,
    pub reads_clock: bool,
}

/// The outcome of a search for a waiting request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AskedSearch {
    /// The key of a document that fulfils the condition.
    Found(Vec<u8>),
    Nothing,
    /// The search is refused for good: the request was answered.
    Ended,
}

/// The server, as the line of requests sees it.
pub trait Claimants {
    /// The model of the document at a key.
    fn model_at(&mut self, database: i32, key: &[u8]) -> Option<Box<str>>;

    /// Returns true if the document at the key fulfils the condition of the request.
    fn fits(&mut self, request: u64, key: &[u8]) -> bool;

    /// Searches for a document for the request.
    fn search(&mut self, request: u64) -> AskedSearch;

    /// Runs the request, which is answered: on the document at `only`, if that fulfils the condition, or on those it finds
    /// where none is given. Returns false where it found nothing: it goes on waiting.
    fn serve(&mut self, request: u64, only: Option<&[u8]>) -> bool;
}

/// All waiting requests, and the work that is pending for them.
#[derive(Default)]
pub struct ClaimLine {
    /// The number of the last request.
    last: u64,
    /// The group of each request.
    requests: HashMap<u64, u64, RandomState>,
    groups: HashMap<u64, ClaimGroup, RandomState>,
    by_question: HashMap<ClaimQuestion, u64, RandomState>,
    /// The groups of each model in each database, by their first request.
    lines: HashMap<(i32, Box<str>), BTreeMap<u64, u64>, RandomState>,
    offers: VecDeque<Offer>,
    /// The documents among those that no request was asked about yet.
    unbegun: HashSet<(i32, Vec<u8>), RandomState>,
    asks: VecDeque<u64>,
    /// Groups whose condition reads the clock.
    clocked: BTreeSet<u64>,
    /// The group that the last tick asked last.
    ticked: u64,
    /// Flag: a group is asked before the next document is offered, so that neither kind of work waits for ever.
    asks_next: bool,
}

/// Requests with the same question.
struct ClaimGroup {
    question: ClaimQuestion,
    members: BTreeSet<u64>,
    /// Flag: it is among those to be asked.
    is_asked: bool,
    /// The document that its search found last, if it did not fit then: it is not offered twice in a row.
    unfit: Option<Vec<u8>>,
}

/// A document that may fulfil conditions.
struct Offer {
    database: i32,
    key: Vec<u8>,
    /// The model whose requests it is offered to; none before it was looked up.
    model: Option<Box<str>>,
    /// The requests up to this one were asked about it.
    passed: u64,
    /// The group whose search found it.
    found_by: Option<u64>,
    /// Flag: a request that it fits was offered another document first, which comes before it in the request's order.
    is_second: bool,
    /// Flag: it was taken from the queue, or never stood there. Such offers are in front of all others.
    is_begun: bool,
    /// Flag: it fits a request, which was served or has to wait for something else.
    is_fit: bool,
}

impl Offer {
    fn new(database: i32, key: Vec<u8>, found_by: Option<u64>) -> Offer {
        Offer {
            database,
            key,
            model: None,
            passed: 0,
            found_by,
            is_second: false,
            is_begun: false,
            is_fit: false,
        }
    }

    /// As [`Offer::new`], to be offered next.
    fn at_once(database: i32, key: Vec<u8>, found_by: Option<u64>) -> Offer {
        Offer { is_begun: true, ..Offer::new(database, key, found_by) }
    }

    /// It is offered anew, to all: its document or the requests are not the same any more.
    fn restart(&mut self) {
        self.passed = 0;
        self.model = None;
        self.is_second = false;
    }
}

impl ClaimLine {
    /// Adds a request behind all others. It is asked for documents where some may be there already.
    pub fn add(&mut self, question: ClaimQuestion, is_asked: bool) -> u64 {
        self.last += 1;
        let request = self.last;
        let group = match self.by_question.get(&question) {
            Some(group) => *group,
            None => {
                let place = (question.database, question.model.clone());
                self.lines.entry(place).or_default().insert(request, request);
                self.by_question.insert(question.clone(), request);
                if question.reads_clock {
                    self.clocked.insert(request);
                }
                let group =
                    ClaimGroup { question, members: BTreeSet::new(), is_asked: false, unfit: None };
                self.groups.insert(request, group);
                request
            }
        };
        self.requests.insert(request, group);
        self.groups.get_mut(&group).expect("the group is there").members.insert(request);
        if is_asked {
            self.ask(group);
        }
        request
    }

    /// Removes a request, which was answered or left.
    pub fn remove(&mut self, request: u64) {
        let Some(number) = self.requests.remove(&request) else { return };
        let group = self.groups.get_mut(&number).expect("a request has a group");
        let was_first = group.members.first() == Some(&request);
        group.members.remove(&request);
        let first = group.members.first().copied();
        if !was_first {
            return;
        }
        let place = (group.question.database, group.question.model.clone());
        let line = self.lines.get_mut(&place).expect("a group stands in a line");
        line.remove(&request);
        match first {
            Some(first) => drop(line.insert(first, number)),
            None => {
                if line.is_empty() {
                    self.lines.remove(&place);
                }
                let group = self.groups.remove(&number).expect("the group is there");
                self.by_question.remove(&group.question);
                self.clocked.remove(&number);
            }
        }
    }

    /// The number of waiting requests.
    pub fn len(&self) -> usize {
        self.requests.len()
    }

    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// Returns true if a new request for this model may not search by itself: a document that it found might be an
    /// earlier one's.
    pub fn is_busy(&self, database: i32, model: &str) -> bool {
        if self.is_pending() {
            return true;
        }
        let Some(line) = self.lines.get(&(database, Box::from(model))) else { return false };
        !self.clocked.is_empty() && line.values().any(|group| self.clocked.contains(group))
    }

    /// Returns true if a condition of a waiting request reads the clock.
    pub fn has_clocked(&self) -> bool {
        !self.clocked.is_empty()
    }

    /// Returns true if there is something to do.
    pub fn is_pending(&self) -> bool {
        !self.offers.is_empty() || !self.asks.is_empty()
    }

    /// Returns true if nothing is left to do but to offer one document again, which changed while it was being offered.
    pub fn is_left_with_one_begun(&self) -> bool {
        self.asks.is_empty()
            && self.offers.len() == 1
            && self.offers.front().is_some_and(|offer| offer.is_begun)
    }

    /// A document changed, or came to this key.
    pub fn offer(&mut self, database: i32, key: Vec<u8>) {
        if self.requests.is_empty() {
            return;
        }
        // One that is being offered is offered anew, to all. Those that were begun stand in front.
        let mut begun = self.offers.iter_mut().take_while(|offer| offer.is_begun);
        if let Some(offer) = begun.find(|offer| offer.database == database && offer.key == key) {
            return offer.restart();
        }
        if self.offers.len() >= OFFERS_MAX {
            self.offers.clear();
            self.unbegun.clear();
            return self.ask_all();
        }
        if self.unbegun.insert((database, key.clone())) {
            self.offers.push_back(Offer::new(database, key, None));
        }
    }

    /// Any document may have become a match for any request.
    pub fn ask_all(&mut self) {
        self.restart_offers();
        let mut groups: Vec<u64> = self.groups.keys().copied().collect();
        groups.sort_unstable();
        groups.into_iter().for_each(|group| self.ask(group));
    }

    /// Documents that some requests were asked about may fit those now.
    fn restart_offers(&mut self) {
        let begun = self.offers.iter_mut().take_while(|offer| offer.is_begun);
        begun.for_each(Offer::restart);
    }

    /// Any document of the model may have become a match.
    pub fn ask_model(&mut self, model: &str) {
        self.restart_offers();
        let of_model = |(number, group): (&u64, &ClaimGroup)| {
            (*group.question.model == *model).then_some(*number)
        };
        let mut groups: Vec<u64> = self.groups.iter().filter_map(of_model).collect();
        groups.sort_unstable();
        groups.into_iter().for_each(|group| self.ask(group));
    }

    /// Another document may have become a match for the question of this request alone.
    pub fn ask_for(&mut self, request: u64) {
        self.restart_offers();
        if let Some(group) = self.requests.get(&request) {
            self.ask(*group);
        }
    }

    /// Time has passed: asks groups whose conditions read the clock, a bounded number of them.
    pub fn tick(&mut self) {
        let behind =
            self.clocked.range(self.ticked + 1..).chain(self.clocked.range(..=self.ticked));
        let groups: Vec<u64> = behind.copied().take(CLOCK_ASKS).collect();
        if let Some(last) = groups.last() {
            self.ticked = *last;
        }
        groups.into_iter().for_each(|group| self.ask(group));
    }

    fn ask(&mut self, number: u64) {
        if let Some(group) = self.groups.get_mut(&number)
            && !group.is_asked
        {
            group.is_asked = true;
            self.asks.push_back(number);
        }
    }

    /// The models that requests wait for, each once.
    pub fn models(&self) -> Vec<Box<str>> {
        let mut models: Vec<_> = self.lines.keys().map(|(_, model)| model.clone()).collect();
        models.sort_unstable();
        models.dedup();
        models
    }

    /// The first request of each group, in order.
    pub fn firsts(&self) -> Vec<u64> {
        let firsts = self.groups.values().filter_map(|group| group.members.first().copied());
        let mut firsts: Vec<u64> = firsts.collect();
        firsts.sort_unstable();
        firsts
    }

    /// The requests with the question of this one.
    pub fn alike(&self, request: u64) -> Vec<u64> {
        let group = self.requests.get(&request).and_then(|group| self.groups.get(group));
        group.map_or_else(Vec::new, |group| group.members.iter().copied().collect())
    }

    /// Does a bounded piece of the pending work. Returns false if there is none.
    pub fn step(&mut self, claimants: &mut dyn Claimants) -> bool {
        if self.requests.is_empty() {
            self.offers.clear();
            self.unbegun.clear();
            self.asks.clear();
            return false;
        }
        let asks_now = self.offers.is_empty() || self.asks_next;
        if asks_now && let Some(group) = self.asks.pop_front() {
            self.asks_next = false;
            self.ask_group(group, claimants);
            return true;
        }
        self.offer_next(claimants)
    }

    fn ask_group(&mut self, number: u64, claimants: &mut dyn Claimants) {
        let Some(group) = self.groups.get_mut(&number) else { return };
        group.is_asked = false;
        let first = *group.members.first().expect("a group has members");
        let database = group.question.database;
        let unfit = group.unfit.take();
        match claimants.search(first) {
            AskedSearch::Nothing => {}
            AskedSearch::Found(key) if unfit.as_ref() == Some(&key) => {}
            AskedSearch::Ended => {
                self.remove(first);
                self.ask(number);
            }
            AskedSearch::Found(key) => {
                self.offers.push_front(Offer::at_once(database, key, Some(number)));
            }
        }
    }

    /// Offers the first document to the next group.
    fn offer_next(&mut self, claimants: &mut dyn Claimants) -> bool {
        let Some(offer) = self.offers.front_mut() else { return false };
        let (database, key) = (offer.database, offer.key.clone());
        if !offer.is_begun {
            offer.is_begun = true;
            self.unbegun.remove(&(database, key.clone()));
        }
        if offer.model.is_none() {
            offer.model = claimants.model_at(database, &key);
        }
        let offer = self.offers.front().expect("it is there");
        let line =
            offer.model.as_ref().and_then(|model| self.lines.get(&(database, model.clone())));
        let next = line.and_then(|line| Some(*line.range(offer.passed + 1..).next()?.0));
        let Some(request) = next else {
            self.end_offer();
            return true;
        };
        let is_first = line
            .and_then(|line| line.first_key_value())
            .is_some_and(|(first, _)| *first == request);
        self.offers.front_mut().expect("it is there").passed = request;
        let is_alone = self.is_only_match(request);
        // The first request is mostly the one that is served: it is asked while it runs.
        if is_alone && (is_first || claimants.fits(request, &key)) {
            if claimants.serve(request, Some(&key)) {
                self.remove(request);
            }
        } else if !is_alone && claimants.fits(request, &key) {
            self.serve(request, &key, is_first, claimants);
        }
        true
    }

    /// Returns true if no other document than the one offered can fit the request: all others were offered to it or
    /// searched, and did not fit. So nothing has to be searched.
    fn is_only_match(&self, request: u64) -> bool {
        let is_offered = |offer: &Offer| offer.found_by.is_none();
        let is_alone = self.offers.len() == 1
            && self.asks.is_empty()
            && self.offers.front().is_some_and(is_offered);
        let group = self.requests.get(&request).and_then(|group| self.groups.get(group));
        is_alone && group.is_some_and(|group| !group.question.reads_clock)
    }

    /// The document was offered to all. If it fitted none, it has changed since the search that found it: that may find
    /// another one.
    fn end_offer(&mut self) {
        self.asks_next = true;
        let Some(Offer { key, found_by: Some(number), is_fit: false, .. }) =
            self.offers.pop_front()
        else {
            return;
        };
        if let Some(group) = self.groups.get_mut(&number) {
            group.unfit = Some(key);
            self.ask(number);
        }
    }

    /// Serves a request that the document offered fits. The first of the line takes what it finds. Another one takes one
    /// document, which was offered to all before it: if its own order prefers another document to this one, that is
    /// offered first.
    fn serve(&mut self, request: u64, key: &[u8], is_first: bool, claimants: &mut dyn Claimants) {
        let offer = self.offers.front_mut().expect("a document is offered");
        offer.is_fit = true;
        let (database, found_by) = (offer.database, offer.found_by);
        if !is_first && !offer.is_second {
            match claimants.search(request) {
                AskedSearch::Found(preferred) if preferred != key => {
                    offer.is_second = true;
                    offer.passed = request - 1;
                    return self.offers.push_front(Offer::at_once(database, preferred, found_by));
                }
                AskedSearch::Found(_) | AskedSearch::Nothing => {}
                AskedSearch::Ended => return self.remove(request),
            }
        }
        if claimants.serve(request, (!is_first).then_some(key)) {
            self.remove(request);
            // The search may find another one.
            found_by.into_iter().for_each(|group| self.ask(group));
        }
    }
}
