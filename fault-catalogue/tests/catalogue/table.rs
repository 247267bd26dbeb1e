//! That the document and the tests agree on what there is.

use std::collections::BTreeSet;

use crate::harness::{Quietly, Table, TestName};

/// The highest number of the catalogue.
const LAST: usize = 50;

/// Where this program's tests are.
const HERE: &str = "fault-catalogue/tests/catalogue";

#[test]
fn every_fault_has_a_row_and_a_test_or_a_reason() {
    let table = Table::read();
    for number in 1..=LAST {
        let name = format!("F{number}");
        let is_of_it = |row: &str| row.trim_end_matches(|it: char| it.is_ascii_lowercase()) == name;
        let rows = table.rows.iter().filter(|row| is_of_it(&row.name)).count();
        match table.without.get(&name) {
            Some(reason) => assert!(rows == 0 && !reason.is_empty(), "{name} has a row and none"),
            None => assert!(rows > 0, "{name} has neither a row nor a reason"),
        }
    }
    let mut names = BTreeSet::new();
    for row in &table.rows {
        assert!(names.insert(row.name.clone()), "{} is there twice", row.name);
        let tests = table.tests.get(&row.name).map(Vec::as_slice).unwrap_or_default();
        assert!(!tests.is_empty(), "{} has no test", row.name);
        for test in tests {
            assert!(test.exists(), "{}: {test:?}", row.name);
        }
    }
    let tested: BTreeSet<_> = table.tests.keys().cloned().collect();
    assert_eq!(tested, names, "tests of faults that have no row");
}

#[test]
fn every_test_of_a_fault_is_in_the_table() {
    let table = Table::read();
    let named: BTreeSet<_> = table.tests.values().flatten().cloned().collect();
    let mut found = 0;
    for test in Table::tests_below(HERE) {
        let TestName { file, function } = &test;
        let number = function.strip_prefix('f').and_then(|rest| rest.split('_').next());
        let Some(number) = number.filter(|it| it.starts_with(|first: char| first.is_ascii_digit())) else { continue };
        found += 1;
        assert!(named.contains(&test), "{file}::{function} is not in the table");
        let of_its_row = table.tests.get(&format!("F{number}")).is_some_and(|tests| tests.contains(&test));
        // Where a number has several rows, one test may be for all of them.
        let letters =
            table.rows.iter().filter(|row| row.name.trim_end_matches(char::is_alphabetic) == format!("F{number}"));
        let of_its_rows = letters.into_iter().any(|row| table.tests[&row.name].contains(&test));
        assert!(of_its_row || of_its_rows, "{function} is in the row of another fault");
    }
    assert!(found > 40, "only {found}");
}

#[test]
fn the_columns_agree() {
    for row in Table::read().rows {
        let name = &row.name;
        if !row.statuses.is_empty() {
            assert_eq!(row.outcome.statuses(), row.statuses, "{name}");
        }
        let retryable = row.outcome.kinds.iter().any(|kind| kind.is_retryable());
        match row.tried_again {
            Some(tried) => assert_eq!(tried, retryable, "{name}"),
            None => assert_eq!(row.outcome.kinds, [], "{name}"),
        }
        assert_eq!(row.quietly == Quietly::AsUsual, row.outcome.kinds.is_empty(), "{name}");
    }
}
