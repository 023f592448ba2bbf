//! Numbers for people.

/// A metric or a loss, with three decimals where they mean something.
pub(crate) fn value(x: f64) -> String {
    match x.abs() {
        size if !size.is_finite() => "–".to_owned(),
        size if size >= 1000.0 => format!("{x:.0}"),
        size if size >= 10.0 => format!("{x:.2}"),
        size if size != 0.0 && size < 0.001 => format!("{x:.1e}"),
        _ => format!("{x:.3}"),
    }
}

/// `low–high`.
pub(crate) fn interval((low, high): (f64, f64)) -> String {
    format!("{}–{}", value(low), value(high))
}

/// A count or a rate, with commas between thousands.
pub(crate) fn count(x: f64) -> String {
    if !x.is_finite() {
        return "–".to_owned();
    }
    let digits = format!("{:.0}", x.abs());
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A share as a percentage.
pub(crate) fn percent(share: f64) -> String {
    if share.is_finite() { format!("{:.0} %", share * 100.0) } else { "–".to_owned() }
}

/// Bytes in decimal units.
pub(crate) fn bytes(n: u64) -> String {
    let n = n as f64;
    match n {
        1e9.. => format!("{:.1} GB", n / 1e9),
        1e6.. => format!("{:.0} MB", n / 1e6),
        _ => format!("{:.0} kB", n / 1e3),
    }
}

/// A duration in its two largest units.
pub(crate) fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    match whole {
        0..60 => format!("{whole} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        let values = [0.92534, 0.0, 12.345, 1234.5, 0.00005, f64::NAN].map(value);
        assert_eq!(values, ["0.925", "0.000", "12.35", "1234", "5.0e-5", "–"]);
        assert_eq!([7.0, 1000.0, 1234567.4].map(count), ["7", "1,000", "1,234,567"]);
        assert_eq!([12_000, 90_900_000, 2_300_000_000].map(bytes), ["12 kB", "91 MB", "2.3 GB"]);
        assert_eq!([3.4, 61.0, 7260.0].map(duration), ["3 s", "1 min 1 s", "2 h 1 min"]);
        assert_eq!((percent(0.123), interval((0.5, 0.75))), ("12 %".into(), "0.500–0.750".into()));
    }
}
