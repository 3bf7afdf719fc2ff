//! Owns the rules on forced documents, and what a table says of them. The document is the unit: positions
//! within one hang together.

use super::ONE_SIDE;
use super::change::{MOST_ROUNDS, POWER};
use super::judge::{Case, Test};
use crate::metric::{Metric, Of, Read, Statistic};
use crate::record::{
    Against, Effect, EngineInfo, FailureClass, Fidelity, Forcing, Limit, Needed, Part, Resolution,
    Sample, Verdict, VerdictKind,
};
use crate::stats::{self, FEWEST_BOOTSTRAP_ROUNDS, Interval, RESAMPLES, Ranked};

/// The seed of the resamples: the same documents give the same report.
const SEED: u64 = 99;

/// What the documents of one variant come to, forced in one way.
#[derive(Debug, Clone, PartialEq)]
pub struct Forced {
    /// The variant.
    pub variant: String,
    /// What it is held against.
    pub reference: String,
    /// How both were asked to be fed.
    pub forcing: Forcing,
    /// Documents that both sides came through.
    pub documents: usize,
    /// Documents that a side failed at.
    pub failed: usize,
    /// Those of them at which the variant's logits were NaN or infinite: then no mean over the others is its own.
    pub not_finite: usize,
    /// Positions that count.
    pub positions: usize,
    /// Mean KL divergence, nats.
    pub kl: Option<Interval>,
    /// P99 of the KL divergence over all positions, nats; without a width for few documents.
    pub p99: Option<Interval>,
    /// The largest KL divergence, nats.
    pub max: Option<f64>,
    /// Share of positions with the same most probable token.
    pub agreement: Option<Interval>,
    /// Perplexity of the variant and of the reference.
    pub perplexity: Option<[f64; 2]>,
    /// Relative change of the perplexity.
    pub change: Option<Interval>,
}

/// What was forced in a session, by variant in the order of its plan and way of forcing.
pub fn forced(part: &Part) -> Vec<Forced> {
    let plan = part.header.plan.fidelity.as_ref();
    let variants = plan.map_or(&[][..], |plan| &plan.variants);
    let of_variant = |variant: &String| {
        Forcing::ALL.map(|forcing| {
            let sample = Documents::of(part, variant, forcing);
            (sample.all() > 0).then(|| summarized(variant, forcing, &sample))
        })
    };
    variants.iter().flat_map(of_variant).flatten().collect()
}

fn summarized(variant: &str, forcing: Forcing, sample: &Documents<'_>) -> Forced {
    let interval = |of, statistic| Estimate::new(sample, of, statistic)?.described();
    let divergences = || sample.good.iter().flat_map(|one| &one.kl);
    Forced {
        variant: variant.to_string(),
        reference: sample.any().map_or(String::new(), |one| one.reference.clone()),
        forcing,
        documents: sample.good.len(),
        failed: sample.failed.len() + sample.reference_failed.len(),
        not_finite: sample.not_finite(),
        positions: divergences().count(),
        kl: interval(Of::Divergence, Statistic::Mean),
        p99: interval(Of::Divergence, Statistic::P99),
        max: divergences().copied().map(f64::from).max_by(f64::total_cmp),
        agreement: interval(Of::Agreement, Statistic::Rate),
        perplexity: sample.perplexity(),
        change: interval(Of::Likelihood, Statistic::Mean),
    }
}

/// A metric of a variant's documents forced whole: the value, the ends of a 95% interval, and the documents
/// behind it.
pub(super) fn value(
    metric: Metric,
    statistic: Statistic,
    part: &Part,
    variant: &str,
) -> (Option<f64>, Option<[f64; 2]>, usize) {
    let Read::Documents(of) = metric.info().read else { return (None, None, 0) };
    if of == Of::Likelihood {
        let (sample, place) = Documents::with_reference(part, variant);
        if place == 0 && sample.not_finite() > 0 {
            return (None, None, sample.good.len());
        }
        return (sample.perplexity().map(|both| both[place]), None, sample.good.len());
    }
    let sample = Documents::of(part, variant, Forcing::Whole);
    if sample.not_finite() > 0 {
        return (None, None, sample.good.len());
    }
    let found = Estimate::new(&sample, of, statistic).and_then(|estimate| estimate.described());
    let ends = found.map(|found| [found.low, found.high]).filter(|[low, high]| low < high);
    (found.map(|found| found.point), ends, sample.good.len())
}

/// The documents of one variant, forced in one way.
struct Documents<'a> {
    good: Vec<&'a Fidelity>,
    failed: Vec<&'a Fidelity>,
    reference_failed: Vec<&'a Fidelity>,
}

impl<'a> Documents<'a> {
    fn of(part: &'a Part, variant: &str, forcing: Forcing) -> Documents<'a> {
        let mut sample =
            Documents { good: Vec::new(), failed: Vec::new(), reference_failed: Vec::new() };
        let wanted = |one: &&Fidelity| one.variant == variant && one.forcing == forcing;
        for one in part.fidelity.iter().filter(wanted) {
            match (&one.failure, &one.reference_failure) {
                (None, None) => sample.good.push(one),
                (Some(_), _) => sample.failed.push(one),
                (None, Some(_)) => sample.reference_failed.push(one),
            }
        }
        sample
    }

    /// The documents that a variant was forced through, or those of which it was the reference, and its place
    /// among the two perplexities.
    fn with_reference(part: &'a Part, variant: &str) -> (Documents<'a>, usize) {
        let beside = part.fidelity.iter().find(|one| one.reference == variant);
        match beside {
            Some(one) => (Documents::of(part, &one.variant, Forcing::Whole), 1),
            None => (Documents::of(part, variant, Forcing::Whole), 0),
        }
    }

    fn all(&self) -> usize {
        self.good.len() + self.failed.len() + self.reference_failed.len()
    }

    fn any(&self) -> Option<&&'a Fidelity> {
        self.good.iter().chain(&self.failed).chain(&self.reference_failed).next()
    }

    /// The variant's perplexity and the reference's.
    fn perplexity(&self) -> Option<[f64; 2]> {
        let positions: f64 = self.good.iter().map(|one| f64::from(one.positions)).sum();
        let of = |sum: fn(&Fidelity) -> f64| {
            let whole: f64 = self.good.iter().map(|one| sum(one)).sum();
            (whole / positions).exp()
        };
        (positions > 0.0).then(|| [of(|one| one.nll), of(|one| one.reference_nll)])
    }

    /// Why there is nothing to judge, if so.
    fn void(&self) -> Option<(VerdictKind, String)> {
        let failures = || self.failed.iter().filter_map(|one| one.failure.as_ref());
        let of_reference =
            || self.reference_failed.iter().filter_map(|one| one.reference_failure.as_ref());
        let unsupported =
            failures().chain(of_reference()).find(|f| f.class == FailureClass::Unsupported);
        if let Some(failure) = unsupported {
            return Some((VerdictKind::Unavailable, failure.message.clone()));
        }
        let (first, one) = (of_reference().next()?, self.reference_failed.first()?);
        let count = self.reference_failed.len();
        let why =
            format!("{count} documents of '{}', the other side, failed: {first}", one.reference);
        Some((VerdictKind::Invalid, why))
    }

    /// What failures of the variant make of a verdict. Logits that are no numbers are what it predicts; a
    /// crash may be chance once, and then it hinders a pass all the same.
    fn charged(&self, verdict: Verdict) -> Verdict {
        let failures = || self.failed.iter().filter_map(|one| one.failure.as_ref());
        let Some(first) = failures().next() else { return verdict };
        let (failed, all) = (self.failed.len(), self.all());
        let reason = format!(
            "{failed} of {all} documents failed ({}): {}",
            first.class.title(),
            first.message
        );
        let not_finite = self.not_finite() > 0;
        let kind = match verdict.verdict {
            VerdictKind::Regressed => VerdictKind::Regressed,
            _ if not_finite || failed > 1 => VerdictKind::Regressed,
            _ => VerdictKind::Inconclusive,
        };
        // What the other documents came to is not what breaks the rule, and would hide what does.
        let (effect, now) = match not_finite || verdict.verdict != VerdictKind::Regressed {
            true => (None, None),
            false => (verdict.effect, verdict.now),
        };
        let needed = verdict.needed.filter(|_| kind == VerdictKind::Inconclusive);
        Verdict { verdict: kind, reason, needed, effect, now, ..verdict }
    }

    /// Documents at which the variant's logits were NaN or infinite.
    fn not_finite(&self) -> usize {
        let failures = self.failed.iter().filter_map(|one| one.failure.as_ref());
        failures.filter(|failure| failure.class == FailureClass::NonFinite).count()
    }
}

/// A number per document on a scale where it is held against a limit.
struct Estimate {
    point: f64,
    /// The standard deviation of a document's number: the error is this over the root of their count. Not
    /// finite where the documents are too few for an interval.
    spread: f64,
    documents: usize,
    scale: Scale,
    /// The mean divergence of each document, where it is a mean of divergences: they are skewed, and Student's upper bound on
    /// the log of their mean is too low.
    skewed: Vec<f64>,
}

/// How a scale reads, and where it ends.
#[derive(Clone, Copy)]
struct Scale {
    shown: fn(f64) -> f64,
    /// From what is written to the scale.
    limit: fn(f64) -> f64,
    /// 1 where more is worse, else -1.
    orientation: f64,
    lowest: f64,
    highest: f64,
}

const NATS: Scale = Scale {
    shown: |value| value,
    limit: |value| value,
    orientation: 1.0,
    lowest: 0.0,
    highest: f64::INFINITY,
};
const LOG_NATS: Scale =
    Scale { shown: f64::exp, limit: f64::ln, lowest: f64::NEG_INFINITY, ..NATS };
const SHARE: Scale = Scale { orientation: -1.0, highest: 1.0, ..NATS };
const LOG_RATIO: Scale =
    Scale { shown: f64::exp_m1, limit: f64::ln_1p, lowest: f64::NEG_INFINITY, ..NATS };

impl Estimate {
    /// `None` for no documents.
    fn new(sample: &Documents<'_>, of: Of, statistic: Statistic) -> Option<Estimate> {
        let documents = sample.good.len();
        let positions: Vec<f64> = sample.good.iter().map(|one| f64::from(one.positions)).collect();
        let by_document = |sum: fn(&Fidelity) -> f64| -> Vec<f64> {
            sample.good.iter().map(|one| sum(one)).collect()
        };
        let sums = |sum: fn(&Fidelity) -> f64| stats::ratio_of_sums(&by_document(sum), &positions);
        let divergence = || {
            let sums = by_document(|one| one.kl.iter().copied().map(f64::from).sum());
            match stats::log_ratio_of_sums(&sums, &positions) {
                Some(log) => (log, LOG_NATS),
                None => (stats::ratio_of_sums(&sums, &positions), NATS),
            }
        };
        let ((point, spread), scale) = match (of, statistic) {
            _ if documents == 0 => return None,
            (Of::Divergence, Statistic::P99) => (tail(&sample.good), LOG_NATS),
            (Of::Divergence, _) => divergence(),
            (Of::Agreement, _) => (sums(|one| f64::from(one.agree)), SHARE),
            (Of::Likelihood, _) => (sums(|one| one.nll - one.reference_nll), LOG_RATIO),
        };
        let mean_divergence =
            (of, statistic) == (Of::Divergence, Statistic::Mean) && spread.is_finite();
        let skewed = match mean_divergence && point.is_finite() {
            true => {
                let sums = by_document(|one| one.kl.iter().copied().map(f64::from).sum());
                sums.iter().zip(&positions).map(|(sum, positions)| sum / positions).collect()
            }
            false => Vec::new(),
        };
        Some(Estimate { point, spread, documents, scale, skewed })
    }

    /// The interval on its own scale, whose ends are each a bound at level `alpha`.
    fn interval(&self, alpha: f64) -> Option<Interval> {
        let enough = self.documents >= 2 && self.spread.is_finite();
        let interval =
            enough.then(|| stats::t_interval_of(self.point, self.spread, self.documents, alpha))?;
        let high = stats::log_normal_mean_upper(&self.skewed, alpha);
        Some(Interval {
            high: high.map_or(interval.high, |high| high.max(interval.high)),
            ..interval
        })
    }

    /// As it is shown, within what there can be.
    fn shown(&self, interval: Interval) -> Interval {
        let Scale { shown, lowest, highest, .. } = self.scale;
        let show = |value: f64| shown(value.clamp(lowest, highest));
        Interval { point: show(interval.point), low: show(interval.low), high: show(interval.high) }
    }

    /// The 95% interval as it is shown; without a width where there is none.
    fn described(&self) -> Option<Interval> {
        let Estimate { point, .. } = *self;
        let interval =
            self.interval(ONE_SIDE).unwrap_or(Interval { point, low: point, high: point });
        Some(self.shown(interval))
    }

    /// More is worse.
    fn worse(&self, interval: Interval) -> Interval {
        match self.scale.orientation > 0.0 {
            true => interval,
            false => {
                let Interval { point, low, high } = interval;
                Interval { point: -point, low: -high, high: -low }
            }
        }
    }

    /// The noise of a document relative to the value; a share has none.
    fn noise(&self, of: Of) -> Option<f64> {
        match of {
            Of::Agreement => None,
            Of::Divergence | Of::Likelihood => Some(self.spread),
        }
        .filter(|noise| noise.is_finite())
    }
}

impl Estimate {
    /// The smallest true value that would have been proven beyond a limit, if there is one.
    fn detectable(&self, limit: f64, alpha: f64) -> Option<f64> {
        let beyond = stats::detectable(self.spread, self.documents, alpha, POWER);
        let value = (limit + beyond) * self.scale.orientation;
        // An agreement below none cannot be.
        (value >= self.scale.lowest).then(|| (self.scale.shown)(value))
    }

    /// How many such documents would settle a rule whose point lies so far from its limit.
    fn remedy(&self, distance: f64, alpha: f64) -> (Option<Needed>, String) {
        match stats::rounds_needed(self.spread, distance, alpha, MOST_ROUNDS) {
            Some(count) => (
                Some(Needed { count: count as u64, of: Sample::Documents }),
                format!("about {count} such documents would settle it"),
            ),
            None => {
                let most = MOST_ROUNDS;
                (None, format!("too near the limit: {most} documents would not settle it"))
            }
        }
    }
}

/// The log of the P99 over all positions, and the spread by a bootstrap over documents; not a finite one
/// with too few of them.
fn tail(documents: &[&Fidelity]) -> (f64, f64) {
    let numbers = |one: &&Fidelity| one.kl.iter().copied().map(f64::from).collect();
    let values: Vec<Vec<f64>> = documents.iter().map(numbers).collect();
    let (count, ranked) = (values.len(), Ranked::new(&values));
    let statistic = |times: &[u32]| ranked.quantile(times, 0.99).ln();
    if count < FEWEST_BOOTSTRAP_ROUNDS {
        return (statistic(&vec![1; count]), f64::NAN);
    }
    let (point, error) = stats::bootstrap(count, RESAMPLES, SEED, statistic);
    (point, error * (count as f64).sqrt())
}

impl Case<'_> {
    /// A rule on forced documents.
    pub(super) fn documents(&self) -> Test<'_> {
        let rule = self.rule;
        let Read::Documents(of) = rule.metric.info().read else {
            return self.no_such_limit(rule.limit);
        };
        if matches!(rule.against, Against::Earlier(_) | Against::Baseline { .. }) {
            let why = "documents are compared within one session, with its reference".to_string();
            return self.known(VerdictKind::Incomparable, why);
        }
        let forcing = rule.forcing.unwrap_or(Forcing::Whole);
        let sample = Documents::of(self.now, &rule.variant, forcing);
        if let Some((kind, why)) = sample.void() {
            return self.known(kind, why);
        }
        if sample.all() == 0 {
            return self.known(VerdictKind::Invalid, self.not_forced(forcing));
        }
        match self.unread_cache(forcing) {
            None => Box::new(move |alpha| sample.charged(self.held(&sample, of, alpha))),
            Some(caches) => self.with_cache(sample, of, caches),
        }
    }

    /// The types of both sides' key-value caches, where they differ and this way of forcing does not read one of them as
    /// generating does: a text that goes in with one call is computed beside the cache.
    fn unread_cache(&self, forcing: Forcing) -> Option<[String; 2]> {
        let reference = &self.now.header.plan.fidelity.as_ref()?.reference;
        let engines = [self.now.engine(&self.rule.variant)?, self.now.engine(reference)?];
        let whole = forcing == Forcing::Whole && engines.iter().any(|engine| engine.all_positions);
        let caches = engines.map(cache_type);
        (whole && caches[0] != caches[1]).then_some(caches)
    }

    /// A rule on documents forced whole, where the sides' caches differ: it holds only if the documents that were forced
    /// stepwise show it too, and is broken by either, each at half the level.
    fn with_cache<'b>(
        &'b self,
        sample: Documents<'b>,
        of: Of,
        [cache, other]: [String; 2],
    ) -> Test<'b> {
        let stepwise = Documents::of(self.now, &self.rule.variant, Forcing::Stepwise);
        let caches = format!(
            "the key-value cache holds {cache} here and {other} on the other side, and a text that is forced in one \
             call does not read it"
        );
        Box::new(move |alpha| {
            let whole = |alpha| sample.charged(self.held(&sample, of, alpha));
            let by_steps = |alpha| stepwise.charged(self.held(&stepwise, of, alpha));
            let undecided = |reason: String| Verdict {
                verdict: VerdictKind::Inconclusive,
                reason,
                needed: None,
                ..whole(alpha)
            };
            let broken = whole(0.5 * alpha);
            if stepwise.void().is_some() || stepwise.all() == 0 {
                return match broken.verdict {
                    VerdictKind::Regressed => broken,
                    _ => undecided(format!(
                        "{caches}; no document was forced stepwise: set `stepwise` under [quality.fidelity]"
                    )),
                };
            }
            for (found, stepwise) in [(broken.clone(), false), (by_steps(0.5 * alpha), true)] {
                if found.verdict == VerdictKind::Regressed {
                    let why = if stepwise { format!("stepwise: {caches}") } else { String::new() };
                    let reasons = [why, found.reason.clone()];
                    let reasons: Vec<String> =
                        reasons.into_iter().filter(|text| !text.is_empty()).collect();
                    return Verdict { reason: reasons.join("; "), ..found };
                }
            }
            let (whole, by_steps) = (whole(alpha), by_steps(alpha));
            let passes = |verdict: &Verdict| {
                matches!(verdict.verdict, VerdictKind::Pass | VerdictKind::Improved)
            };
            match (passes(&whole), passes(&by_steps)) {
                (true, true) => whole,
                (true, false) => Verdict {
                    reason: format!(
                        "{caches}; stepwise it is not shown: {}",
                        Some(by_steps.reason.as_str())
                            .filter(|why| !why.is_empty())
                            .unwrap_or("beyond the limit")
                    ),
                    verdict: VerdictKind::Inconclusive,
                    ..by_steps
                },
                // Proven at the whole level and not at half of it is not proven.
                (false, _) => broken,
            }
        })
    }

    fn not_forced(&self, forcing: Forcing) -> String {
        let variant = &self.rule.variant;
        match forcing {
            Forcing::Whole => format!(
                "'{variant}' was forced through no document beside the reference; `perfgate check` of all \
                 variants does"
            ),
            Forcing::Stepwise => format!("no document was forced stepwise through '{variant}'"),
        }
    }

    /// Holds what both sides came through against the limit.
    fn held(&self, sample: &Documents<'_>, of: Of, alpha: f64) -> Verdict {
        let rule = self.rule;
        let mut verdict = self.undecided(VerdictKind::Inconclusive, String::new());
        let (Limit::Max(limit) | Limit::Min(limit) | Limit::Relative(limit)) = rule.limit else {
            verdict.verdict = VerdictKind::Invalid;
            return verdict;
        };
        let Some(estimate) = Estimate::new(sample, of, rule.statistic) else { return verdict };
        let scale = estimate.scale;
        (verdict.now, verdict.base) = match (of, sample.perplexity()) {
            (Of::Likelihood, Some([now, base])) => (Some(now), Some(base)),
            _ => (Some((scale.shown)(estimate.point)), Some(limit)),
        };
        let Some(interval) = estimate.interval(alpha) else {
            verdict.reason = too_few(sample.good.len(), rule.statistic);
            return verdict;
        };
        let worse = estimate.worse(interval);
        let held_against = (scale.limit)(limit) * scale.orientation;
        verdict.verdict = self.kind_of(worse, held_against);
        verdict.effect = Some(self.documents_effect(&estimate, sample, interval, alpha));
        verdict.resolution = Some(Resolution {
            level: alpha,
            noise: estimate.noise(of),
            detectable: estimate.detectable(held_against, alpha),
        });
        if verdict.verdict == VerdictKind::Inconclusive {
            (verdict.needed, verdict.reason) = estimate.remedy(worse.point - held_against, alpha);
        }
        verdict
    }

    /// A value within a fixed limit is no improvement; a lower perplexity is one.
    fn kind_of(&self, worse: Interval, limit: f64) -> VerdictKind {
        match (self.kind(worse, limit), self.rule.limit) {
            (VerdictKind::Improved, Limit::Max(_) | Limit::Min(_)) => VerdictKind::Pass,
            (kind, _) => kind,
        }
    }

    fn documents_effect(
        &self,
        estimate: &Estimate,
        sample: &Documents<'_>,
        interval: Interval,
        alpha: f64,
    ) -> Effect {
        let Interval { point, low, high } = estimate.shown(interval);
        Effect {
            point,
            low,
            high,
            confidence: 1.0 - 2.0 * alpha,
            rounds: 0,
            requests: sample.good.len(),
            sessions: 0,
        }
    }
}

/// The type of an engine's key-value cache, as it reads it back; candle's is that of the weights.
fn cache_type(engine: &EngineInfo) -> String {
    let said = |key: &str| engine.properties.get(key).map(String::as_str);
    let one = said("KV_CACHE_PRECISION").or(said("weights")).unwrap_or("an unknown type");
    let (key, value) =
        (said("KEY_CACHE_PRECISION").unwrap_or(one), said("VALUE_CACHE_PRECISION").unwrap_or(one));
    if key == value { key.to_string() } else { format!("{key} keys and {value} values") }
}

fn too_few(documents: usize, statistic: Statistic) -> String {
    match statistic {
        Statistic::P99 if documents < FEWEST_BOOTSTRAP_ROUNDS => format!(
            "a P99 has an interval from {FEWEST_BOOTSTRAP_ROUNDS} documents on, and there are {documents}"
        ),
        Statistic::P99 => "a P99 of no divergence has no interval".to_string(),
        _ => format!("{documents} document has no spread; at least 2 are needed, 20 are usual"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::judge::tests::{header, part, rule};
    use super::super::samples::tests::request;
    use super::super::{Measured, judge};
    use super::*;
    use crate::baseline::Stores;
    use crate::metric::{KL_DIVERGENCE, PERPLEXITY, TOP1_AGREEMENT};
    use crate::record::{Failure, FidelityPlan, Round, Rule};

    /// A document of ten positions with such a mean divergence.
    fn document(place: usize, mean: f64) -> Fidelity {
        let kl = (0..10).map(|position| (mean * (0.5 + 0.1 * f64::from(position))) as f32);
        Fidelity {
            variant: "now".into(),
            reference: "base".into(),
            document: format!("d{place}"),
            forcing: Forcing::Whole,
            positions: 10,
            kl: kl.collect(),
            agree: 9,
            nll: 30.0 + mean,
            reference_nll: 30.0,
            cached: false,
            failure: None,
            reference_failure: None,
        }
    }

    /// So many documents around a mean divergence.
    fn documents(count: usize, mean: f64) -> Vec<Fidelity> {
        (0..count).map(|place| document(place, mean * [0.8, 1.0, 1.2][place % 3])).collect()
    }

    fn failure(class: FailureClass) -> Option<Failure> {
        Some(Failure { class, message: "test".into() })
    }

    fn verdict(rule: Rule, documents: Vec<Fidelity>) -> Verdict {
        verdict_with(rule, documents, ["f16", "f16"])
    }

    /// The same with key-value caches of these types, of the variant and of the reference.
    fn verdict_with(rule: Rule, documents: Vec<Fidelity>, caches: [&str; 2]) -> Verdict {
        let requests =
            ["base", "now"].map(|variant| request(1, variant, "t", &[10.0, 20.0])).to_vec();
        let rounds = [Round { round: 1, complete: true, requests, ..Round::default() }];
        let mut part = part(&rounds);
        part.header = header();
        part.header.plan.fidelity = Some(FidelityPlan {
            documents: documents.iter().map(|one| one.document.clone()).collect(),
            variants: vec!["now".into()],
            reference: "base".into(),
            tokens: 11,
            skip: 0,
            stepwise: 0,
            sha256: String::new(),
        });
        part.fidelity = documents;
        for (variant, cache) in ["now", "base"].into_iter().zip(caches) {
            let engine = EngineInfo {
                properties: [("KV_CACHE_PRECISION".to_string(), cache.to_string())].into(),
                all_positions: true,
                ..EngineInfo::default()
            };
            part.engines.insert(variant.to_string(), engine);
        }
        let measured = Measured { parts: &[part], earlier: &[], stored: &Stores::default() };
        judge(&[rule], &measured, 0.05).remove(0)
    }

    fn divergence() -> Rule {
        Rule {
            forcing: Some(Forcing::Whole),
            ..rule(KL_DIVERGENCE, Statistic::Mean, Limit::Max(0.05))
        }
    }

    #[test]
    fn an_interval_over_documents_decides_and_an_open_one_says_how_many_would() {
        let kind = |mean| verdict(divergence(), documents(9, mean)).verdict;
        assert_eq!(kind(0.01), VerdictKind::Pass);
        assert_eq!(kind(0.2), VerdictKind::Regressed);
        let open = verdict(divergence(), documents(6, 0.052));
        assert_eq!(open.verdict, VerdictKind::Inconclusive);
        let needed = open.needed.expect("it says how many");
        assert!(needed.of == Sample::Documents && needed.count > 6, "{needed:?}");
        assert!(open.reason.contains("such documents would settle it"), "{}", open.reason);
        let one = verdict(divergence(), documents(1, 0.01));
        assert_eq!(one.verdict, VerdictKind::Inconclusive, "one document has no spread");
        assert_eq!(verdict(divergence(), vec![]).verdict, VerdictKind::Invalid);
    }

    #[test]
    fn a_tail_has_an_interval_from_twenty_documents_on() {
        let tail = || Rule { statistic: Statistic::P99, ..divergence() };
        let few = verdict(tail(), documents(19, 0.01));
        assert_eq!(few.verdict, VerdictKind::Inconclusive);
        assert!(few.reason.ends_with("20 documents on, and there are 19"), "{}", few.reason);
        assert_eq!(verdict(tail(), documents(20, 0.01)).verdict, VerdictKind::Pass);
        assert_eq!(verdict(tail(), documents(20, 0.1)).verdict, VerdictKind::Regressed);
    }

    #[test]
    fn agreement_has_a_least_and_perplexity_a_change() {
        let agreement = |least| {
            verdict(rule(TOP1_AGREEMENT, Statistic::Rate, Limit::Min(least)), documents(9, 0.1))
        };
        assert_eq!(agreement(0.85).verdict, VerdictKind::Pass);
        assert_eq!(agreement(0.95).verdict, VerdictKind::Regressed);
        assert_eq!(agreement(0.85).now, Some(0.9));
        let change = |mean| {
            verdict(rule(PERPLEXITY, Statistic::Mean, Limit::Relative(0.02)), documents(9, mean))
        };
        assert_eq!(change(0.05).verdict, VerdictKind::Pass);
        assert_eq!(change(1.0).verdict, VerdictKind::Regressed);
        let found = change(1.0).effect.unwrap();
        assert!((found.point - 0.1f64.exp_m1()).abs() < 1e-9, "{found:?}");
    }

    #[test]
    fn failures_hinder_a_pass_and_void_where_the_reference_fails() {
        let with = |class, count: usize| {
            let mut documents = documents(9, 0.01);
            for one in &mut documents[..count] {
                *one = Fidelity { failure: failure(class), kl: vec![], ..one.clone() };
            }
            verdict(divergence(), documents).verdict
        };
        assert_eq!(with(FailureClass::Crash, 1), VerdictKind::Inconclusive);
        assert_eq!(with(FailureClass::Crash, 2), VerdictKind::Regressed);
        assert_eq!(with(FailureClass::Deadline, 9), VerdictKind::Regressed, "nothing is left");
        assert_eq!(with(FailureClass::NonFinite, 1), VerdictKind::Regressed);
        assert_eq!(with(FailureClass::Unsupported, 9), VerdictKind::Unavailable);
        let mut documents = documents(9, 0.01);
        documents[3].reference_failure = failure(FailureClass::Crash);
        let void = verdict(divergence(), documents);
        assert_eq!(void.now, None);
        assert_eq!(void.verdict, VerdictKind::Invalid);
        assert_eq!(void.reason, "1 documents of 'base', the other side, failed: crash: test");
    }

    #[test]
    fn logits_that_are_not_finite_are_the_cause_and_not_a_divergence_of_nothing() {
        let mut documents = documents(9, 0.0);
        documents[4] = Fidelity {
            failure: failure(FailureClass::NonFinite),
            kl: vec![],
            ..documents[4].clone()
        };
        let found = verdict(divergence(), documents);
        assert_eq!(found.verdict, VerdictKind::Regressed);
        assert_eq!((found.now, found.effect), (None, None), "no figure of the others");
        assert_eq!(found.reason, "1 of 9 documents failed (NaN or infinite logits): test");
    }

    #[test]
    fn a_cache_that_was_not_read_does_not_pass() {
        let stepwise = |count: usize, mean: f64| {
            let steps = documents(count, mean).into_iter();
            steps.map(|one| Fidelity { forcing: Forcing::Stepwise, ..one }).collect::<Vec<_>>()
        };
        let judged = |steps: Vec<Fidelity>, caches| {
            let all = documents(9, 0.001).into_iter().chain(steps).collect();
            verdict_with(divergence(), all, caches)
        };
        assert_eq!(judged(vec![], ["u8", "u8"]).verdict, VerdictKind::Pass, "alike on both sides");
        let unread = judged(vec![], ["u4", "f16"]);
        assert_eq!(unread.verdict, VerdictKind::Inconclusive);
        assert!(
            unread.reason.starts_with("the key-value cache holds u4 here and f16"),
            "{}",
            unread.reason
        );
        assert!(unread.reason.contains("set `stepwise`"), "{}", unread.reason);
        let far = judged(stepwise(4, 0.15), ["u4", "f16"]);
        assert_eq!(far.verdict, VerdictKind::Regressed, "{far:?}");
        assert!(far.effect.unwrap().point > 0.1, "the figure that breaks it");
        assert_eq!(judged(stepwise(4, 0.01), ["u4", "f16"]).verdict, VerdictKind::Pass);
        let open = judged(stepwise(3, 0.045), ["u4", "f16"]);
        assert_eq!(open.verdict, VerdictKind::Inconclusive, "{open:?}");
        assert!(open.reason.contains("stepwise it is not shown"), "{}", open.reason);
        // What the weights break needs no cache.
        let broken = verdict_with(divergence(), documents(9, 0.2), ["u4", "f16"]);
        assert_eq!(broken.verdict, VerdictKind::Regressed);
    }
}
