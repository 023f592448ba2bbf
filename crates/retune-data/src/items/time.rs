//! Times of interactions: numbers as they are, dates as seconds since 1970.

use crate::table::Cell;

/// The latest number that is a time: nanoseconds since 1970 as 64 bits hold them. Seconds, milliseconds and microseconds of any
/// year that people mean are smaller.
const LATEST: f64 = 9.3e18;

/// A time as a number that is larger for what is later: a number as it is, a date as seconds since 1970. The error says what is
/// wrong with it.
pub(super) fn time_of(cell: &Cell) -> Result<f64, String> {
    let text = cell.name().unwrap_or_default();
    let text = text.trim();
    if let Ok(number) = text.parse::<f64>() {
        let meant = number.is_finite() && number.abs() <= LATEST;
        return if meant {
            Ok(number)
        } else {
            Err(format!("`{text}` is beyond any time, in seconds as in nanoseconds; mend it or remove the row"))
        };
    }
    date(text).ok_or_else(|| format!("`{text}` is no time; write seconds or a date such as 2024-05-31 10:00:00"))
}

/// A date, alone or with a time of day and its distance from UTC, in seconds.
fn date(text: &str) -> Option<f64> {
    let begins_clock = |letter: char| letter == 'T' || letter == 't' || letter == ' ';
    let (day, clock) = text.split_once(begins_clock).map_or((text, None), |(day, clock)| (day, Some(clock.trim())));
    let mark = ['-', '/', '.'].into_iter().find(|&mark| day.contains(mark))?;
    let mut parts = day.split(mark);
    let (year, month, of_month) = (parts.next()?, parts.next()?, parts.next()?);
    let four_digits = year.len() == 4;
    let (year, month, of_month) = (whole(year)?, whole(month)?, whole(of_month)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !four_digits || parts.next().is_some() || !(1..=days).contains(&of_month) {
        return None;
    }
    let of_day = clock.map_or(Some(0.0), seconds_of_day)?;
    Some((days_since_1970(year, month, of_month) * 86_400) as f64 + of_day)
}

/// `10:00`, `10:00:00.5`, with `Z` or `+02:00` behind it, as seconds.
fn seconds_of_day(clock: &str) -> Option<f64> {
    let clock = clock.strip_suffix("UTC").unwrap_or(clock).trim_end();
    let zone = clock.find(['Z', 'z', '+', '-']);
    let (clock, zone) = zone.map_or((clock, ""), |at| (clock[..at].trim_end(), &clock[at..]));
    let mut parts = clock.split(':');
    let (hour, minute) = (whole(parts.next()?)?, whole(parts.next()?)?);
    let second = match parts.next() {
        None => 0.0,
        Some(text) if text.starts_with(|it: char| it.is_ascii_digit()) => text.parse::<f64>().ok()?,
        Some(_) => return None,
    };
    // A leap second is the 61st.
    let holds = hour < 24 && minute < 60 && (0.0..61.0).contains(&second) && parts.next().is_none();
    holds.then_some(())?;
    let ahead = match zone.strip_prefix(['+', '-']) {
        None if zone.is_empty() || zone.eq_ignore_ascii_case("z") => 0,
        None => return None,
        Some(distance) => {
            let digits: String = distance.chars().filter(|it| *it != ':').collect();
            let (hours, minutes) = (whole(digits.get(..2)?)?, digits.get(2..).filter(|it| !it.is_empty()));
            let minutes = minutes.map_or(Some(0), whole)?;
            (hours < 24 && minutes < 60).then_some(())?;
            let ahead = hours * 3600 + minutes * 60;
            if zone.starts_with('-') { -ahead } else { ahead }
        }
    };
    Some((hour * 3600 + minute * 60 - ahead) as f64 + second)
}

/// Digits alone as a number.
fn whole(text: &str) -> Option<i64> {
    let digits = !text.is_empty() && text.len() <= 4 && text.bytes().all(|it| it.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// Days of the Gregorian calendar, in which March begins the year, so that the leap day is its last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Result<f64, String> {
        time_of(&Cell::Text(text.to_owned()))
    }

    #[test]
    fn dates_are_seconds_since_1970_as_numbers_are() {
        for (text, expected) in [
            ("1970-01-01", 0.0),
            ("1969-12-31 23:59:59", -1.0),
            ("2000-02-29T12:00:00.5Z", 951_825_600.5),
            ("2024/03/01 00:30", 1_709_253_000.0),
            ("2024-03-01 00:30:00 UTC", 1_709_253_000.0),
            ("2024-03-01T02:30:00+02:00", 1_709_253_000.0),
            ("2024-02-29 19:30:00-0500", 1_709_253_000.0),
            ("-5", -5.0),
            ("12.5", 12.5),
            ("1717149600000000000", 1.717_149_6e18),
        ] {
            assert_eq!(time(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused_with_the_reason() {
        for text in ["1e99", "-1e99", "inf", "NaN", "1e300"] {
            assert!(time(text).unwrap_err().contains("beyond any time"), "{text}");
        }
        for text in [
            "soon",
            "",
            "2024-15-01",
            "2023-02-29",
            "2024-05-31 25:00",
            "2024-05-31 10:00 apples",
            "12 of 5 in 2024",
            "24-05-31",
            "2024-05-31x",
            "2024-05-31 10:00+2é",
        ] {
            assert!(time(text).unwrap_err().contains("is no time"), "{text}");
        }
    }
}
