//! Whose records are not searched: those of crates that only tests use.

/// Crates, as their records name them.
const OTHERS: [&str; 2] = [
    // The cookies of the tests' browsers, each of which it logs.
    "cookie_store",
    // The scheduler of the tests that try schedules. It logs each of its steps, fifty million of them.
    "shuttle",
];

/// Whether a record with this target comes from one of them, or a module or part of it.
pub(crate) fn is_of_others(target: &str) -> bool {
    let name = target.split("::").next().unwrap_or(target);
    OTHERS.iter().any(|other| name.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with('_')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_of_our_crates_is_among_them() {
        for target in ["session_core::shared", "session_redis", "redis::aio", "rustls::client", "shuttles", "cookie"] {
            assert!(!is_of_others(target), "{target}");
        }
        for target in ["cookie_store::cookie_store", "shuttle::runtime", "shuttle_engine::runtime::execution"] {
            assert!(is_of_others(target), "{target}");
        }
    }
}
