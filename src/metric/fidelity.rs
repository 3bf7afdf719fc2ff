//! Owns how far a variant's predictions are from the reference's on the same text, by teacher forcing.

use super::{Better, Metric, MetricInfo, Of, Read, Statistic, TIME, Unit};

const FORCED: MetricInfo = MetricInfo { varies_by_session: false, ..TIME };

/// KL(reference || variant) of the distributions of the next token.
pub const KL_DIVERGENCE: Metric = Metric(&MetricInfo {
    id: "kl_divergence",
    title: "KL divergence",
    unit: Unit::Nats,
    read: Read::Documents(Of::Divergence),
    default_limit: 0.05,
    details: &[Statistic::Mean, Statistic::P99],
    words: ["nearer predictions", "farther predictions"],
    ..FORCED
});

/// Positions at which both find the same token the most probable one.
pub const TOP1_AGREEMENT: Metric = Metric(&MetricInfo {
    id: "top1_agreement",
    title: "top-1 agreement",
    unit: Unit::Proportion,
    better: Better::Higher,
    read: Read::Documents(Of::Agreement),
    default_statistic: Statistic::Rate,
    default_limit: 0.9,
    details: &[Statistic::Rate],
    words: ["more agreement", "less agreement"],
    ..FORCED
});

/// The exponential of the mean negative log likelihood of the true next token.
pub const PERPLEXITY: Metric = Metric(&MetricInfo {
    id: "perplexity",
    title: "perplexity",
    unit: Unit::Number,
    read: Read::Documents(Of::Likelihood),
    default_limit: 0.02,
    details: &[Statistic::Mean],
    words: ["better predictions", "worse predictions"],
    ..FORCED
});
