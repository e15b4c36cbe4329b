//! Time as the machine sees it: a span since a zero that the driver chose.

use std::{ops::Add, time::Duration};

/// A moment, as the time since a zero that the driver chose. The machine never reads a clock, so
/// tests invent their own time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(Duration);

impl Time {
    /// The driver's zero.
    pub const ZERO: Self = Self(Duration::ZERO);

    /// The moment `since_zero` after zero.
    #[must_use]
    pub fn after(since_zero: Duration) -> Self {
        Self(since_zero)
    }

    /// How long after zero it is.
    #[must_use]
    pub fn since_zero(self) -> Duration {
        self.0
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span))
    }
}

/// A moment in seconds since 1970 as a date and time of XEP-0082, as `2026-11-28T04:30:00Z`.
pub(crate) fn timestamp(unix: u64) -> String {
    let (days, second) = (unix / 86_400, unix % 86_400);
    // Eras of 400 years, which begin on the first of March, so that leap days are the last.
    let day = days + 719_468;
    let (era, day) = (day / 146_097, day % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let from_march = (5 * day + 2) / 153;
    let day = day - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = 400 * era + year + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// A date and time of XEP-0082 in seconds since 1970, without parts of seconds; none for what is no
/// such date, or before 1970.
pub(crate) fn unix_time(stamp: &str) -> Option<u64> {
    let (date, time) = stamp.split_once('T')?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let zone = time.find(['Z', '+', '-'])?;
    let (time, zone) = time.split_at(zone);
    let (whole, part) = time.split_once('.').unwrap_or((time, "0"));
    let [hour, minute, second] = numbers(whole, ':', [2, 2, 2])?;
    let is_part = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let is_date = (1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day);
    if !is_part || !is_date || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let offset = match zone.split_at(1) {
        ("Z", "") => 0,
        (sign, zone) => {
            let [hours, minutes] = numbers(zone, ':', [2, 2])?;
            let seconds = hours * 3_600 + minutes * 60;
            if sign == "+" { seconds } else { -seconds }
        }
    };
    // Years that begin with March, so that leap days are the last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let days = year * 365 + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468;
    u64::try_from(days * 86_400 + hour * 3_600 + minute * 60 + second - offset).ok()
}

/// Numbers of these many digits each, and nothing else.
fn numbers<const N: usize>(text: &str, between: char, lengths: [usize; N]) -> Option<[i64; N]> {
    let mut numbers = [0; N];
    let mut parts = text.split(between);
    for (number, length) in numbers.iter_mut().zip(lengths) {
        let part = parts.next()?;
        let is_number = part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit());
        *number = part.parse().ok().filter(|_| is_number)?;
    }
    parts.next().is_none().then_some(numbers)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::{timestamp, unix_time};

    #[test]
    fn dates_are_moments() {
        for unix in [0, 951_782_399, 951_782_400, 951_868_800, 1_798_761_599, 4_107_542_400] {
            assert_eq!(unix_time(&timestamp(unix)), Some(unix));
        }
        for (stamp, expected) in [
            ("2026-11-28T04:30:00.123456Z", 1_795_840_200),
            ("2026-11-28T05:30:00+01:00", 1_795_840_200),
            ("2026-11-27T21:00:00-07:30", 1_795_840_200),
            ("2016-12-31T23:59:60Z", 1_483_228_800),
        ] {
            assert_eq!(unix_time(stamp), Some(expected), "{stamp}");
        }
    }

    #[test]
    fn what_is_no_date_is_no_moment() {
        for wrong in [
            "",
            "T",
            "2026-11-28",
            "2026-11-28T04:30:00",
            "2026-11-28 04:30:00Z",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00Z ",
            "2026-01-01T00:00:00+1",
            "2026-1-01T00:00:00Z",
            "+026-01-01T00:00:00Z",
            "1969-12-31T23:59:59Z",
            "1800000000",
        ] {
            assert_eq!(unix_time(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn moments_are_dates() {
        for (unix, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_798_761_599, "2026-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(timestamp(unix), expected);
        }
    }
}
