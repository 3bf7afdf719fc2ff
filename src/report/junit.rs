//! Owns the format `junit`: each rule as a test case, for the pages of CI services that show tests.

use super::{Format, Judged, Report, Style};
use crate::record::VerdictKind;
use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};

/// The rules as test cases in JUnit's XML.
pub(super) const FORMAT: Format = Format {
    id: "junit",
    help: "The rules as test cases, JUnit XML",
    charts: false,
    render,
    sheet: None,
};

/// A suite for each pair of sides, a case for each rule. What keeps the exit code from being 0 is a failure,
/// or an error where it could not be judged; what is undecided, or only informs and does not hold, is skipped.
fn render(report: &Report, _: Style) -> String {
    let mut suites: Vec<TestSuite> = Vec::new();
    for rule in &report.rules {
        let index = suites.iter().position(|suite| suite.name.as_str() == rule.group);
        let index = index.unwrap_or_else(|| {
            suites.push(TestSuite::new(rule.group.as_str()));
            suites.len() - 1
        });
        suites[index].add_test_case(case(rule));
    }
    let mut whole = quick_junit::Report::new("perfgate");
    whole.add_test_suites(suites);
    let mut text = whole.to_string().expect("names are cleaned of what XML has no character for");
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

fn case(rule: &Judged) -> TestCase {
    let status = status(rule).map(|mut status| {
        status.set_type(rule.verdict.id()).set_message(rule.says.as_str());
        status
    });
    let mut case = TestCase::new(rule.id.as_str(), status.unwrap_or_else(TestCaseStatus::success));
    case.set_classname(format!("perfgate.{}", rule.variant.replace('.', "_")));
    case.set_system_out(format!("{}: {}", rule.verdict, rule.says));
    case
}

/// Nothing for a rule that holds.
fn status(rule: &Judged) -> Option<TestCaseStatus> {
    match (rule.blocks, rule.verdict) {
        (true, VerdictKind::Invalid) => Some(TestCaseStatus::non_success(NonSuccessKind::Error)),
        (true, _) => Some(TestCaseStatus::non_success(NonSuccessKind::Failure)),
        (_, kind) if kind.holds() || kind == VerdictKind::Waived => None,
        _ => Some(TestCaseStatus::skipped()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::figures::tests::judged;
    use super::*;

    #[test]
    fn what_keeps_the_exit_code_from_0_is_a_failure() {
        let rules = vec![
            judged("a", VerdictKind::Regressed, true),
            judged("b", VerdictKind::Regressed, false),
            judged("c", VerdictKind::Pass, false),
            judged("d", VerdictKind::Invalid, true),
            judged("e", VerdictKind::Inconclusive, true),
            judged("f", VerdictKind::Inconclusive, false),
        ];
        let text = render(&Report { rules, ..Report::default() }, Style::default());
        assert!(text.contains(r#"tests="6" skipped="2" failures="2" errors="1""#), "{text}");
        assert!(text.contains("<![CDATA[") || !text.contains("]]>"), "{text}");
        let read = quick_junit::Report::deserialize_from_str(&text).unwrap();
        assert_eq!(read.tests, 6);
    }
}
