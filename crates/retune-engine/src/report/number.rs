//! Numbers for people: three decimals, grouped thousands, a true minus sign.

const MISSING: &str = "–";

/// A metric, a loss or any other measured value.
pub(super) fn value(x: f64) -> String {
    let size = x.abs();
    if !x.is_finite() {
        MISSING.into()
    } else if size != 0.0 && size < 0.000_95 {
        scientific(x)
    } else if size >= 99_999.5 {
        signed(x, &count(size.round() as u64))
    } else {
        let decimals = match size {
            1000.0.. => 0,
            100.0.. => 1,
            10.0.. => 2,
            _ => 3,
        };
        signed(x, &format!("{size:.decimals$}"))
    }
}

/// `low – high`.
pub(super) fn interval((low, high): (f64, f64)) -> String {
    format!("{}\u{2009}–\u{2009}{}", value(low), value(high))
}

/// A difference, with its sign.
pub(super) fn difference(x: f64) -> String {
    let plus = if x > 0.0 { "+" } else { "" };
    format!("{plus}{}", value(x))
}

/// A count with thin spaces between thousands.
pub(super) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push('\u{202f}');
        }
        grouped.push(digit);
    }
    grouped
}

/// A share between 0 and 1 as a percentage.
pub(super) fn percent(share: f64) -> String {
    if !share.is_finite() {
        return MISSING.into();
    }
    let decimals = usize::from(share.abs() < 0.1 && share != 0.0);
    let text = format!("{:.decimals$}", share * 100.0);
    if share > 0.0 && text.trim_matches(['0', '.']).is_empty() {
        return "under 0.1\u{202f}%".into();
    }
    format!("{text}\u{202f}%")
}

/// `part` of `whole` as a percentage.
pub(super) fn percent_of(part: u64, whole: u64) -> String {
    percent(part as f64 / whole as f64)
}

/// Bytes in binary units.
pub(super) fn bytes(n: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut size, mut unit) = (n as f64, 0);
    while size >= 1024.0 && unit + 1 < units.len() {
        size /= 1024.0;
        unit += 1;
    }
    let decimals = usize::from(unit > 0 && size < 100.0);
    format!("{size:.decimals$}\u{202f}{}", units[unit])
}

/// Seconds as hours, minutes and seconds.
pub(super) fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return MISSING.into();
    }
    if seconds < 60.0 {
        return format!("{seconds:.1}\u{202f}s");
    }
    let whole = seconds.round() as u64;
    let (hours, minutes, rest) = (whole / 3600, whole / 60 % 60, whole % 60);
    if hours > 0 {
        format!("{}\u{202f}h {minutes:02}\u{202f}min", count(hours))
    } else {
        format!("{minutes}\u{202f}min {rest:02}\u{202f}s")
    }
}

/// A large quantity with an SI prefix, for instance `1.2 T`.
pub(super) fn prefixed(x: f64) -> String {
    let prefixes = ["", "k", "M", "G", "T", "P", "E"];
    let (mut size, mut prefix) = (x, 0);
    while size.abs() >= 1000.0 && prefix + 1 < prefixes.len() {
        size /= 1000.0;
        prefix += 1;
    }
    let decimals = match size.abs() {
        100.0.. => 0,
        _ if prefix == 0 && size.fract() == 0.0 => 0,
        _ => 1,
    };
    format!("{size:.decimals$}\u{202f}{}", prefixes[prefix]).trim_end().to_owned()
}

/// The label of an axis tick, given the distance between ticks.
pub(super) fn tick(x: f64, step: f64) -> String {
    if x == 0.0 || x.abs() < step * 1e-6 {
        return "0".into();
    }
    if step < 1e-3 {
        return scientific(x);
    }
    if x.abs() >= 10_000.0 {
        return prefixed(x);
    }
    let decimals = (-step.log10()).ceil().max(0.0) as usize;
    signed(x, &format!("{:.decimals$}", x.abs()))
}

/// A probability under the null hypothesis.
pub(super) fn p_value(p: f64) -> String {
    if p < 0.001 { "p\u{a0}<\u{a0}0.001".into() } else { format!("p\u{a0}=\u{a0}{p:.3}") }
}

fn scientific(x: f64) -> String {
    let text = format!("{x:.1e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let mantissa = mantissa.trim_end_matches('0').trim_end_matches('.');
    format!("{mantissa}e{exponent}").replace('-', "−")
}

fn signed(x: f64, size: &str) -> String {
    let is_zero = size.trim_matches(['0', '.']).is_empty();
    if x < 0.0 && !is_zero { format!("−{size}") } else { size.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_what_matters() {
        for (x, text) in [
            (0.91284, "0.913"),
            (-0.5, "−0.500"),
            (-0.0, "0.000"),
            (0.0, "0.000"),
            (2e-5, "2e−5"),
            (12.345, "12.35"),
            (123.45, "123.5"),
            (4321.0, "4321"),
            (1234567.0, "1\u{202f}234\u{202f}567"),
            (f64::NAN, "–"),
            (f64::INFINITY, "–"),
        ] {
            assert_eq!(value(x), text);
        }
        assert_eq!(difference(0.25), "+0.250");
        assert_eq!(difference(-0.25), "−0.250");
    }

    #[test]
    fn units() {
        assert_eq!(count(999), "999");
        assert_eq!(count(1000), "1\u{202f}000");
        assert_eq!(percent(0.5), "50\u{202f}%");
        assert_eq!(percent(0.0123), "1.2\u{202f}%");
        assert_eq!(percent(0.00001), "under 0.1\u{202f}%");
        assert_eq!(percent(0.0), "0\u{202f}%");
        assert_eq!(bytes(512), "512\u{202f}B");
        assert_eq!(bytes(3 << 30), "3.0\u{202f}GiB");
        assert_eq!(duration(5.0), "5.0\u{202f}s");
        assert_eq!(duration(125.0), "2\u{202f}min 05\u{202f}s");
        assert_eq!(duration(3725.0), "1\u{202f}h 02\u{202f}min");
        assert_eq!(prefixed(1.5e12), "1.5\u{202f}T");
        assert_eq!(prefixed(12.0), "12");
    }

    #[test]
    fn ticks_show_the_digits_their_distance_needs() {
        assert_eq!(tick(0.25, 0.05), "0.25");
        assert_eq!(tick(2e-5, 1e-5), "2e−5");
        assert_eq!(tick(20_000.0, 5000.0), "20.0\u{202f}k");
        assert_eq!(tick(-5.0, 5.0), "−5");
    }
}
