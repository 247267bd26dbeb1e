//! Counters: decimal text in one form only, of at most eighteen digits.

use bytes::Bytes;

use crate::provider::COUNTER_LIMIT;

/// The text of the counter after adding `delta`; `None` if there is no counter or the range would be left.
pub(super) fn add(present: Option<&Bytes>, delta: i64) -> Option<Bytes> {
    let in_range = |number: &i64| (-COUNTER_LIMIT..=COUNTER_LIMIT).contains(number);
    let present = present.map_or(Some(0), |text| parse(text))?;
    // Two numbers in the range cannot overflow, so the sum is checked last.
    let sum = in_range(&delta).then(|| present + delta).filter(in_range)?;
    Some(Bytes::from(sum.to_string()))
}

fn parse(text: &[u8]) -> Option<i64> {
    let digits = match text {
        b"0" => return Some(0),
        [b'-', digits @ ..] => digits,
        digits => digits,
    };
    match digits {
        [b'1'..=b'9', rest @ ..] if rest.len() < 18 && rest.iter().all(u8::is_ascii_digit) => {
            std::str::from_utf8(text).ok()?.parse().ok()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_form_only() {
        for (text, number) in [
            ("0", 0),
            ("7", 7),
            ("-7", -7),
            ("10", 10),
            ("999999999999999999", COUNTER_LIMIT),
            ("-999999999999999999", -COUNTER_LIMIT),
        ] {
            assert_eq!(parse(text.as_bytes()), Some(number));
        }
        for text in
            ["", "-", "-0", "00", "01", "-01", "+1", " 1", "1 ", "1.5", "1e3", "--1", "٣", "1\n", "1000000000000000000"]
        {
            assert_eq!(parse(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn the_range_is_kept() {
        let limit = Bytes::from(COUNTER_LIMIT.to_string());
        assert_eq!(add(None, -3), Some(Bytes::from_static(b"-3")));
        assert_eq!(add(Some(&limit), 0), Some(limit.clone()));
        assert_eq!(add(Some(&limit), 1), None);
        assert_eq!(add(Some(&limit), -COUNTER_LIMIT), Some(Bytes::from_static(b"0")));
        for delta in [i64::MIN, i64::MAX, COUNTER_LIMIT + 1, -COUNTER_LIMIT - 1] {
            assert_eq!(add(None, delta), None);
            assert_eq!(add(Some(&limit), delta), None);
        }
    }
}
