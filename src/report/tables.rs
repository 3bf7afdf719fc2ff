//! Owns the cells of the tables, which all formats with tables have in common.

use super::{RuleGroup, RuleRow, VariantTable};

/// The titles of a group's table; a wide one has a column more.
pub(super) fn rule_header(group: &RuleGroup, wide: bool) -> Vec<String> {
    let mut titles = vec!["rule".to_string()];
    titles.extend(group.base_title.clone());
    titles.push(group.now_title.clone());
    titles.extend(group.base_title.as_ref().map(|_| "change".to_string()));
    titles.extend(["interval", "limit", "noise"].map(str::to_string));
    titles.extend(wide.then(|| "detects".to_string()));
    titles.push("verdict".to_string());
    titles
}

/// The cells under them, the verdict last.
pub(super) fn rule_cells(group: &RuleGroup, row: &RuleRow, wide: bool) -> Vec<String> {
    let compares = group.base_title.is_some();
    let mut cells = vec![row.what.clone()];
    cells.extend(compares.then(|| row.base.clone()));
    cells.push(row.now.clone());
    cells.extend(compares.then(|| row.change.clone()));
    cells.extend([&row.interval, &row.limit, &row.noise].map(String::clone));
    cells.extend(wide.then(|| row.detects.clone()));
    cells.push(row.verdict.to_string());
    cells
}

/// Why rules came to what they did, each reason once with all the rules that it is of; `more` stands behind
/// a row's reason.
pub(super) fn reasons(group: &RuleGroup, more: impl Fn(&RuleRow) -> String) -> Vec<String> {
    let mut by_reason: Vec<(String, Vec<&str>)> = Vec::new();
    for row in group.rows.iter().filter(|row| !row.reason.is_empty()) {
        let reason = format!("{}{}", row.reason, more(row));
        match by_reason.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, ids)) => ids.push(&row.id),
            None => by_reason.push((reason, vec![&row.id])),
        }
    }
    by_reason.into_iter().map(|(reason, ids)| format!("{}: {reason}", ids.join(", "))).collect()
}

/// The table of what a change would do to the policy.
pub(super) const POLICY: &str = "Policy changes, in force once this is merged";

/// Its titles.
pub(super) const POLICY_HEADER: [&str; 3] = ["what", "change", "that is"];

/// The titles of a table of variants: the metric, the variants, and perhaps what changed.
pub(super) fn variant_header(table: &VariantTable) -> Vec<String> {
    let mut titles = vec!["metric".to_string()];
    titles.extend(table.columns.clone());
    if has_notes(table) {
        titles.push("change".to_string());
    }
    titles
}

/// Whether any row says what changed.
pub(super) fn has_notes(table: &VariantTable) -> bool {
    table.rows.iter().any(|row| !row.changes.is_empty())
}
