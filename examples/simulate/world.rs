//! Owns the simulated world: what the requests of two variants take, where the truth is known.

use crate::cells::{self, Random};
use crate::page::Table;
use perfgate::stats::{mean, standard_deviation};
use rand::Rng;
use rand_distr::{Distribution, StandardNormal, StudentT};
use statrs::distribution::{ContinuousCDF, Normal};

/// Tasks of a round.
pub const TASKS: usize = 10;

/// Spread of the tasks' effects, which stay the same.
const TASK: f64 = 0.1;

/// Spread of the rounds' moods.
const MOOD: f64 = 0.1;

/// Spread of the effect of a variant in a round: the spread between rounds that no number of requests in a
/// round averages out.
const ROUND: f64 = 0.010;

/// Spread of the noise of a request.
const REQUEST: f64 = 0.059;

/// The same where the rounds are bimodal.
const REQUEST_OF_BIMODAL: f64 = 0.04;

/// How much faster a bimodal candidate is in its rare rounds, and how often that is.
const RARE: (f64, f64) = (-0.06, 0.15);

/// The step of the drift from one request to the next.
const STEP: f64 = 0.02;

/// What the requests' times are like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noise {
    Normal,
    LogNormal,
    HeavyTailed,
    Bimodal,
    Drifting,
}

impl Noise {
    pub const ALL: [Noise; 5] =
        [Noise::Normal, Noise::LogNormal, Noise::HeavyTailed, Noise::Bimodal, Noise::Drifting];

    pub fn title(self) -> &'static str {
        match self {
            Noise::Normal => "normal",
            Noise::LogNormal => "log-normal",
            Noise::HeavyTailed => "heavy-tailed",
            Noise::Bimodal => "bimodal",
            Noise::Drifting => "drifting",
        }
    }

    fn meaning(self) -> &'static str {
        match self {
            Noise::Normal => "the noise of a request is normal",
            Noise::LogNormal => {
                "it is a centred exp(N(0, 1)), scaled to the same sd: skewed to slow requests"
            }
            Noise::HeavyTailed => {
                "it is Student's t with 3 degrees of freedom, scaled to the same sd"
            }
            Noise::Bimodal => {
                "the candidate's effect of the round is -0.06 in 15% of the rounds and +0.0106 in \
                 the others, 0 in the mean; requests with sd 0.04. A few rounds often miss the \
                 fast ones and look slow and steady: the dangerous side"
            }
            Noise::Drifting => {
                "normal noise; all times rise by 20% over the session, and walk by sd 0.02 from \
                 each request to the next, whoever has it"
            }
        }
    }
}

/// Who is measured when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Both variants take each task in turn, and share the round's mood.
    Lockstep,
    /// All rounds of the reference, then all of the candidate, each round in a mood of its own.
    OneAfterTheOther,
}

/// Two variants on a machine.
#[derive(Debug, Clone, Copy)]
pub struct World {
    noise: Noise,
    order: Order,
    /// Requests of each task in a round.
    repeats: usize,
    /// Factor of the spread of rounds and requests.
    scale: f64,
    tasks: [f64; TASKS],
    heavy: StudentT<f64>,
}

/// The log times of a session: of each round the requests, task by task.
#[derive(Debug)]
pub struct Session {
    pub base: Vec<Vec<f64>>,
    pub now: Vec<Vec<f64>>,
}

impl World {
    pub fn new(noise: Noise, order: Order) -> World {
        let heavy = StudentT::new(3.0).expect("the degrees of freedom are positive");
        World { noise, order, repeats: 1, scale: 1.0, tasks: task_effects(), heavy }
    }

    pub fn lockstep(noise: Noise) -> World {
        World::new(noise, Order::Lockstep)
    }

    pub fn with_repeats(self, repeats: usize) -> World {
        World { repeats, ..self }
    }

    /// With so large a standard deviation of the round's paired log ratio, where the noise is normal.
    pub fn with_spread(self, spread: f64) -> World {
        let usual = 2.0 * (ROUND.powi(2) + REQUEST.powi(2) / TASKS as f64);
        World { scale: spread / usual.sqrt(), ..self }
    }

    /// A session in which the candidate's log times are larger by `effect`.
    pub fn session(&self, rounds: usize, effect: f64, random: &mut Random) -> Session {
        let requests = self.repeats * TASKS;
        let levels: Vec<[f64; 2]> = (0..rounds).map(|_| self.levels(effect, random)).collect();
        let mut clock = Clock::new(self.noise, 2 * rounds * requests);
        let room = |()| (0..rounds).map(|_| Vec::with_capacity(requests)).collect::<Vec<_>>();
        let mut sides = [(); 2].map(room);
        let mut take = |side: usize, round: usize, request: usize| {
            let level = self.tasks[request % TASKS] + levels[round][side];
            sides[side][round].push(level + self.noise_of_request(random) + clock.tick(random));
        };
        match self.order {
            Order::Lockstep => turns(rounds, requests).for_each(|(round, request)| {
                let first = (round + request) % 2;
                take(first, round, request);
                take(1 - first, round, request);
            }),
            Order::OneAfterTheOther => (0..2).for_each(|side| {
                turns(rounds, requests).for_each(|(round, request)| take(side, round, request));
            }),
        }
        let [base, now] = sides;
        Session { base, now }
    }

    /// What both variants' requests of a round have in common, each of its own.
    fn levels(&self, effect: f64, random: &mut Random) -> [f64; 2] {
        let mut mood = || MOOD * normal(random);
        let base = mood();
        let now = if self.order == Order::Lockstep { base } else { mood() };
        let of_round = match self.noise {
            Noise::Bimodal => self.scale * bimodal(random),
            _ => self.scale * ROUND * normal(random),
        };
        [base + self.scale * ROUND * normal(random), now + effect + of_round]
    }

    fn noise_of_request(&self, random: &mut Random) -> f64 {
        let unit = match self.noise {
            Noise::Normal | Noise::Bimodal | Noise::Drifting => normal(random),
            Noise::LogNormal => {
                let e = std::f64::consts::E;
                (normal(random).exp() - e.sqrt()) / ((e - 1.0) * e).sqrt()
            }
            Noise::HeavyTailed => self.heavy.sample(random) / 3f64.sqrt(),
        };
        self.scale * self.spread_of_request() * unit
    }

    fn spread_of_request(&self) -> f64 {
        if self.noise == Noise::Bimodal { REQUEST_OF_BIMODAL } else { REQUEST }
    }

    /// The true log ratio of the quantile at `p` of all requests of endless sessions.
    ///
    /// It is `effect` for variants that differ by nothing else. A bimodal candidate differs in shape
    /// too: its log times are a mixture of normal distributions, whose quantile is found by bisection.
    pub fn true_tail(&self, p: f64, effect: f64) -> f64 {
        if self.noise != Noise::Bimodal {
            return effect;
        }
        let request = self.spread_of_request();
        let base = self.quantile_of_mixture(p, &[(0.0, 1.0)], MOOD.hypot(ROUND).hypot(request));
        let modes = [(RARE.0, RARE.1), (often(), 1.0 - RARE.1)];
        effect + self.quantile_of_mixture(p, &modes, MOOD.hypot(request)) - base
    }

    fn quantile_of_mixture(&self, p: f64, modes: &[(f64, f64)], spread: f64) -> f64 {
        let normal = Normal::standard();
        let below = |x: f64| -> f64 {
            let of_mode = |(mode, weight): &(f64, f64)| -> f64 {
                let of_task = |task: &f64| normal.cdf((x - task - mode) / spread);
                weight * mean(&self.tasks.iter().map(of_task).collect::<Vec<_>>())
            };
            modes.iter().map(of_mode).sum()
        };
        let (mut low, mut high) = (-2.0, 2.0);
        for _ in 0..60 {
            let middle = 0.5 * (low + high);
            if below(middle) < p { low = middle } else { high = middle }
        }
        0.5 * (low + high)
    }
}

impl Session {
    /// The paired log ratios: of each round, by request.
    pub fn paired(&self) -> Vec<Vec<f64>> {
        let of_round = |(now, base): (&Vec<f64>, &Vec<f64>)| {
            now.iter().zip(base).map(|(now, base)| now - base).collect()
        };
        self.now.iter().zip(&self.base).map(of_round).collect()
    }

    /// Their mean in each round: what a rule on a mean is judged on.
    pub fn ratios(&self) -> Vec<f64> {
        let ratio = |(now, base): (&Vec<f64>, &Vec<f64>)| mean(now) - mean(base);
        self.now.iter().zip(&self.base).map(ratio).collect()
    }

    /// The log ratio by round of a statistic of the times.
    pub fn ratios_of(&self, statistic: impl Fn(&[f64]) -> f64) -> Vec<f64> {
        let of = |logs: &[f64]| statistic(&times(logs)).ln();
        self.now.iter().zip(&self.base).map(|(now, base)| of(now) - of(base)).collect()
    }
}

/// The times themselves.
pub fn times(logs: &[f64]) -> Vec<f64> {
    logs.iter().map(|log| log.exp()).collect()
}

/// Drift that all requests have, in the order in which they are made.
struct Clock {
    drifts: bool,
    walk: f64,
    /// What the whole session's rise is, shared out evenly.
    rise: f64,
}

impl Clock {
    fn new(noise: Noise, requests: usize) -> Clock {
        Clock { drifts: noise == Noise::Drifting, walk: 0.0, rise: 1.2f64.ln() / requests as f64 }
    }

    fn tick(&mut self, random: &mut Random) -> f64 {
        if self.drifts {
            self.walk += self.rise + STEP * normal(random);
        }
        self.walk
    }
}

fn turns(rounds: usize, requests: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..rounds).flat_map(move |round| (0..requests).map(move |request| (round, request)))
}

fn normal(random: &mut Random) -> f64 {
    StandardNormal.sample(random)
}

/// The candidate's effect of a round, whose mean is 0.
fn bimodal(random: &mut Random) -> f64 {
    if random.random_bool(RARE.1) { RARE.0 } else { often() }
}

fn often() -> f64 {
    -RARE.0 * RARE.1 / (1.0 - RARE.1)
}

/// Ten tasks as unlike as a normal sample of ten is expected to be: its scores, scaled to the sd.
fn task_effects() -> [f64; TASKS] {
    let score = |task: usize| Normal::standard().inverse_cdf((task as f64 + 0.5) / TASKS as f64);
    let scores: [f64; TASKS] = std::array::from_fn(score);
    scores.map(|score| TASK * score / standard_deviation(&scores))
}

/// What the world is, with what its rounds really come to.
pub fn section() -> String {
    const ROUNDS: usize = 20_000;
    let figures = cells::run(0, &Noise::ALL, |noise, random| {
        // Sessions as short as the real ones, since the drift is by session.
        let sessions = (0..ROUNDS / 10).map(|_| World::lockstep(*noise).session(10, 0.0, random));
        let ratios: Vec<f64> = sessions.flat_map(|session| session.ratios()).collect();
        let (center, spread) = (mean(&ratios), standard_deviation(&ratios));
        let cubes: Vec<f64> = ratios.iter().map(|r| ((r - center) / spread).powi(3)).collect();
        (spread, mean(&cubes))
    });
    let mut table = Table::new(&["noise", "what it is", "sd of a round's ratio", "skewness"]);
    for (noise, (spread, skewness)) in Noise::ALL.iter().zip(figures) {
        let numbers = [format!("{spread:.4}"), format!("{skewness:.2}")];
        table.row([noise.title().into(), noise.meaning().into()].into_iter().chain(numbers));
    }
    format!(
        "## The world

Two variants take {TASKS} tasks in each round, in lockstep where nothing else is said: A before B
for one task, B before A for the next, the other way round in the next round. The log of a time is
the sum of the task's effect (sd {TASK}, always the same), the mood of the round (sd {MOOD}, shared
by both variants), an effect of this variant in this round (sd {ROUND}, which no number of requests
averages out), the noise of the request (sd {REQUEST}), and for the candidate the true effect. A
round's ratio is the mean over tasks of the paired log ratios. Several rules are independent
streams of the same world.

{table}"
    )
}
